// A disk that does not answer: it is said, nothing is called saved, and nothing is doubled later.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Desk } from "../../../static/js/line/desk.js";
import { Clock } from "../../../static/js/line/outbox/clock.js";
import { Database } from "../../../static/js/line/outbox/database.js";
import { Outbox } from "../../../static/js/line/outbox/outbox.js";
import { Shelf } from "../../../static/js/line/outbox/shelf.js";
import { board, task, words } from "./line_made.mjs";
import { Disk } from "./line_disk.mjs";

const clock = () => new Clock({ wall: () => 1000, mono: () => 0, epoch: "e" });
const soon = (ms = 5) => new Promise((done) => setTimeout(done, ms));
/** However long the machine takes for it. @param {() => boolean} isSo */
const until = async (isSo) => {
  const ends = performance.now() + 20_000;
  while (!isSo()) {
    assert.ok(performance.now() < ends, "it has not come");
    await soon();
  }
};
const NO_ANSWER = { status: 0, body: null, code: "", retryAfter: null };
const images = {
  caches: null,
  captures: async () => new Set(),
  url: async () => null,
  keep: async () => "full",
  keepOnly: async () => {},
};

const BEFORE = "before it is written";
const WRITING = "while it is being written";
const UNSAID = "while it is being written, which nobody says";

/** A desk with two units on a disk that can be made to hang. @param {import("node:test").TestContext} context */
async function standing(context) {
  context.mock.method(console, "error", () => {});
  globalThis.document ??= new EventTarget();
  globalThis.navigator ??= { onLine: true };
  globalThis.addEventListener ??= () => {};
  const disk = new Disk();
  const told = [];
  const database = new Database({
    indexedDB: disk,
    within: 20,
    probeEvery: 5,
    onHealth: (isAnswering) => told.push(isAnswering),
  });
  const outbox = await Outbox.open({ app: "v", database, clock: clock(), api: { post: async () => NO_ANSWER } });
  context.after(() => outbox.close());
  const shelf = new Shelf({ database, clock: clock(), images, ahead: 2 });
  await shelf.refill({ claim: async () => ({ tasks: [task("1"), task("2")], lost: [] }) });
  const desk = new Desk({ outbox, shelf, words, undoMs: 8000, isLookOnly: false, onChange: () => {} });
  desk.heard(board());
  await desk.renew();
  await outbox.draining;
  let answer = () => {};
  const hang = (when) => {
    disk.isCommitting = when !== BEFORE;
    disk.isSilent = when === UNSAID;
    disk.hangs = new Promise((done) => (answer = done));
  };
  const recover = async () => {
    disk.hangs = null;
    disk.isCommitting = false;
    answer();
    await until(() => told.at(-1) === true);
    await soon();
  };
  return { disk, desk, outbox, told, hang, recover };
}

/** @param {Desk} desk @param {string} act */
function press(desk, act) {
  const { scene } = desk;
  return desk.press(scene.choices.find((choice) => choice.act === act), scene, 1);
}

for (const when of [BEFORE, WRITING, UNSAID]) {
  test(`a press on a disk that hangs ${when} is refused within its time and said of nobody`, async (context) => {
    const { desk, told, hang, recover } = await standing(context);
    hang(when);
    await assert.rejects(press(desk, "accept"), { name: "TimeoutError" });
    assert.equal(desk.said, null);
    assert.equal(desk.task?.id, "1");
    assert.deepEqual(told, [false]);
    await recover();
    assert.deepEqual(told, [false, true]);
  });

  test(`pressed twice on a disk that hangs ${when} it counts once`, async (context) => {
    const { desk, outbox, hang, recover } = await standing(context);
    hang(when);
    await assert.rejects(press(desk, "accept"));
    const again = press(desk, "accept").catch(() => {});
    await recover();
    await again;
    const rows = await outbox.rows();
    assert.deepEqual(rows.map(({ body }) => body.task), ["1"]);
    assert.equal(desk.said?.where, "saved");
    assert.equal(desk.task?.id, "2");
  });

  test(`a call pressed twice on a disk that hangs ${when} is one call`, async (context) => {
    const { desk, outbox, hang, recover } = await standing(context);
    hang(when);
    await assert.rejects(desk.call("STOP"));
    const again = desk.call("STOP").catch(() => {});
    await recover();
    await again;
    assert.equal((await outbox.rows()).length, 1);
    assert.ok(desk.calling.has("STOP"));
  });
}

for (const when of [WRITING, UNSAID]) {
  test(`what hung ${when} and is written late stands, is shown with its way back, and is sent`, async (context) => {
    const { desk, outbox, hang, recover } = await standing(context);
    hang(when);
    await assert.rejects(press(desk, "accept"));
    await recover();
    const [row, ...others] = await outbox.rows();
    assert.deepEqual(others, []);
    assert.equal(desk.said?.key, row.key);
    assert.ok(desk.undoLeft > 0);
    assert.equal(desk.task?.id, "2");
    assert.equal(outbox.counts().unsent, 1);
  });
}

test("what was taken back in time is not there when the disk answers", async (context) => {
  const { desk, outbox, hang, recover } = await standing(context);
  hang(BEFORE);
  await assert.rejects(press(desk, "accept"));
  await recover();
  assert.deepEqual(await outbox.rows(), []);
  assert.equal(desk.said, null);
  assert.equal(desk.task?.id, "1");
});

test("a disk that does not open is said within its time", async () => {
  const told = [];
  const indexedDB = { open: () => ({}) };
  const database = new Database({ indexedDB, within: 10, onHealth: (isAnswering) => told.push(isAnswering) });
  await assert.rejects(database.all("rows"), { name: "TimeoutError" });
  assert.deepEqual(told, [false]);
  database.close();
});
