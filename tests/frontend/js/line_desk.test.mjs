// What was pressed at the tablet, what comes next, and what can be taken back.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Desk } from "../../../static/js/line/desk.js";
import { board, call, check, hold, task, words } from "./line_made.mjs";

/** A desk with a disk in memory that acts as the real one does. @param {string[]} ids */
function made(ids, { rows = [] } = {}) {
  let now = 10_000;
  const shelved = ids.map((id) => ({ task: task(id), decided: null }));
  const disk = { rows: [...rows], fails: false };
  const outbox = {
    add: async (kind, body, who) => {
      await Promise.resolve();
      if (disk.fails) {
        throw new Error("full");
      }
      const row = { key: `key-${disk.rows.length + 1}`, kind, body, ...who };
      disk.rows.push(row);
      for (const one of shelved.filter(({ task: { id } }) => id === body.task)) {
        one.decided = kind === "undo" ? null : row.key;
        one.task = kind === "undo" ? { ...one.task, fence: body.fence + 1 } : one.task;
      }
      return row;
    },
    rows: () => Promise.resolve(disk.rows),
  };
  const shelf = {
    tasks: () => Promise.resolve(shelved.filter(({ decided }) => !decided).map((one) => one.task)),
    take: () => Promise.resolve(),
    imageUrl: (_task, view) => Promise.resolve(view.image_url),
  };
  const desk = new Desk({
    outbox,
    shelf,
    words,
    undoMs: 8000,
    isLookOnly: false,
    onChange: () => {},
    now: () => now,
  });
  return { desk, disk, shelved, pass: (ms) => (now += ms) };
}

/** @param {string[]} ids @param {object} [more] */
async function standing(ids, more = {}) {
  const all = made(ids);
  all.desk.heard(board(more));
  await all.desk.renew();
  return all;
}

/** @param {Desk} desk @param {string} act */
function press(desk, act) {
  const { scene } = desk;
  return desk.press(scene.choices.find((choice) => choice.act === act), scene, 1);
}

test("a verdict is kept, and the next unit is in hand", async () => {
  const { desk, disk, pass } = await standing(["1", "2"]);
  pass(2500);
  await press(desk, "accept");
  assert.equal(desk.task?.id, "2");
  const [{ kind, body, attendance }] = disk.rows;
  assert.deepEqual([kind, body.task, body.seconds, body.images, attendance], ["decision", "1", 2.5, 1, "at-1"]);
});

test("what the disk does not take is not said, and the unit stays", async () => {
  const { desk, disk } = await standing(["1"]);
  disk.fails = true;
  await assert.rejects(press(desk, "accept"));
  assert.equal(desk.said, null);
  assert.equal(desk.task?.id, "1");
  disk.fails = false;
  await press(desk, "accept");
  assert.equal(desk.said?.where, "saved");
});

test("two presses at once are one", async () => {
  const { desk, disk } = await standing(["1", "2"]);
  await Promise.all([press(desk, "accept"), press(desk, "accept")]);
  assert.equal(disk.rows.length, 1);
});

test("a verdict taken back brings the unit back, at its next fence", async () => {
  const { desk, disk } = await standing(["1", "2"]);
  await press(desk, "reject");
  await desk.undo();
  assert.deepEqual(disk.rows[1].body, { decision_key: "key-1", task: "1", fence: 1 });
  assert.deepEqual([desk.task?.id, desk.task?.fence], ["1", 2]);
  await desk.undo();
  assert.equal(disk.rows.length, 2);
});

test("after its time a verdict is not taken back", async () => {
  const { desk, disk, pass } = await standing(["1", "2"]);
  await press(desk, "accept");
  pass(8001);
  assert.equal(desk.undoLeft, 0);
  await desk.undo();
  assert.equal(disk.rows.length, 1);
});

test("what went to the bench is not taken back here", async () => {
  const { desk } = await standing(["1"]);
  await press(desk, "bench");
  assert.equal(desk.undoLeft, 0);
});

test("the unit in hand stays in hand whatever comes", async () => {
  const { desk, shelved } = await standing(["2"]);
  shelved.unshift({ task: task("1"), decided: null });
  await desk.renew();
  assert.equal(desk.task?.id, "2");
});

test("a scanned serial comes into the hand, or is told where it is", async () => {
  const waiting = [{ serial: "SN-b", for: "bench", since: "" }];
  const { desk } = await standing(["1", "2"], { waiting });
  assert.equal(desk.pick("sn-2"), "here");
  assert.equal(desk.task?.id, "2");
  assert.equal(desk.pick("SN-b"), "bench");
  assert.equal(desk.pick("B-eva"), null);
});

test("a hold put away stays away until the board has another", async () => {
  const { desk } = await standing([], { hold, holds: 1 });
  await press(desk, "placed");
  assert.equal(desk.scene?.state, "RUNNING");
  desk.heard(board({ hold, holds: 1 }));
  assert.equal(desk.scene?.state, "RUNNING");
  desk.heard(board());
  desk.heard(board({ hold, holds: 1 }));
  assert.equal(desk.scene?.state, "HOLD");
});

test("a check that did not count is asked for again", async () => {
  const { desk, disk } = await standing([], { check });
  await press(desk, "cleaned");
  assert.deepEqual(desk.scene?.choices, []);
  await desk.answered([{ key: disk.rows[0].key, state: "conflict", sentence: "" }]);
  assert.equal(desk.scene?.choices.length, 1);
});

