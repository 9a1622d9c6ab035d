// Browsers that lack what others have: the page goes on without it.

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";

import { Api } from "../../../static/js/line/api.js";
import { Board } from "../../../static/js/line/board.js";
import { Speaker } from "../../../static/js/line/alarm.js";
import { Clock } from "../../../static/js/line/outbox/clock.js";
import { Database } from "../../../static/js/line/outbox/database.js";
import { Images } from "../../../static/js/line/outbox/images.js";
import { LineApi } from "../../../static/js/line/outbox/line_api.js";
import { Outbox } from "../../../static/js/line/outbox/outbox.js";
import { within } from "../../../static/js/line/patience.js";
import { board } from "./line_made.mjs";
import { Disk } from "./line_disk.mjs";

/** Take something away from the browser for one test. @param {import("node:test").TestContext} context */
function without(context, owner, name) {
  const before = Object.getOwnPropertyDescriptor(owner, name);
  Object.defineProperty(owner, name, { value: undefined, configurable: true, writable: true });
  context.after(() => (before ? Object.defineProperty(owner, name, before) : delete owner[name]));
}

const json = (body) => new Response(JSON.stringify(body), { status: 200, headers: { ETag: '"1"' } });

test("what was waited for in vain, or no longer, leaves nothing at the signal that outlives it", (context) => {
  without(context, AbortSignal, "any");
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const day = new AbortController();
  const waits = [1, 2, 3].map(() => within(1000, day.signal));
  context.mock.timers.tick(1000);
  assert.ok(waits.every(({ aborted }) => aborted));
  assert.equal(getEventListeners(day.signal, "abort").length, 0);
});

test("the board is asked where waits cannot be joined nor counted", async (context) => {
  without(context, AbortSignal, "any");
  without(context, AbortSignal, "timeout");
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const heard = [];
  let live = null;
  const boards = new Board({
    url: "/board",
    onBoard: (state) => {
      heard.push(state.state);
      live.stop();
    },
    onContact: () => {},
    onRefused: () => {},
    fetch: async (_url, { signal }) => {
      assert.ok(signal instanceof AbortSignal);
      return json(board());
    },
  });
  live = boards;
  boards.start();
  await new Promise((done) => setImmediate(done));
  await new Promise((done) => setImmediate(done));
  assert.deepEqual(heard, ["RUNNING"]);
});

test("an answer that does not come is given up where waits cannot be counted", async (context) => {
  without(context, AbortSignal, "timeout");
  context.mock.timers.enable({ apis: ["setTimeout"] });
  let asked = 0;
  const never = (_url, { signal }) => {
    asked += 1;
    return new Promise((_done, fail) => signal.addEventListener("abort", () => fail(signal.reason)));
  };
  const signing = new Api({ base: "/line", fetch: never }).signIn("B-bo");
  const sending = new LineApi({ fetch: never }).post("outbox", {});
  assert.equal(asked, 2);
  context.mock.timers.tick(40_000);
  await assert.rejects(signing, { status: 0 });
  assert.equal((await sending).status, 0);
});

test("presses are kept where tabs cannot speak to each other", async (context) => {
  without(context, globalThis, "BroadcastChannel");
  globalThis.document ??= new EventTarget();
  globalThis.navigator ??= { onLine: true };
  globalThis.addEventListener ??= () => {};
  const outbox = await Outbox.open({
    app: "v",
    database: new Database({ indexedDB: new Disk() }),
    clock: new Clock(),
    api: { post: async () => ({ status: 0, body: null, code: "", retryAfter: null }) },
  });
  await outbox.add("call", { kind: "HELP" }, { attendance: null });
  assert.equal((await outbox.rows()).length, 1);
  await outbox.draining;
  outbox.close();
});

test("pictures are kept where the browser does not tell what room it has", async () => {
  const kept = [];
  const caches = { open: async () => ({ put: async (url) => void kept.push(url) }) };
  const images = new Images({ caches, fetch: async () => new Response("picture"), storage: {} });
  assert.equal(await images.keep({ capture: "c1", image_url: "/i" }), "kept");
  assert.equal(kept.length, 1);
});

test("a tablet without sound goes on silently", async (context) => {
  globalThis.navigator ??= { onLine: true };
  without(context, globalThis, "AudioContext");
  const speaker = new Speaker({ volume: 1 });
  assert.equal(await speaker.unlock(), false);
  speaker.play("hold");
});
