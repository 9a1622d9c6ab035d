// What lies on the tablet through faults of its disk, its browser and its network.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Clock } from "../../../static/js/line/outbox/clock.js";
import { Database } from "../../../static/js/line/outbox/database.js";
import { Images } from "../../../static/js/line/outbox/images.js";
import { Outbox } from "../../../static/js/line/outbox/outbox.js";
import { Rows } from "../../../static/js/line/outbox/rows.js";
import { Sender } from "../../../static/js/line/outbox/sender.js";
import { Shelf, newlyShelved } from "../../../static/js/line/outbox/shelf.js";
import { task } from "./line_made.mjs";
import { Disk, full } from "./line_disk.mjs";

const clock = () => new Clock({ wall: () => 1000, mono: () => 0, epoch: "e" });
const row = (key, id = "t") => ({
  schema: 1,
  key,
  kind: "decision",
  attendance: "a",
  app: "v",
  body: { task: id, fence: 1 },
  mark: clock().mark(),
});
const view = (capture) => ({ capture, view: "top", width: 1, height: 1, image_url: `/i/${capture}`, regions: [] });
const soon = (ms = 5) => new Promise((done) => setTimeout(done, ms));

/** Pictures as the browser keeps them. */
function cupboard() {
  let kept = new Map();
  return {
    open: async () => ({
      match: async (url) => kept.get(url)?.clone(),
      put: async (url, answer) => void kept.set(url, answer),
      keys: async () => [...kept.keys()].map((path) => ({ url: `http://line${path}` })),
      delete: async (url) => kept.delete(url),
    }),
    delete: async () => void (kept = new Map()),
    size: () => kept.size,
  };
}

/** @param {object} [more] */
function pictures(more = {}) {
  const caches = cupboard();
  const fetch = async () => new Response("picture");
  const images = new Images({ caches, fetch, estimate: async () => ({ quota: 1e9, usage: 0 }), ...more });
  return { caches, images };
}

/** The addresses that are made and not given back. @param {() => Promise<void>} act */
async function addresses(act) {
  const { createObjectURL, revokeObjectURL } = URL;
  const made = new Set();
  let count = 0;
  URL.createObjectURL = () => {
    count += 1;
    made.add(`blob:${count}`);
    return `blob:${count}`;
  };
  URL.revokeObjectURL = (url) => made.delete(url);
  try {
    await act(made);
  } finally {
    Object.assign(URL, { createObjectURL, revokeObjectURL });
  }
}

test("a picture asked for twice at once has one address", async () => {
  await addresses(async (made) => {
    const { images } = pictures();
    await images.keep(view("c1"));
    const [one, other] = await Promise.all([images.url(view("c1")), images.url(view("c1"))]);
    assert.equal(one, other);
    assert.equal(made.size, 1);
  });
});

test("pictures the browser has thrown away keep no address", async () => {
  await addresses(async (made) => {
    const { caches, images } = pictures();
    await images.keep(view("c1"));
    await images.url(view("c1"));
    await caches.delete();
    await images.keepOnly(new Set());
    assert.equal(made.size, 0);
  });
});

test("where the browser's cache fails a picture comes over the network", async () => {
  const caches = { open: () => Promise.reject(new DOMException("broken", "UnknownError")) };
  const { images } = pictures({ caches });
  assert.equal(await images.url(view("c1")), null);
  assert.deepEqual([...(await images.captures())], []);
});

test("a picture that never ends does not hold up the shelf for ever", async () => {
  let signal = null;
  const fetch = async (_url, options) => {
    signal = options.signal;
    return new Response("picture");
  };
  await pictures({ fetch }).images.keep(view("c1"));
  assert.ok(signal instanceof AbortSignal);
});

/** A shelf on a disk in memory. */
function shelved(more = {}) {
  const disk = new Disk();
  const database = new Database({ indexedDB: disk });
  const { caches, images } = pictures(more);
  return { disk, database, caches, shelf: new Shelf({ database, clock: clock(), images, ahead: 2 }) };
}

test("who signs out while units are being leased leaves none of them behind", async () => {
  const { caches, shelf } = shelved();
  let answer = () => {};
  const filling = shelf.refill({ claim: () => new Promise((done) => (answer = done)) });
  await soon();
  await shelf.empty();
  answer({ tasks: [task("1", { views: [view("c1")] })], lost: [] });
  await filling;
  assert.deepEqual(await shelf.tasks(), []);
  assert.equal(caches.size(), 0);
});