test("saved is said when it is on the disk, arrived when the server has named it", async () => {
  const { desk } = await standing(["1"]);
  await press(desk, "accept");
  assert.equal(desk.said?.where, "saved");
  await desk.answered([{ key: "key-9", state: "applied" }]);
  assert.equal(desk.said?.where, "saved");
  await desk.answered([{ key: "key-1", state: "applied" }]);
  assert.equal(desk.said?.where, "arrived");
});

test("a call is made once, and closed whether the server knows it or not", async () => {
  const { desk, disk } = await standing([]);
  await desk.call("HELP");
  await desk.call("HELP");
  assert.deepEqual(disk.rows.map(({ kind }) => kind), ["call"]);
  await desk.solve("HELP");
  assert.deepEqual(disk.rows[1].body, { call_key: "key-1" });
  assert.equal(desk.calling.size, 0);
  desk.heard(board({ calls: [call("HELP")] }));
  await desk.solve("HELP");
  assert.deepEqual(disk.rows[2].body, { call: "call-HELP" });
  assert.equal(desk.openCall("HELP"), null);
});

test("what was read from the shelf before a press does not undo what it shows", async () => {
  const { desk } = await standing(["1", "2"]);
  await press(desk, "accept");
  const { shelf } = desk;
  const read = shelf.tasks;
  let late = () => {};
  shelf.tasks = () => new Promise((done) => (late = () => done([task("2")])));
  const stale = desk.renew();
  shelf.tasks = read;
  await desk.undo();
  late();
  await stale;
  assert.equal(desk.task?.id, "1");
});

test("a page opened anew knows what it had kept", async () => {
  const rows = [
    { key: "k1", kind: "hold_done", body: { serial: hold.unit.serial, held_since: hold.held_since } },
    { key: "k2", kind: "call", body: { kind: "STOP" } },
  ];
  const { desk } = made([], { rows });
  desk.heard(board({ hold }));
  await desk.restore();
  assert.equal(desk.scene?.state, "STOPPED");
});

test("nobody at the tablet, nothing kept but a call", async () => {
  const { desk, disk } = await standing(["1"], { operator: null });
  await press(desk, "accept");
  assert.equal(disk.rows.length, 0);
  await desk.call("STOP");
  assert.deepEqual(disk.rows.map(({ kind, attendance }) => [kind, attendance]), [["call", null]]);
});

test("a stop that was released before the board showed it stops nothing any more", async () => {
  const { desk, pass } = await standing([]);
  await desk.call("STOP");
  assert.equal(desk.scene.state, "STOPPED");
  await desk.answered([{ key: "key-1", state: "applied", sentence: "" }]);
  desk.heard(board());
  assert.equal(desk.scene.state, "STOPPED", "this board may be older than the call");
  pass(2500);
  desk.heard(board());
  assert.equal(desk.scene.state, "RUNNING");
});

test("who has signed in is at the tablet at once, whatever the network does next", async () => {
  const { desk, disk } = await standing(["1", "2"]);
  desk.stands({ attendance: "at-2", name: "eva", badge: "B-eva", until: "2026-11-22T14:00:00Z" });
  await press(desk, "accept");
  assert.equal(disk.rows[0].attendance, "at-2");
  desk.stands(null);
  await press(desk, "accept");
  assert.equal(disk.rows.length, 1, "who has signed out presses nothing more");
});

test("a press that is on the disk is not called unsaved because the shelf cannot be read", async (context) => {
  context.mock.method(console, "error", () => {});
  const { desk, disk } = await standing(["1", "2"]);
  const read = desk.shelf.tasks;
  desk.shelf.tasks = () => Promise.reject(new Error("for now"));
  await press(desk, "accept");
  assert.deepEqual([disk.rows.length, desk.said?.where], [1, "saved"]);
  desk.shelf.tasks = read;
  await desk.renew();
  assert.equal(desk.task?.id, "2");
});

test("a stop is not lost while a verdict is being kept", async () => {
  const { desk, disk } = await standing(["1"]);
  const [, called] = await Promise.all([press(desk, "accept"), desk.call("STOP")]);
  assert.deepEqual([called, disk.rows.map(({ kind }) => kind).sort()], [true, ["call", "decision"]]);
});

test("help asked for twice while it is being kept is asked for once, and closed once", async () => {
  const { desk, disk } = await standing([]);
  await Promise.all([desk.call("HELP"), desk.call("HELP"), desk.call("STOP")]);
  await Promise.all([desk.solve("HELP"), desk.solve("HELP")]);
  assert.deepEqual(disk.rows.map(({ kind }) => kind), ["call", "call", "call_close"]);
});

test("a picture that has come onto the tablet is shown from there when the network goes", async () => {
  const view = { capture: "c1", view: "top", width: 1, height: 1, image_url: "/net", regions: [] };
  const { desk, shelved } = await standing(["1"]);
  shelved[0].task = { ...shelved[0].task, views: [view] };
  await desk.renew();
  assert.equal(desk.scene?.sights[0].url, "/net");
  desk.shelf.imageUrl = () => Promise.resolve("blob:1");
  await desk.renew();
  assert.equal(desk.scene?.sights[0].url, "blob:1");
});
