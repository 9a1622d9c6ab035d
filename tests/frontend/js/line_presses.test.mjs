// Which presses, scans and sounds count at the tablet.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Alarm, heard, REPEAT_MS } from "../../../static/js/line/alarm.js";
import * as scale from "../../../static/js/line/calibrate.js";
import { DOUBLE_MS, Guard, TURNED_MS } from "../../../static/js/line/guard.js";
import { Hold, HOLD_MS } from "../../../static/js/line/press.js";
import { GAP_MS, Wedge } from "../../../static/js/line/scanner.js";
import { board, call, check } from "./line_made.mjs";

test("the second press of a double tap does not count", () => {
  const guard = new Guard();
  assert.equal(guard.admits(1000), true);
  assert.equal(guard.admits(1000 + DOUBLE_MS - 1), false);
  assert.equal(guard.admits(1000 + DOUBLE_MS), true);
});

test("a button that has just changed its meaning takes no press", () => {
  const guard = new Guard();
  assert.equal(guard.mean("DECIDE/1", 1000), true);
  assert.equal(guard.mean("DECIDE/1", 1500), false);
  assert.equal(guard.admits(1000 + TURNED_MS - 1), false);
  assert.equal(guard.admits(1000 + TURNED_MS), true);
});

test("a press in vain does not put the next one off", () => {
  const guard = new Guard();
  guard.admits(1000);
  guard.admits(1200);
  assert.equal(guard.admits(1000 + DOUBLE_MS), true);
});

test("what is held to the end counts, once", () => {
  const hold = new Hold();
  hold.begin(0);
  assert.equal(hold.ripens(HOLD_MS - 1), false);
  assert.ok(Math.abs(hold.progress(HOLD_MS / 2) - 0.5) < 1e-9);
  assert.equal(hold.ripens(HOLD_MS), true);
  assert.equal(hold.ripens(HOLD_MS + 1), false);
  assert.equal(hold.end(), false);
});

test("what is let go early does not count, however often", () => {
  const hold = new Hold();
  for (const began of [0, 700, 1400]) {
    hold.begin(began);
    assert.equal(hold.ripens(began + 600), false);
    assert.equal(hold.end(), true);
  }
  assert.equal(hold.progress(2000), 0);
});

/** @param {string} text @param {number} gap @param {Wedge} [wedge] */
function typed(text, gap, wedge = new Wedge()) {
  return [...text, "Enter"].map((key, index) => wedge.key(key, 1000 + index * gap)).at(-1)?.code ?? null;
}

test("what comes faster than a hand and ends with Enter is a scan", () => {
  assert.equal(typed("B-4711", GAP_MS - 40), "B-4711");
  assert.equal(typed("B-4711", GAP_MS + 1), null);
  assert.equal(typed("12", 5), null);
});

test("capitals of a scanner come with Shift between them", () => {
  const wedge = new Wedge();
  let at = 0;
  for (const key of ["Shift", "B", "-", "Shift", "X", "7"]) {
    wedge.key(key, (at += 10));
  }
  assert.equal(wedge.key("Enter", at + 10).code, "B-X7");
});

test("what a hand typed before a scan does not belong to it", () => {
  const wedge = new Wedge();
  wedge.key("9", 0);
  wedge.key("9", 400);
  assert.equal(typed("B-1", 10, wedge), "B-1");
});

test("the first character cannot be known, every other one can", () => {
  const wedge = new Wedge();
  assert.equal(wedge.key("B", 0).isScan, false);
  assert.equal(wedge.key("-", 10).isScan, true);
  assert.equal(wedge.key("Enter", 500).isScan, false);
});

test("a hold sounds once, then every half minute, until it is put away", () => {
  const said = [];
  let again = () => {};
  let every = 0;
  let stopped = 0;
  const alarm = new Alarm({
    sound: (kind) => said.push(kind),
    every: (run, ms) => {
      again = run;
      every = ms;
      return 7;
    },
    stop: (timer) => (stopped = timer),
  });
  alarm.hear({ hold: "", soft: [] });
  alarm.hear({ hold: "hold/1", soft: [] });
  alarm.hear({ hold: "hold/1", soft: [] });
  assert.deepEqual([said, every], [["hold"], REPEAT_MS]);
  again();
  alarm.hear({ hold: "hold/2", soft: [] });
  assert.deepEqual([said, stopped], [["hold", "hold", "hold"], 7]);
  stopped = 0;
  alarm.hear({ hold: "", soft: [] });
  assert.equal(stopped, 7);
});

test("an answer and a new check call once and softly; what stood there before does not", () => {
  const said = [];
  const alarm = new Alarm({ sound: (kind) => said.push(kind) });
  const quiet = { state: "RUNNING", meaning: "" };
  const answered = call("HELP", { answered_by: "lena", answered_at: "2026-11-22T06:00:00Z" });
  alarm.hear(heard(board({ calls: [answered] }), quiet));
  assert.deepEqual(said, []);
  alarm.hear(heard(board({ calls: [answered], check }), quiet));
  alarm.hear(heard(board({ calls: [answered], check }), quiet));
  assert.deepEqual(said, ["soft"]);
});

test("the scale follows card, fingers and steps and stays possible", () => {
  assert.equal(scale.clamp(0.2), scale.LEAST);
  assert.equal(scale.clamp(99), scale.MOST);
  assert.equal(scale.pinched(4, 100, 150), 6);
  assert.equal(scale.pinched(4, 0, 150), 4);
  assert.ok(Math.abs(scale.stepped(5, 1) * 85.6 - 5 * 85.6 - 1) < 1e-9);
  const drawn = scale.dragged(5, 85.6, 53.98, false);
  assert.ok(Math.abs(drawn - 6) < 1e-9);
  assert.ok(scale.largestFor(856, 10_000) <= 10);
  assert.ok(scale.guess(true) >= 6);
});

test("a scale that is kept is read again, and nonsense is not", () => {
  const kept = new Map();
  const store = { setItem: (k, v) => kept.set(k, v), getItem: (k) => kept.get(k) ?? null, removeItem: (k) => kept.delete(k) };
  assert.equal(scale.kept(store), null);
  scale.keep(store, 5.2);
  assert.equal(scale.kept(store), 5.2);
  kept.forEach((_value, key) => kept.set(key, "900"));
  assert.equal(scale.kept(store), null);
});
