import assert from "node:assert/strict";
import { test } from "node:test";

import { meaningOf } from "../../../static/js/review/annotation/keys.js";
import { isClear, plateOf } from "../../../static/js/review/annotation/labels.js";
import { placed } from "../../../static/js/review/annotation/geometry.js";

const idle = { tool: null, hasCrosshair: false, hasSelected: false, isOpen: false };
const press = (code, more = {}) => ({ code, key: code, shiftKey: false, ctrlKey: false, altKey: false, metaKey: false, repeat: false, ...more });

test("with nothing to draw or move every key keeps its own meaning", () => {
  for (const code of ["ArrowLeft", "Enter", "Space", "Backspace", "Escape", "Digit1"]) {
    assert.equal(meaningOf(press(code), idle), null);
  }
});

test("arrows move, with shift by one pixel, with alt the size of what is selected", () => {
  const box = { ...idle, tool: "box" };
  assert.deepEqual(meaningOf(press("ArrowLeft"), box), { what: "step", x: -10, y: 0, isOnePixel: false, isSize: false });
  assert.equal(meaningOf(press("ArrowUp", { altKey: true }), box), null);
  const selected = { ...idle, hasSelected: true };
  assert.deepEqual(meaningOf(press("ArrowDown", { altKey: true, shiftKey: true, repeat: true }), selected), {
    what: "step", x: 0, y: 10, isOnePixel: true, isSize: true,
  });
  assert.equal(meaningOf(press("ArrowDown", { ctrlKey: true }), selected), null);
});

test("enter sets once there is a crosshair, and closes an open polygon", () => {
  const box = { ...idle, tool: "box" };
  assert.equal(meaningOf(press("Enter"), box), null);
  assert.deepEqual(meaningOf(press("Enter"), { ...box, hasCrosshair: true }), { what: "set" });
  const polygon = { ...idle, tool: "polygon", hasCrosshair: true, isOpen: true };
  assert.deepEqual(meaningOf(press("Enter"), polygon), { what: "close" });
  assert.deepEqual(meaningOf(press("Space"), polygon), { what: "set" });
  assert.equal(meaningOf(press("Space", { repeat: true }), polygon), null);
});

test("backspace takes a point back before it deletes a region", () => {
  const polygon = { ...idle, tool: "polygon", hasSelected: true, isOpen: true };
  assert.deepEqual(meaningOf(press("Backspace"), polygon), { what: "back" });
  assert.deepEqual(meaningOf(press("Backspace"), { ...idle, hasSelected: true }), { what: "remove" });
});

test("plain digits are classes while there is something they can be of", () => {
  assert.deepEqual(meaningOf(press("Numpad3"), { ...idle, hasSelected: true }), { what: "class", digit: 3 });
  assert.equal(meaningOf(press("Digit0"), { ...idle, tool: "box" }), null);
  assert.equal(meaningOf(press("Digit3", { shiftKey: true }), { ...idle, tool: "box" }), null);
});

test("words stand above the region as it lies on the screen, within the stage, and never on others", () => {
  const stage = { width: 400, height: 300 };
  const words = { width: 80, height: 20 };
  const turned = placed({ scale: 2, rotation: 90, x: 300, y: 100 });
  const shape = { box: [10, 20, 30, 40], polygon: null };
  const plate = plateOf(turned, shape, words, stage);
  assert.deepEqual(plate, { x: 180, y: 97, ...words });
  assert.deepEqual(plateOf(turned, { box: [-500, -500, 10, 10], polygon: null }, words, stage), { x: 320, y: 0, ...words });
  assert.ok(!isClear(plate, [plate]));
  assert.ok(isClear(plate, [{ ...plate, y: 117 }]));
});
