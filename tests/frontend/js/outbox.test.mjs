import assert from "node:assert/strict";
import { test } from "node:test";

import { Clock } from "../../../static/js/line/outbox/clock.js";
import { newKey } from "../../../static/js/line/outbox/keys.js";
import { answersTo, nextBatch, subjectOf } from "../../../static/js/line/outbox/order.js";
import { waitFor } from "../../../static/js/line/outbox/pace.js";
import { decidedIn, isStale, pressed } from "../../../static/js/line/outbox/rows.js";
import { Sender, message } from "../../../static/js/line/outbox/sender.js";

const MARK = { wall: 1_000_000, mono: 0, epoch: "e", offset_s: 0 };

function decision(seq, task = `t${seq}`, more = {}) {
  const body = { task, fence: 1, answer: "FALSE_CALL" };
  return { seq, schema: 1, key: `k${seq}`, kind: "decision", attendance: "a", app: "v", body, mark: MARK, ...more };
}

/** What is on the disk, in memory. */
class Kept {
  constructor(rows) {
    this.rows = rows;
    this.settled = [];
  }

  async all() {
    return [...this.rows];
  }

  async settle(batch, answers) {
    this.rows = this.rows.filter((row) => !answers.has(row.key));
    this.settled.push(...batch.filter((row) => answers.has(row.key)).map((row) => row.key));
  }
}

function clock(wall = 1_000_000) {
  return new Clock({ wall: () => wall, mono: () => 0, epoch: "e" });
}

const applied = (rows) => ({ answers: rows.map(({ key }) => ({ key, state: "applied" })) });
const reply = (status, body = null) => ({ status, body, code: "", retryAfter: null });

/** A sender whose server answers with what `server(rows)` says. */
function sending(rows, server) {
  const kept = new Kept(rows);
  const calls = [];
  const post = async (body) => {
    calls.push(body.rows.map(({ key }) => key));
    return server(body.rows, calls.length);
  };
  return { kept, calls, sender: new Sender({ rows: kept, clock: clock(), post }) };
}

test("a hundred and twenty presses go in order, fifty at a time", async () => {
  const rows = Array.from({ length: 120 }, (_, n) => decision(n + 1));
  const { kept, calls, sender } = sending([...rows].reverse(), (sent) => reply(200, applied(sent)));
  assert.deepEqual(await sender.pass(), { isDone: true, reply: null });
  assert.deepEqual(calls.map((keys) => keys.length), [50, 50, 20]);
  assert.deepEqual(kept.settled, rows.map(({ key }) => key));
});

test("no refusal and no failure lets a press go", async () => {
  for (const status of [0, 204, 301, 401, 403, 404, 409, 429, 502, 503]) {
    const { kept, calls, sender } = sending([decision(1), decision(2)], () => reply(status, applied([])));
    const { isDone, reply: said } = await sender.pass();
    assert.deepEqual([isDone, said.status, kept.rows.length, calls.length], [false, status, 2, 1]);
  }
});

test("an answer that is none lets no press go", async () => {
  const said = [null, "ok", [], {}, { answers: null }, { answers: { k1: "applied" } }];
  for (const body of said) {
    const { kept, sender } = sending([decision(1)], () => reply(200, body));
    assert.equal((await sender.pass()).isDone, false);
    assert.equal(kept.rows.length, 1);
  }
});

test("an answer counts only for a press that was sent and with a state that is known", () => {
  const batch = [decision(1), decision(2)];
  const answers = [
    { key: "k1", state: "seen" },
    { key: "k9", state: "applied" },
    null,
    "k2",
    { key: "k2", state: "superseded" },
  ];
  assert.deepEqual([...answersTo(batch, { answers }).keys()], ["k2"]);
});

test("what the server does not name stays and stops only what is about the same", async () => {
  const rows = [decision(1, "a"), decision(2, "b"), decision(3, "a"), decision(4, "c")];
  const server = (sent) => reply(200, applied(sent.filter(({ key }) => key !== "k1" && key !== "k3")));
  const { kept, calls, sender } = sending(rows, server);
  const { isDone } = await sender.pass();
  assert.equal(isDone, false);
  assert.deepEqual(kept.rows.map(({ key }) => key), ["k1", "k3"]);
  assert.equal(calls.length, 1);
});

