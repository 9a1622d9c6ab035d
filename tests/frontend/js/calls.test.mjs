import assert from "node:assert/strict";
import { test } from "node:test";

import { first, fresh, lineOf, renewed, toneOf, unanswered, whoOf } from "../../../static/js/review/calls.js";

const call = (id, more = {}) => ({
  id, kind: "HELP", word: "Help", line: "line-1", station: "st-1", at: "2026-11-22T06:00:00Z",
  by: null, answered_at: null, answered_by: null, escalated_at: null, may_answer: true, ...more,
});
const coming = { answered_at: "2026-11-22T06:01:00Z", answered_by: "Ines" };
const strings = {
  seconds: "{n} s", minutes: "{n} min", hours: "{n} h", days: "{n} d",
  call_line: "{word} · {station} · {t}", call_who: "{who} is coming",
  call_nobody: "nobody", call_escalated: "nobody, escalated",
};

test("what nobody comes for is shown before what somebody does", () => {
  const taken = call("a", { kind: "STOP", ...coming });
  assert.equal(first([taken, call("b")]).id, "b");
  assert.equal(first([taken]).id, "a");
  assert.equal(first([]), null);
});

test("a press answers only what nobody comes for and one may answer", () => {
  assert.equal(unanswered([call("a", coming), call("b", { may_answer: false })]), null);
  assert.equal(unanswered([call("a", coming), call("b")]).id, "b");
});

test("a stop and a call for help have a shape each, an answered one a third", () => {
  const tones = [call("a"), call("b", { kind: "STOP" }), call("c", { kind: "STOP", ...coming })].map(toneOf);
  assert.deepEqual(tones, ["warn", "hold", "quiet"]);
});

test("a call is told in words", () => {
  const now = Date.parse("2026-11-22T06:03:00Z");
  assert.equal(lineOf(call("a"), now, strings), "Help · st-1 · 3 min");
  assert.equal(whoOf(call("a"), strings), "nobody");
  assert.equal(whoOf(call("a", { escalated_at: "2026-11-22T06:03:00Z" }), strings), "nobody, escalated");
  assert.equal(whoOf(call("a", coming), strings), "Ines is coming");
});

test("what is new is told from what was there", () => {
  assert.deepEqual(fresh([call("a")], [call("a"), call("b")]).map(({ id }) => id), ["b"]);
});

test("an answer takes its call's place, a closed one goes", () => {
  const calls = [call("a"), call("b")];
  assert.equal(renewed(calls, call("a", coming))[0].answered_by, "Ines");
  assert.deepEqual(renewed(calls, call("a", { closed_at: "2026-11-22T06:05:00Z" })).map(({ id }) => id), ["b"]);
});
