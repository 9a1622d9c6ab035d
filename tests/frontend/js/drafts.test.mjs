import assert from "node:assert/strict";
import { test } from "node:test";

import { Drafts, LASTS_MS, MOST, VERSION } from "../../../static/js/review/annotation/drafts.js";
import { Shelf } from "../../../static/js/review/annotation/shelf.js";

/** A storage as a browser has it, with room for so many characters. */
class Cupboard {
  constructor(room = Infinity) {
    this.room = room;
    this.items = new Map();
  }

  get length() {
    return this.items.size;
  }

  key(n) {
    return [...this.items.keys()][n] ?? null;
  }

  getItem(name) {
    return this.items.get(name) ?? null;
  }

  setItem(name, text) {
    if (text.length > this.room) {
      throw new Error("QuotaExceededError");
    }
    this.items.set(name, String(text));
  }

  removeItem(name) {
    this.items.delete(name);
  }
}

function kept({ storage = new Cupboard(), person = "ines", at = 1_000_000 } = {}) {
  const clock = { at };
  const troubles = [];
  const make = () => new Drafts({ storage, person, now: () => clock.at, onTrouble: () => troubles.push(1) });
  return { storage, clock, troubles, make, drafts: make() };
}

const draft = (capture = "c1", more = {}) => ({
  captures: { main: capture },
  regions: [{ id: "1", view: "main", label: null, box: [1, 2, 3, 4], polygon: null }],
  pending: null,
  isLost: false,
  ...more,
});

test("a drawing comes back after a reload, for its person and its task only", () => {
  const { drafts, make, storage } = kept();
  drafts.save("t1", draft());
  assert.deepEqual(make().load("t1"), { version: VERSION, at: 1_000_000, ...draft() });
  assert.equal(make().load("t2"), null);
  assert.equal(kept({ storage, person: "otto" }).drafts.load("t1"), null);
  drafts.remove("t1");
  assert.equal(make().load("t1"), null);
  assert.equal(storage.length, 0);
});

test("the newest fifty are kept, for seven days", () => {
  const { drafts, clock, make, storage } = kept();
  for (let n = 0; n < MOST + 10; n += 1) {
    clock.at += 1000;
    drafts.save(`t${n}`, draft());
  }
  assert.equal(storage.length, MOST);
  assert.equal(drafts.load("t9"), null);
  assert.ok(drafts.load("t10"));
  clock.at += LASTS_MS - 1000;
  assert.ok(make().load(`t${MOST + 9}`));
  clock.at += 1000;
  assert.equal(drafts.load(`t${MOST + 9}`), null);
  make();
  assert.equal(storage.length, 0);
});

test("a person's drawings do not push out another's", () => {
  const { storage, drafts } = kept();
  drafts.save("mine", draft());
  const other = kept({ storage, person: "otto" }).drafts;
  for (let n = 0; n < MOST + 5; n += 1) {
    other.save(`t${n}`, draft());
  }
  assert.ok(drafts.load("mine"));
});

test("what another version wrote is left out", () => {
  const { drafts, make, storage } = kept();
  drafts.save("t1", draft());
  const [name] = storage.items.keys();
  for (const text of ["{", "[]", "null", JSON.stringify({ ...draft(), version: VERSION + 1, at: 1_000_000 })]) {
    storage.setItem(name, text);
    assert.equal(drafts.load("t1"), null);
  }
  make();
  assert.equal(storage.length, 0);
});

for (const [why, storage] of [["full", new Cupboard(10)], ["forbidden", null]]) {
  test(`with a storage that is ${why} the drawing stays in the page, and it is said once`, () => {
    const { drafts, troubles } = kept({ storage });
    drafts.save("t1", draft());
    drafts.save("t1", draft("c1", { isLost: true }));
    assert.equal(drafts.load("t1").isLost, true);
    assert.equal(troubles.length, 1);
    drafts.remove("t1");
    assert.equal(drafts.load("t1"), null);
  });
}

test("an older state of a drawing that no longer fits does not come back", () => {
  const storage = new Cupboard(300);
  const { drafts, make } = kept({ storage });
  drafts.save("t1", draft());
  drafts.save("t1", draft("c1", { regions: Array.from({ length: 9 }, () => draft().regions[0]) }));
  assert.equal(drafts.load("t1").regions.length, 9);
  assert.equal(make().load("t1"), null);
});

test("a drawing of the same images is found under its old task", () => {
  const { drafts } = kept();
  drafts.save("t1", draft("c1", { isLost: true }));
  drafts.save("t2", draft("c2"));
  assert.equal(drafts.sameImages("t3", ["c9", "c1"]).task, "t1");
  assert.equal(drafts.sameImages("t1", ["c1"]), null);
  assert.equal(drafts.sameImages("t3", ["c3"]), null);
});

function unit(id, ...views) {
  const named = views.map((view) => ({ view, capture: `${view}-image` }));
  return { task: { id, views: named }, pictures: [], choice: { defectClass: null } };
}

const box = { view: "top", label: null, box: [1, 2, 3, 4], polygon: null };

test("a drawing comes back with its unit, and goes once its verdict has arrived", () => {
  const { drafts, make, storage } = kept();
  const shelf = new Shelf(drafts);
  const held = unit("t1", "top");
  shelf.open(held).add(box);
  shelf.keep(held);
  const reloaded = new Shelf(make());
  assert.deepEqual(reloaded.open(held).regions, [{ id: "1", ...box }]);
  assert.equal(reloaded.offer, null);
  drafts.remove("t1");
  assert.equal(shelf.open(held).regions.length, 1, "taken back, the unit has its drawing");
  assert.equal(storage.length, 1);
});

test("what was drawn when the hold was lost is offered, and not laid over what comes", () => {
  const { drafts, make } = kept();
  const shelf = new Shelf(drafts);
  const held = unit("t1", "top");
  shelf.open(held).add(box);
  shelf.keep(held, true);
  for (const again of [shelf, new Shelf(make())]) {
    assert.equal(again.open(held).regions.length, 0);
    assert.equal(again.offer.regions.length, 1);
  }
  assert.equal(shelf.takeOffer(held), 1);
  assert.deepEqual(shelf.of(held).selected.box, [1, 2, 3, 4]);
  assert.equal(new Shelf(make()).open(held).regions.length, 1);
});

test("the same images under another task bring the offer too", () => {
  const { drafts } = kept();
  const shelf = new Shelf(drafts);
  const first = unit("t1", "top");
  shelf.open(first).add(box);
  shelf.keep(first, true);
  const second = unit("t2", "top");
  shelf.open(second);
  assert.equal(shelf.takeOffer(second), 1);
  assert.equal(drafts.load("t1"), null);
  shelf.open(unit("t3", "side"));
  assert.equal(shelf.offer, null);
});
