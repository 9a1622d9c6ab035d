import assert from "node:assert/strict";
import { test } from "node:test";

import { Session } from "../../../static/js/review/session.js";
import { memory, Server, settle, task, Timers } from "./made.mjs";

const ACCEPT = { answer: "FALSE_CALL", disposition: "ACCEPT", defect_class: null, comment: "", seconds: 2 };

async function bench({ waiting = 10, entries = [] } = {}) {
  const server = new Server(waiting);
  const timers = new Timers();
  const clock = { now: 1_000 };
  const told = [];
  const shown = [];
  let keys = 0;
  const store = memory(entries);
  const session = new Session({
    api: server,
    store,
    prepare: (made) => ({ task: made, pictures: [], choice: { defectClass: "scratch", comment: "" } }),
    discard: () => {},
    onShow: (held) => shown.push(held?.task.id ?? null),
    onNotice: (name, facts) => told.push({ name, ...facts }),
    onChange: () => {},
    now: () => clock.now,
    newKey: () => `key-${(keys += 1)}`,
    setTimer: timers.set,
  });
  await session.refill();
  return { session, server, timers, clock, told, shown, store };
}

test("one is shown and three are held ahead", async () => {
  const { session, shown } = await bench();
  assert.equal(session.lookahead.held.length, 4);
  assert.deepEqual(shown, [session.current.task.id]);
});

test("after a verdict the next one is shown before anything is answered", async () => {
  const { session, server } = await bench();
  const second = session.lookahead.next[0].task.id;
  assert.equal(session.decide(ACCEPT, ""), true);
  assert.equal(session.current.task.id, second);
  await settle();
  assert.equal(server.received.length, 1);
  assert.equal(session.lookahead.held.length, 4);
});

test("a double press decides once", async () => {
  const { session, server, clock } = await bench();
  assert.equal(session.decide(ACCEPT, ""), true);
  clock.now += 120;
  assert.equal(session.decide(ACCEPT, ""), false);
  clock.now += 300;
  assert.equal(session.decide(ACCEPT, ""), true);
  await settle();
  assert.equal(server.received.length, 2);
  assert.equal(new Set(server.received.map((e) => e.task)).size, 2);
});

test("who was told to wait for a picture decides nothing in the moment it comes", async () => {
  const { session, clock } = await bench();
  session.toldToWait();
  clock.now += 5_000;
  session.pictureCame(true);
  assert.equal(session.isSettling, true);
  clock.now += 5;
  assert.equal(session.decide(ACCEPT, ""), false);
  clock.now += 295;
  assert.equal(session.isSettling, false);
  assert.equal(session.decide(ACCEPT, ""), true);
});

test("a picture nobody was told to wait for keeps no press back", async () => {
  const { session, clock } = await bench();
  session.pictureCame(true);
  assert.equal(session.decide(ACCEPT, ""), true);
  clock.now += 300;
  session.toldToWait();
  assert.equal(session.skip("blurred", ""), true);
  clock.now += 300;
  // The unit that was waited for has gone.
  session.pictureCame(true);
  assert.equal(session.isSettling, false);
  assert.equal(session.decide(ACCEPT, ""), true);
});

test("who waits for two pictures is kept back as each comes, and by no later one", async () => {
  const { session, clock } = await bench();
  session.toldToWait();
  session.pictureCame(false);
  clock.now += 1_000;
  session.pictureCame(true);
  assert.equal(session.decide(ACCEPT, ""), false);
  clock.now += 1_000;
  session.pictureCame(true);
  assert.equal(session.decide(ACCEPT, ""), true);
});

test("a unit whose picture has just come may still be held and skipped", async () => {
  const { session, clock } = await bench();
  session.toldToWait();
  session.pictureCame(true);
  assert.equal(session.decide({ ...ACCEPT, answer: "INCONCLUSIVE", disposition: "HOLD" }, ""), true);
  clock.now += 1_000;
  session.toldToWait();
  session.pictureCame(true);
  assert.equal(session.skip("blurred", ""), true);
});

test("a send that fails is repeated with the same key, and counted as unsent meanwhile", async () => {
  const { session, server, timers, clock } = await bench();
  server.failures = [{ status: 0, arrives: true }, { status: 503, after: 3 }];
  session.decide(ACCEPT, "");
  await settle();
  clock.now += 1_000;
  session.decide(ACCEPT, "");
  await settle();
  assert.equal(session.outbox.unsent, 2);
  const first = await timers.fire();
  const second = await timers.fire();
  assert.deepEqual([first, second], [[0.5], [3]]);
  await settle();
  assert.equal(session.outbox.unsent, 0);
  assert.deepEqual(server.received.map((e) => e.key), ["key-1", "key-1", "key-2"]);
});

test("a verdict taken back before it was ever sent does not reach the server", async () => {
  const { session, server, timers, clock } = await bench();
  server.failures = [{ status: 0 }];
  session.decide(ACCEPT, "");
  await settle();
  clock.now += 1_000;
  const second = session.current.task.id;
  session.decide(ACCEPT, "");
  await session.undo();
  assert.equal(session.current.task.id, second);
  await timers.fire();
  assert.deepEqual(server.received.map((e) => e.key), ["key-1"]);
  clock.now += 1_000;
  assert.equal(session.decide(ACCEPT, ""), true);
});