test("who signs out while a picture is on its way leaves no picture behind", async () => {
  let answer = () => {};
  const fetch = () => new Promise((done) => (answer = () => done(new Response("picture"))));
  const { caches, shelf } = shelved({ fetch });
  const filling = shelf.refill({ claim: async () => ({ tasks: [task("1", { views: [view("c1"), view("c2")] })], lost: [] }) });
  await soon();
  await shelf.empty();
  answer();
  await Promise.race([filling, soon(50)]);
  assert.equal(caches.size(), 0);
});

test("the shelf is filled again for who comes next, also while an old answer is still out", async () => {
  const { shelf } = shelved();
  let answer = () => {};
  const old = shelf.refill({ claim: () => new Promise((done) => (answer = done)) });
  await soon();
  await shelf.empty();
  await Promise.race([shelf.refill({ claim: async () => ({ tasks: [task("2")], lost: [] }) }), soon(50)]);
  assert.deepEqual((await shelf.tasks()).map(({ id }) => id), ["2"]);
  answer({ tasks: [task("1")], lost: [] });
  await old;
  assert.deepEqual((await shelf.tasks()).map(({ id }) => id), ["2"]);
});

test("an answer older than an undo does not set its fence back", () => {
  const before = [{ id: "a", task: task("a", { fence: 2 }), place: 1, decided: null }];
  assert.deepEqual(newlyShelved([task("a", { fence: 1 })], before, new Set()), []);
  assert.equal(newlyShelved([task("a", { fence: 3 })], before, new Set()).length, 1);
});

test("a conflict leaves the outbox of a full disk: pictures give way to it", async () => {
  const disk = new Disk();
  let isFull = false;
  disk.refuses = (mode) => (isFull && mode === "readwrite" ? full() : null);
  const rows = new Rows(new Database({ indexedDB: disk }), async () => {
    isFull = false;
  });
  const kept = await rows.add(row("k1"));
  isFull = true;
  await rows.settle([kept], new Map([["k1", { key: "k1", state: "conflict", sentence: "Eva was faster." }]]));
  assert.deepEqual([(await rows.all()).length, (await rows.conflicts()).length], [0, 1]);
});

/** A tab's outbox. @param {object} parts */
async function opened(context, { disk = new Disk(), post = async () => ({ status: 0, body: null, code: "", retryAfter: null }) } = {}) {
  globalThis.document ??= new EventTarget();
  globalThis.navigator ??= { onLine: true };
  globalThis.addEventListener ??= () => {};
  const database = new Database({ indexedDB: disk });
  const outbox = await Outbox.open({ app: "v", database, clock: clock(), api: { post } });
  context.after(() => outbox.close());
  return { disk, outbox };
}

test("a disk that cannot be read for a moment does not end the sending", async (context) => {
  context.mock.method(console, "error", () => {});
  const { disk, outbox } = await opened(context);
  await outbox.draining;
  await outbox.add("decision", { task: "t", fence: 1 }, { attendance: "a" });
  await outbox.draining;
  clearTimeout(outbox.timers.retry);
  outbox.timers.retry = 0;
  disk.refuses = () => new DOMException("for now", "UnknownError");
  await outbox.drain().catch(() => {});
  assert.notEqual(outbox.timers.retry, 0, "it is tried again");
});

test("a screen that fails to draw does not end the sending", async (context) => {
  context.mock.method(console, "error", () => {});
  const { outbox } = await opened(context);
  await outbox.draining;
  outbox.onChange(() => {
    throw new Error("no such element");
  });
  await outbox.add("decision", { task: "t", fence: 1 }, { attendance: "a" });
  await outbox.draining?.catch(() => {});
  assert.notEqual(outbox.timers.retry, 0, "it is tried again");
});

test("a tab that keeps the lock and does not go on is passed over", async () => {
  const taken = [];
  const locks = {
    request: (_name, options, run) => {
      taken.push(options);
      if (options.steal) {
        return run();
      }
      return new Promise((_done, fail) => {
        const alive = setTimeout(() => {}, 5000);
        options.signal.addEventListener("abort", () => {
          clearTimeout(alive);
          fail(options.signal.reason);
        });
      });
    },
  };
  const sender = new Sender({ rows: { all: async () => [] }, clock: clock(), post: async () => null, locks, patience: 5 });
  assert.deepEqual(await sender.pass(), { isDone: true, reply: null });
  assert.deepEqual(taken.map(({ steal = false }) => steal), [false, true]);
});

test("what goes wrong in a pass of one's own takes nobody's lock", async () => {
  let count = 0;
  const locks = {
    request: (_name, _options, run) => {
      count += 1;
      return run();
    },
  };
  const all = () => Promise.reject(new DOMException("the database does not open", "TimeoutError"));
  const sender = new Sender({ rows: { all }, clock: clock(), post: async () => null, locks, patience: 5 });
  await assert.rejects(sender.pass());
  assert.equal(count, 1);
});
