import assert from "node:assert/strict";
import { test } from "node:test";

import {
  changed,
  choiceIntentOf,
  conflicts,
  DEFAULTS,
  intentOf,
  isReserved,
  labelOf,
  mapOf,
  ownOf,
} from "../../../static/js/review/keys.js";

const press = (code, more = {}) => ({ code, key: "", shiftKey: false, ctrlKey: false, altKey: false, metaKey: false, repeat: false, ...more });

test("the keys as they come have no conflict and take nothing reserved", () => {
  assert.deepEqual(conflicts(DEFAULTS), []);
  assert.deepEqual(Object.values(DEFAULTS).filter(isReserved), []);
});

test("every act answers to its key", () => {
  for (const [act, key] of Object.entries(DEFAULTS)) {
    const [code, shiftKey] = key.startsWith("Shift+") ? [key.slice(6), true] : [key, false];
    assert.deepEqual(intentOf(press(code, { shiftKey })), { name: act });
  }
});

test("an act on another key leaves its old one free", () => {
  const { map } = changed(DEFAULTS, "accept", press("KeyF"));
  assert.deepEqual(intentOf(press("KeyF"), map), { name: "accept" });
  assert.equal(intentOf(press("KeyA"), map), null);
  const again = changed(map, "skip", press("KeyA")).map;
  assert.deepEqual(intentOf(press("KeyA"), again), { name: "skip" });
});

test("a key that is taken is named with its act", () => {
  assert.deepEqual(changed(DEFAULTS, "accept", press("KeyS")), { taken: "skip" });
  assert.deepEqual(changed(DEFAULTS, "accept", press("KeyA")), { map: { ...DEFAULTS } });
});

test("what the bench or the browser needs cannot be taken", () => {
  for (const code of ["Escape", "Tab", "Digit3", "Numpad0", "ArrowLeft", "Enter", "Space", "F5", "ShiftLeft", "Slash"]) {
    assert.deepEqual(changed(DEFAULTS, "accept", press(code)), { reserved: true });
    assert.deepEqual(changed(DEFAULTS, "accept", press(code, { shiftKey: true })), { reserved: true });
  }
  assert.deepEqual(changed(DEFAULTS, "accept", press("KeyF", { ctrlKey: true })), { reserved: true });
});

test("what is kept is what differs, and makes the same map again", () => {
  const { map } = changed(DEFAULTS, "accept", press("KeyF", { shiftKey: true }));
  assert.deepEqual(ownOf(map), { accept: "Shift+KeyF" });
  assert.deepEqual(mapOf(ownOf(map)), map);
  assert.deepEqual(ownOf(DEFAULTS), {});
});

test("rubbish that was kept is left out; two acts on one key are the usual keys", () => {
  assert.deepEqual(mapOf(null), { ...DEFAULTS });
  assert.deepEqual(mapOf({ accept: 7, nonsense: "KeyF", skip: "Escape" }), { ...DEFAULTS });
  assert.deepEqual(mapOf({ accept: "KeyF", skip: "KeyF" }), { ...DEFAULTS });
});

test("a person's own key wins over one that came later", () => {
  const map = mapOf({ accept: "KeyQ" });
  assert.equal(map.accept, "KeyQ");
  assert.equal(map.answers, "");
  assert.deepEqual(intentOf(press("KeyQ"), map), { name: "accept" });
});

test("drawing is undone by letter, views turn by Tab, backspace deletes", () => {
  assert.deepEqual(intentOf(press("KeyY", { key: "z", ctrlKey: true })), { name: "undo-drawing" });
  assert.deepEqual(intentOf(press("KeyZ", { key: "Z", ctrlKey: true, shiftKey: true })), { name: "redo-drawing" });
  assert.deepEqual(intentOf(press("KeyY", { key: "y", ctrlKey: true })), { name: "redo-drawing" });
  assert.equal(intentOf(press("KeyA", { key: "a", ctrlKey: true })), null);
  assert.deepEqual(intentOf(press("Tab", { shiftKey: true })), { name: "view-back" });
  assert.deepEqual(intentOf(press("Backspace")), { name: "delete-region" });
});

test("in the choice the reject key is the person's own", () => {
  const { map } = changed(DEFAULTS, "reject", press("KeyJ"));
  assert.deepEqual(choiceIntentOf(press("KeyJ"), map), { name: "reject" });
  assert.equal(choiceIntentOf(press("KeyR"), map), null);
});

test("a key is called what is printed on it", () => {
  const german = new Map([["KeyZ", "y"], ["BracketLeft", "ü"], ["Minus", "ß"]]);
  assert.equal(labelOf("KeyZ", german), "Y");
  assert.equal(labelOf("BracketLeft", german), "Ü");
  assert.equal(labelOf("Minus", german), "ß");
  assert.equal(labelOf("Shift+KeyR"), "⇧R");
  assert.equal(labelOf("BracketLeft"), "[");
  assert.equal(labelOf("Delete"), "Del");
  assert.equal(labelOf(""), "");
});

test("Shift and R once more in the reject choice decide nothing", () => {
  assert.equal(choiceIntentOf(press("KeyR", { shiftKey: true })), null);
  assert.equal(choiceIntentOf(press("KeyX", { shiftKey: true })), null);
  assert.deepEqual(choiceIntentOf(press("KeyR")), { name: "reject" });
});

test("plain reject cannot lie on a key that scraps in the reject choice", () => {
  for (const code of ["KeyW", "KeyX", "KeyH", "KeyI"]) {
    assert.deepEqual(changed({ ...DEFAULTS, heatmap: "", invert: "" }, "reject", press(code)), { reserved: true });
  }
  assert.equal(mapOf({ reject: "KeyX" }).reject, DEFAULTS.reject);
});

test("a sign that lies on another act's key does not zoom, its place beside the digits does", () => {
  assert.deepEqual(intentOf(press("BracketRight", { key: "+" })), { name: "rotate-right" });
  assert.deepEqual(intentOf(press("Slash", { key: "-" })), { name: "zoom-out" });
  assert.deepEqual(intentOf(press("Equal", { key: "Dead" })), { name: "zoom-in" });
  assert.deepEqual(intentOf(press("NumpadAdd", { key: "+" })), { name: "zoom-in" });
  assert.deepEqual(intentOf(press("NumpadAdd", { key: "+", repeat: true })), { name: "zoom-in" });
  assert.equal(intentOf(press("KeyA", { key: "a", repeat: true })), null);
});

test("C in the reject choice asks for a concession, and plain reject cannot lie there", () => {
  assert.deepEqual(choiceIntentOf(press("KeyC")), { name: "concede" });
  assert.deepEqual(intentOf(press("KeyC")), { name: "comment" });
  const free = { ...DEFAULTS, comment: "KeyO" };
  assert.deepEqual(changed(free, "reject", press("KeyC")), { reserved: true });
});