test("a recorded verdict is taken back on the server and its unit returns with what was entered", async () => {
  const { session, server, clock } = await bench();
  const first = session.current;
  first.choice.comment = "look at the edge";
  session.decide(ACCEPT, "");
  await settle();
  assert.equal(session.undoLeft, 8);
  clock.now += 3_000;
  assert.equal(session.undoLeft, 5);
  await session.undo();
  assert.deepEqual(server.undone, [`decision-of-${first.task.id}`]);
  assert.equal(session.current.task.id, first.task.id);
  assert.equal(session.current.task.fence, 2);
  assert.equal(session.current.choice.comment, "look at the edge");
  clock.now += 1_000;
  assert.equal(session.decide(ACCEPT, ""), true);
});

test("while a verdict is being taken back no other one is given", async () => {
  const { session, server, clock } = await bench();
  session.decide(ACCEPT, "");
  await settle();
  clock.now += 1_000;
  const undoing = session.undo();
  assert.equal(session.decide(ACCEPT, ""), false);
  await undoing;
  assert.equal(server.received.length, 1);
});

test("after the window there is nothing to take back", async () => {
  const { session, server, clock } = await bench();
  session.decide(ACCEPT, "");
  await settle();
  clock.now += 8_000;
  session.expire();
  assert.equal(session.undoable, null);
  await session.undo();
  assert.deepEqual(server.undone, []);
});

test("a lease lost on the way says which verdict was not recorded, and is not sent again", async () => {
  const { session, server, timers, told } = await bench();
  server.failures = [{ status: 409, code: "lease_lost", detail: "It went back." }];
  const { serial } = session.current.task.unit;
  session.decide(ACCEPT, "False call");
  await settle();
  assert.deepEqual(told, [{ name: "refused_gone", serial, says: "False call", detail: "It went back." }]);
  assert.equal((await timers.fire()).length, 0);
  assert.equal(session.undoable, null);
});

test("a verdict the server finds wrong comes back after the unit on the screen", async () => {
  const { session, server, told } = await bench();
  server.failures = [{ status: 422, detail: "Say which defect it is." }];
  const first = session.current.task.id;
  session.decide(ACCEPT, "");
  const shown = session.current.task.id;
  await settle();
  assert.equal(session.current.task.id, shown);
  assert.equal(session.lookahead.next[0].task.id, first);
  assert.equal(told[0].name, "refused");
});

test("the unit on the screen stays when its lease is lost, and takes no verdict", async () => {
  const { session, server, told } = await bench();
  const { id } = session.current.task;
  server.lost = [id];
  await session.heartbeat();
  assert.equal(session.current.task.id, id);
  assert.equal(told[0].name, "lost");
  assert.equal(session.decide(ACCEPT, ""), false);
  session.leaveLost();
  assert.notEqual(session.current.task.id, id);
  assert.equal(session.decide(ACCEPT, ""), true);
});

test("one lost among those ahead goes without a word", async () => {
  const { session, server, told } = await bench();
  const lost = session.lookahead.next[1].task.id;
  server.lost = [lost];
  await session.heartbeat();
  assert.equal(session.lookahead.held.some((held) => held.task.id === lost), false);
  assert.deepEqual(told, []);
});

test("the heartbeat keeps what is held and what is on its way", async () => {
  const { session, server } = await bench();
  server.failures = [{ status: 0 }];
  const first = session.current.task.id;
  session.decide(ACCEPT, "");
  await settle();
  await session.heartbeat();
  assert.equal(server.beaten.length, 5);
  assert.ok(server.beaten.some((lease) => lease.task === first));
});

test("leaving gives back everything but what was decided", async () => {
  const { session, server } = await bench();
  server.failures = [{ status: 0 }];
  const decided = session.current.task.id;
  session.decide(ACCEPT, "");
  await settle();
  const held = session.lookahead.held.map((each) => each.task.id);
  session.lookahead.giveBackAll({ close: true });
  assert.deepEqual(server.released.toSorted(), held.toSorted());
  assert.ok(!server.released.includes(decided));
});

test("a claim answered after the page was left is given back", async () => {
  const { session, server } = await bench({ waiting: 0 });
  let answer;
  server.claim = () => new Promise((resolve) => (answer = resolve));
  const filling = session.refill();
  session.lookahead.giveBackAll({ close: true });
  answer([task({ id: "late" })]);
  await filling;
  assert.deepEqual(server.released, ["late"]);
});

test("verdicts left from before a reload are sent first, with their keys", async () => {
  const left = { kind: "decision", key: "old", task: "t", fence: 4, serial: "SN", body: ACCEPT, says: "", attempts: 2 };
  const { session, server } = await bench({ entries: [left] });
  assert.equal(session.outbox.unsent, 1);
  await session.outbox.flush();
  assert.equal(server.received[0].key, "old");
  assert.equal(session.outbox.unsent, 0);
});

test("who is logged out is told, and nothing is dropped", async () => {
  const { session, server, told, timers, store } = await bench();
  server.failures = [{ status: 403 }];
  session.decide(ACCEPT, "");
  await settle();
  assert.equal(told[0].name, "signed_out");
  assert.equal(store.kept.length, 1);
  await timers.fire();
  assert.equal(server.received.length, 1);
});

test("a skip that had arrived before its answer was lost makes no noise", async () => {
  const { session, server, told, timers } = await bench();
  server.failures = [{ status: 0, arrives: true }, { status: 409, code: "lease_lost" }];
  session.skip("blurred", "Skip");
  await settle();
  await timers.fire();
  assert.deepEqual(told, []);
  assert.equal(session.outbox.entries.length, 0);
});

test("what nobody has looked at is given back, the one on the screen is kept", async () => {
  const { session, server } = await bench();
  const { id } = session.current.task;
  session.lookahead.giveBackUnseen();
  assert.equal(session.current.task.id, id);
  assert.equal(server.released.length, 3);
});
