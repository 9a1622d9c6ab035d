import assert from "node:assert/strict";
import { test } from "node:test";

import { Figures } from "../../../static/js/review/figures.js";
import { Session } from "../../../static/js/review/session.js";
import { memory, Server, settle, Timers } from "./made.mjs";

const ACCEPT = { answer: "FALSE_CALL", disposition: "ACCEPT", defect_class: null, comment: "", seconds: 2 };

/** A bench whose server answers each question when the test lets it. */
async function bench({ unsent = [] } = {}) {
  const page = {};
  globalThis.document = { getElementById: (id) => (page[id] ??= { textContent: "", className: "" }) };
  const server = new Server(10);
  const held = { send: [], queue: [], undo: [] };
  const later = (what, answer) => new Promise((done) => held[what].push(() => done(answer())));
  let decided = 0;
  const session = new Session({
    api: {
      claim: (count) => server.claim(count),
      release: () => {},
      heartbeat: async () => ({ lost: [] }),
      send: (entry) => later("send", () => ({ decision: entry.key, undo_seconds: 8 })),
      undo: () => later("undo", () => session.done.at(-1).held.task),
    },
    store: memory(unsent),
    prepare: (made) => ({ task: made, pictures: [], choice: {} }),
    discard: () => {},
    onShow: () => {},
    onNotice: () => {},
    onChange: () => figures?.recorded(session.recorded),
    now: () => 1_000,
    newKey: () => "key",
    setTimer: new Timers().set,
  });
  // The server's count is what it was when it was asked.
  const api = {
    queue: () => {
      const found = { waiting: 9 - decided, decided_today: decided, oldest_deadline: null };
      return later("queue", () => found);
    },
  };
  const figures = new Figures({ strings: {}, api, account: session });
  const on = async (what, which = 0) => {
    held[what].splice(which, 1)[0]();
    await settle();
    figures.recorded(session.recorded);
  };
  await session.refill();
  void figures.read();
  await on("queue");
  return { session, figures, on, shown: () => page.decided?.textContent, count: (n) => (decided = n) };
}

test("a verdict the server counts before its answer is here is counted once", async () => {
  const { session, figures, on, shown, count } = await bench();
  session.decide(ACCEPT, "");
  count(1);
  void figures.read();
  await on("queue");
  assert.equal(shown(), "0");
  await on("send");
  assert.equal(shown(), "1");
});

test("a verdict that is unsent since before the page was loaded does not keep the figures away", async () => {
  const entry = { kind: "decision", key: "k", task: "t", fence: 1, serial: "SN", body: {}, says: "" };
  const { session, shown } = await bench({ unsent: [{ ...entry, attempts: 3 }] });
  assert.equal(session.standing, null);
  assert.equal(shown(), "0");
});

test("a verdict answered after the figures were asked for stays counted", async () => {
  const { session, figures, on, shown } = await bench();
  void figures.read();
  session.decide(ACCEPT, "");
  await on("send");
  assert.equal(shown(), "1");
  await on("queue");
  assert.equal(shown(), "1");
});

test("once nothing is on its way the server's own figures are shown", async () => {
  const { session, figures, on, shown, count } = await bench();
  session.decide(ACCEPT, "");
  await on("send");
  count(7);
  void figures.read();
  await on("queue");
  assert.equal(shown(), "7");
  assert.equal(session.recorded, 0);
});

test("a verdict that is taken back while the figures come is taken back in them", async () => {
  const { session, figures, on, shown, count } = await bench();
  session.decide(ACCEPT, "");
  await on("send");
  count(1);
  void figures.read();
  void session.undo();
  await settle();
  await on("undo");
  await on("queue");
  assert.equal(shown(), "0");
});

test("an answer that comes after a newer one is not shown", async () => {
  const { figures, on, shown, count } = await bench();
  void figures.read();
  count(3);
  void figures.read();
  await on("queue", 1);
  assert.equal(shown(), "3");
  await on("queue");
  assert.equal(shown(), "3");
});

test("what was asked for before something was done here is not shown after it", async () => {
  const { figures, on, shown, count } = await bench();
  count(3);
  void figures.read();
  figures.outdate();
  await on("queue");
  assert.equal(shown(), "0");
  void figures.read();
  await on("queue");
  assert.equal(shown(), "3");
});
