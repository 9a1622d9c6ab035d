// What the middle of the tablet's screen shows.

import assert from "node:assert/strict";
import { test } from "node:test";

import { sceneOf } from "../../../static/js/line/scene.js";
import { board, call, check, hold, task, words } from "./line_made.mjs";

/** @param {object} known */
function scene(known = {}) {
  return sceneOf({
    board: board(),
    task: null,
    isReached: true,
    isLookOnly: false,
    done: new Set(),
    imageOf: (_task, view) => view.image_url,
    words,
    ...known,
  });
}

test("the gravest thing is shown, and one thing only", () => {
  const all = { hold, check, calls: [call("STOP")] };
  assert.equal(scene({ board: board(all), task: task("1") }).state, "STOPPED");
  assert.equal(scene({ board: board({ ...all, calls: [call("HELP")] }), task: task("1") }).state, "HOLD");
  assert.equal(scene({ board: board({ check }), task: task("1") }).state, "CAPTURE_CHECK");
  assert.equal(scene({ task: task("1") }).state, "DECIDE");
  assert.equal(scene().state, "RUNNING");
});

test("there are at most three buttons, and accept never stands beside reject", () => {
  const acts = scene({ task: task("1") }).choices.map(({ act }) => act);
  assert.deepEqual(acts, ["accept", "bench", "reject"]);
});

test("only what ends in scrap is to be held", () => {
  const held = (disposition) =>
    scene({ task: task("1", { reject: { disposition, label: disposition } }) }).choices.map(({ isHeld }) => isHeld);
  assert.deepEqual(held("SCRAP"), [false, false, true]);
  assert.deepEqual(held("REWORK"), [false, false, false]);
});

test("a verdict says task, fence, answer and disposition", () => {
  const [accept, bench, reject] = scene({ task: task("1", { fence: 4 }) }).choices.map(({ press }) => press);
  const whole = { task: "1", fence: 4, answer: "FALSE_CALL", disposition: "ACCEPT", defect_class: null };
  assert.deepEqual(accept, { kind: "decision", body: whole });
  assert.deepEqual(bench, { kind: "to_bench", body: { task: "1", fence: 4 } });
  assert.deepEqual(
    [reject.body.answer, reject.body.disposition, reject.body.defect_class],
    ["CONFIRMED", "SCRAP", "scratch"],
  );
});

test("a hold put away here is not shown again while the board does not know", () => {
  const done = new Set(["hold/SN-h/2026-11-22T05:00:00Z"]);
  assert.equal(scene({ board: board({ hold }), done }).state, "RUNNING");
  // Held anew: another hold.
  const again = { ...hold, held_since: "2026-11-22T05:30:00Z" };
  assert.equal(scene({ board: board({ hold: again }), done }).state, "HOLD");
});

test("a check has its steps until it is done, then what it waits for", () => {
  assert.deepEqual(scene({ board: board({ check }) }).steps, check.steps);
  for (const known of [
    { board: board({ check }), done: new Set(["check/ch-1"]) },
    { board: board({ check: { ...check, done_by: "bo" } }) },
  ]) {
    const { steps, choices, state } = scene(known);
    assert.deepEqual([steps, choices, state], [[], [], "CAPTURE_CHECK"]);
  }
});

test("a stop called without network is a stop, and nobody releases it here", () => {
  for (const known of [{ isStopping: true }, { board: board({ calls: [call("STOP")] }) }]) {
    const { state, choices } = scene(known);
    assert.deepEqual([state, choices], ["STOPPED", []]);
  }
});

test("who looks on has no buttons, in no state", () => {
  for (const more of [{ hold }, { check }, { calls: [call("STOP")] }, { state: "DECIDE" }]) {
    assert.deepEqual(scene({ board: board(more), task: task("1"), isLookOnly: true }).choices, []);
  }
});

test("another task, another fence and another hold are another meaning", () => {
  const meanings = [
    scene().meaning,
    scene({ task: task("1") }).meaning,
    scene({ task: task("1", { fence: 2 }) }).meaning,
    scene({ task: task("2") }).meaning,
    scene({ board: board({ hold }) }).meaning,
    scene({ board: board({ check }) }).meaning,
  ];
  assert.equal(new Set(meanings).size, meanings.length);
});

test("without network one held part after the other is named, and none is passed over", () => {
  const other = { ...hold, unit: { ...hold.unit, serial: "SN-OTHER" } };
  const known = board({ hold, next_holds: [other], holds: 3 });
  const done = new Set([`hold/${hold.unit.serial}/${hold.held_since}`]);
  const next = scene({ board: known, isReached: false, done });
  assert.equal(next.state, "HOLD");
  assert.equal(next.serial, "SN-OTHER");
  assert.match(next.why, /1/);
});
