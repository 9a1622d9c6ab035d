import assert from "node:assert/strict";
import { test } from "node:test";

import { against, duration, fill } from "../../../static/js/review/clock.js";
import { choiceIntentOf, intentOf } from "../../../static/js/review/keys.js";
import { waitFor } from "../../../static/js/review/outbox.js";
import { boundsOf, fit, isFitted, panned, zoomAt } from "../../../static/js/review/viewport.js";

const WORDS = { seconds: "{n} s", minutes: "{n} min", hours: "{n} h", days: "{n} d", due_in: "due in {t}", overdue: "overdue by {t}" };
const press = (code, more = {}) => ({ code, key: "", shiftKey: false, ctrlKey: false, altKey: false, metaKey: false, repeat: false, ...more });

test("keys are read by their place, whatever letter is on them", () => {
  assert.deepEqual(intentOf(press("KeyA", { key: "q" })), { name: "accept" });
  assert.deepEqual(intentOf(press("KeyR", { key: "к" })), { name: "reject" });
});

test("a held key and a browser's own shortcut mean nothing", () => {
  assert.equal(intentOf(press("KeyA", { repeat: true })), null);
  assert.equal(intentOf(press("KeyR", { ctrlKey: true })), null);
  assert.equal(intentOf(press("KeyR", { metaKey: true })), null);
});

test("shift opens the choice, and chooses the defect by digit", () => {
  assert.deepEqual(intentOf(press("KeyR", { shiftKey: true })), { name: "choose" });
  assert.deepEqual(intentOf(press("Digit3", { shiftKey: true, key: "#" })), { name: "class", digit: 3 });
  assert.equal(intentOf(press("KeyA", { shiftKey: true })), null);
});

test("in the choice digits choose the defect and letters the disposition; accept is out of reach", () => {
  assert.deepEqual(choiceIntentOf(press("Numpad2")), { name: "class", digit: 2 });
  assert.deepEqual(choiceIntentOf(press("KeyX")), { name: "reject-as", disposition: "SCRAP" });
  assert.equal(choiceIntentOf(press("KeyA")), null);
});

test("one and nought are the zoom of the open bench", () => {
  assert.deepEqual(intentOf(press("Digit0")), { name: "fit" });
  assert.deepEqual(intentOf(press("Digit1")), { name: "actual" });
});

test("the point under the pointer stays under it while zooming", () => {
  const [stage, image] = [{ width: 800, height: 600 }, { width: 400, height: 300 }];
  const before = fit(stage, image);
  const [px, py] = [500, 200];
  const at = (v) => [(px - v.x) / v.scale, (py - v.y) / v.scale];
  const after = zoomAt(before, 1.7, px, py, stage, image);
  at(before).forEach((value, axis) => assert.ok(Math.abs(value - at(after)[axis]) < 1e-9));
});

test("a fitted image lies whole and centred on the stage", () => {
  const [stage, image] = [{ width: 800, height: 600 }, { width: 4000, height: 500 }];
  const view = fit(stage, image);
  assert.ok(view.x >= 0 && view.x + image.width * view.scale <= stage.width);
  assert.ok(Math.abs(view.x * 2 + image.width * view.scale - stage.width) < 1e-9);
  assert.ok(isFitted(view, stage, image));
});

test("the image cannot be dragged out of sight", () => {
  const [stage, image] = [{ width: 800, height: 600 }, { width: 400, height: 300 }];
  const far = panned(fit(stage, image), 9_999, -9_999, stage, image);
  assert.ok(far.x < stage.width && far.y + image.height * far.scale > 0);
});

test("a polygon's bounds hold all its points", () => {
  const region = { box: null, polygon: [[10, 20], [30, 5], [15, 40]] };
  assert.deepEqual(boundsOf(region), { x: 10, y: 5, width: 20, height: 35 });
  assert.equal(boundsOf({ box: null, polygon: null }), null);
});

test("a deadline says how much is left, or by how much it passed", () => {
  const now = Date.parse("2026-11-22T06:00:00Z");
  assert.deepEqual(against("2026-11-22T06:05:00Z", now, WORDS), { isOver: false, text: "due in 5 min" });
  assert.deepEqual(against("2026-11-22T05:59:20Z", now, WORDS), { isOver: true, text: "overdue by 40 s" });
});

test("durations keep one unit and never go below nothing", () => {
  assert.deepEqual([-3, 99, 150, 7200, 200_000].map((s) => duration(s, WORDS)), ["0 s", "99 s", "3 min", "2 h", "2 d"]);
});

test("words without a value stay as they are", () => {
  assert.equal(fill("{a} and {b}", { a: "<b>" }), "<b> and {b}");
});

test("waiting doubles up to ten seconds, and longer when the server asks", () => {
  assert.deepEqual([1, 2, 3, 9].map((n) => waitFor(n, null)), [0.5, 1, 2, 10]);
  assert.equal(waitFor(1, 30), 30);
});