test("sixty presses behind one that is never named all go, but not one about the same", async () => {
  const rows = [decision(1, "a"), ...Array.from({ length: 60 }, (_, n) => decision(n + 2)), decision(99, "a")];
  const server = (sent) => reply(200, applied(sent.filter(({ key }) => key !== "k1")));
  const { kept, sender } = sending(rows, server);
  await sender.pass();
  assert.deepEqual(kept.rows.map(({ key }) => key), ["k1", "k99"]);
});

test("one press that spoils the whole call is found and the others go without it", async () => {
  const rows = Array.from({ length: 30 }, (_, n) => decision(n + 1));
  const server = (sent) =>
    sent.some(({ key }) => key === "k17") ? reply(422) : reply(200, applied(sent));
  const { kept, sender } = sending(rows, server);
  assert.equal((await sender.pass()).isDone, false);
  assert.deepEqual(kept.rows.map(({ key }) => key), ["k17"]);
});

test("one press on which the server fails is found and the others go without it", async () => {
  const rows = Array.from({ length: 30 }, (_, n) => decision(n + 1));
  const server = (sent) =>
    sent.some(({ key }) => key === "k17") ? reply(500) : reply(200, applied(sent));
  const { kept, sender } = sending(rows, server);
  assert.equal((await sender.pass()).isDone, false);
  assert.deepEqual(kept.rows.map(({ key }) => key), ["k17"]);
});

test("a server that fails on everything is left alone after the second press by itself", async () => {
  const rows = Array.from({ length: 50 }, (_, n) => decision(n + 1));
  const { kept, calls, sender } = sending(rows, () => reply(500));
  const { isDone, reply: said } = await sender.pass();
  assert.deepEqual([isDone, said.status, kept.rows.length], [false, 500, 50]);
  assert.ok(calls.length <= 8, `${calls.length} calls`);
});

test("a press made while others are sent goes in the same pass, after them", async () => {
  const { kept, calls, sender } = sending([decision(1)], (sent, call) => {
    if (call === 1) {
      kept.rows.push(decision(2));
    }
    return reply(200, applied(sent));
  });
  await sender.pass();
  assert.deepEqual(calls, [["k1"], ["k2"]]);
});

test("two tabs never send at once, and the second finds nothing left", async () => {
  const kept = new Kept([decision(1), decision(2)]);
  const calls = [];
  let queue = Promise.resolve();
  const locks = {
    request(_name, _options, run) {
      const mine = queue.then(run);
      queue = mine.catch(() => {});
      return mine;
    },
  };
  let open = 0;
  const post = async ({ rows }) => {
    open += 1;
    assert.equal(open, 1);
    await new Promise((done) => setTimeout(done, 5));
    open -= 1;
    calls.push(rows.map(({ key }) => key));
    return reply(200, applied(rows));
  };
  const tab = () => new Sender({ rows: kept, clock: clock(), post, locks });
  await Promise.all([tab().pass(), tab().pass()]);
  assert.deepEqual(calls, [["k1", "k2"]]);
});

test("presses about the same thing are told apart from others", () => {
  const undo = { key: "u", kind: "undo", body: { task: "t1", decision_key: "k1" } };
  assert.equal(subjectOf(undo), subjectOf(decision(1)));
  const call = { key: "c", kind: "call", body: { kind: "HELP" } };
  assert.equal(subjectOf({ key: "x", kind: "call_close", body: { call_key: "c" } }), subjectOf(call));
  assert.notEqual(subjectOf({ key: "d", kind: "call", body: {} }), subjectOf(call));
  assert.deepEqual(nextBatch([decision(2), decision(1)]).map(({ seq }) => seq), [1, 2]);
});

