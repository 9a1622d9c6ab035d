// A scanner is told from a person by how fast it types.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Wedge } from "../../../static/js/line/scanner.js";

/** @param {string} text @param {(n: number) => number} gap milliseconds before character n */
function typed(text, gap, wedge = new Wedge(), from = 1000) {
  let now = from;
  [...text].forEach((key, n) => {
    now += n ? gap(n) : 0;
    wedge.key(key, now);
  });
  return wedge.key("Enter", now + gap(text.length)).code;
}

test("what comes faster than a person types is a scan, capitals and signs included", () => {
  assert.equal(typed("B-operator", () => 5), "B-operator");
});

test("one character of a scan may hesitate, wherever it is", () => {
  for (const slow of [1, 4, 9, 10]) {
    assert.equal(typed("B-operator", (n) => (n === slow ? 180 : 8)), "B-operator", `at ${slow}`);
  }
});

test("what a person types is none, a PIN least of all", () => {
  assert.equal(typed("258013", () => 120), null);
  assert.equal(typed("2580", () => 60), null);
});

test("a scan that follows what somebody typed begins with itself", () => {
  const wedge = new Wedge();
  wedge.key("7", 100);
  assert.equal(typed("B-4711", () => 6, wedge, 600), "B-4711");
});

test("two characters and Enter are no scan", () => {
  assert.equal(typed("ab", () => 5), null);
});

test("its characters are kept from fields and buttons from the second on", () => {
  const wedge = new Wedge();
  assert.equal(wedge.key("B", 0).isScan, false);
  assert.equal(wedge.key("-", 6).isScan, true);
  assert.equal(wedge.key("Shift", 8).isScan, false);
});

test("a scan that stutters is no scan, but its Enter is known for the end of something typed", () => {
  const wedge = new Wedge();
  [..."B-operator"].forEach((key, n) => wedge.key(key, 1000 + n * 90));
  assert.deepEqual(wedge.key("Enter", 1990), { isScan: false, code: null, isEnd: true });
  assert.deepEqual(wedge.key("Enter", 3000), { isScan: false, code: null, isEnd: false });
});
