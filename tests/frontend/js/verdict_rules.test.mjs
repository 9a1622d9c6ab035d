// The rules at the bench give what the server's give, case by case.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { findingsOf, judge } from "../../../static/js/review/verdict_rules.js";

const CASES = JSON.parse(
  readFileSync(new URL("../../fixtures/unit_verdicts.json", import.meta.url), "utf8"),
);

for (const { name, unit, expect } of CASES) {
  test(name, () => {
    const { kind, least, reason } = judge(unit);
    assert.deepEqual({ kind, least, code: reason.code, facts: reason.facts }, expect);
  });
}

test("a class that was named and not drawn is a finding of its own", () => {
  const drawn = [{ view: "top", label: "dent", box: [1, 2, 3, 4] }];
  assert.equal(findingsOf("scratch", drawn).length, 2);
  assert.deepEqual(findingsOf("dent", drawn), [
    { view: "top", defect_class: "dent", outline: [[1, 2], [4, 2], [4, 6], [1, 6]] },
  ]);
});