test("a key names its moment, is of version 7 and comes once", () => {
  const keys = new Set(Array.from({ length: 500 }, () => newKey(0x0191_2345_6789)));
  assert.equal(keys.size, 500);
  for (const key of keys) {
    assert.match(key, /^01912345-6789-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  }
});

test("the wait grows to half a minute, is spread, and heeds what the server asks", () => {
  assert.equal(waitFor(1, null, () => 0), 1);
  assert.equal(waitFor(20, null, () => 1), 30);
  assert.ok(waitFor(20, null, () => 0) < 16);
  assert.equal(waitFor(1, 45, () => 0), 45);
  assert.equal(waitFor(1, 86_400, () => 0), 120);
});

test("a press is as old as the clock that is never set says, also when the tablet's is set", () => {
  const told = { wall: 1_000_000, mono: 0 };
  const own = new Clock({ wall: () => told.wall, mono: () => told.mono, epoch: "e" });
  const mark = own.mark();
  Object.assign(told, { wall: told.wall + 3 * 3600_000 + 10_000, mono: 10_000 });
  assert.deepEqual(own.since(mark), { seconds: 10, clock: "monotonic" });
  const sent = message(decision(1, "t", { mark }), own);
  assert.deepEqual([sent.age_s, sent.clock, sent.made_at], [10, "monotonic", new Date(1_000_000).toISOString()]);
});

test("after a reload the wall clock tells the age, corrected where it was set meanwhile", () => {
  const before = new Clock({ wall: () => 1_000_000, mono: () => 5, epoch: "one" });
  before.measured = { offset_s: 2, within_s: 0.1, at: 1_000_000 };
  const mark = before.mark();
  const after = new Clock({ wall: () => 1_060_000 + 3 * 3600_000, mono: () => 7, epoch: "two" });
  after.measured = { offset_s: 2 - 3 * 3600, within_s: 0.1, at: 0 };
  assert.deepEqual(after.since(mark), { seconds: 60, clock: "wall" });
});

test("a tablet that slept counts the time it slept", () => {
  const told = { wall: 1_000_000, mono: 0 };
  const own = new Clock({ wall: () => told.wall, mono: () => told.mono, epoch: "e" });
  own.measured = { offset_s: 0, within_s: 0.1, at: told.wall - 1 };
  const mark = own.mark();
  Object.assign(told, { wall: told.wall + 600_000, mono: 3000 });
  own.measured = { offset_s: 0, within_s: 0.1, at: told.wall };
  assert.deepEqual(own.since(mark), { seconds: 600, clock: "wall" });
});

test("the server's time is measured with half the round trip, and skew over five seconds is told", () => {
  const told = { wall: 1_000_000, mono: 0 };
  const own = new Clock({ wall: () => told.wall, mono: () => told.mono, epoch: "e" });
  const asked = own.mark();
  Object.assign(told, { wall: told.wall + 400, mono: 400 });
  own.heard(new Date(1_000_200 + 4900).toISOString(), asked);
  assert.equal(own.offset_s, 4.9);
  assert.equal(own.skew_s, null);
  const again = own.mark();
  own.heard(new Date(told.wall + 3 * 3600_000).toISOString(), again);
  assert.equal(own.skew_s, 3 * 3600);
});

test("a long poll's vague measurement does not replace a good one", () => {
  const told = { wall: 1_000_000, mono: 0 };
  const own = new Clock({ wall: () => told.wall, mono: () => told.mono, epoch: "e" });
  own.heard(new Date(told.wall).toISOString(), own.mark());
  const asked = own.mark();
  Object.assign(told, { wall: told.wall + 20_000, mono: 20_000 });
  own.heard(new Date(told.wall).toISOString(), asked);
  assert.equal(own.offset_s, 0);
});

test("a verdict takes its task off the shelf, and its undo brings it back with the next fence", () => {
  const shelved = { id: "t1", task: { id: "t1", fence: 1 }, leased: MARK, place: 1, decided: null };
  const gone = pressed(shelved, decision(1));
  assert.equal(gone.decided, "k1");
  const undo = { ...decision(2, "t1"), kind: "undo", body: { decision_key: "k1", task: "t1", fence: 1 } };
  const back = pressed(gone, undo);
  assert.deepEqual([back.decided, back.task.fence], [null, 2]);
  const other = { ...undo, body: { ...undo.body, decision_key: "another" } };
  assert.equal(pressed(gone, other).decided, "k1");
});

test("a screen that is behind cannot decide what is decided or was taken back", () => {
  const shelved = { id: "t1", task: { id: "t1", fence: 2 }, leased: MARK, place: 1, decided: null };
  const at = (fence) => decision(1, "t1", { body: { task: "t1", fence } });
  assert.equal(isStale(shelved, at(2)), false);
  assert.equal(isStale(shelved, at(1)), true);
  assert.equal(isStale({ ...shelved, decided: "k0" }, at(2)), true);
  assert.equal(isStale({ ...shelved, decided: "k0" }, { ...at(2), kind: "undo" }), false);
});

test("what was decided here and then taken back is not decided", () => {
  const undo = { ...decision(3, "t1"), kind: "undo" };
  assert.deepEqual([...decidedIn([decision(1), decision(2), undo])], ["t2"]);
});
