// What is done with a unit by the acceptance criteria: the server's rules, evaluated before a key
// is pressed. review/unit_verdict.py is the same in Python; a table of cases holds both together.

import { corners, touch } from "./zones.js";

/**
 * @typedef {import("./zones.js").Outline} Outline
 * @typedef {{view: string, defect_class: string, outline?: Outline, link?: string}} Finding
 * @typedef {{name: string, view: string, severity: string, polygon: Outline}} Zone
 * @typedef {{defect_class: string, severity: string, part_number: string, largest: number|null,
 *   most: number|null, spacing: number|null, area: number|null, disposition: string}} Rule
 * @typedef {{name: string, severity: string, usual: string}} Known
 * @typedef {{expected: number, present: string[], unfit: string[]}} Views
 * @typedef {{code: string, facts: Record<string, string|number>}} Reason
 * @typedef {{finding: Finding, kind: string, isRuled: boolean, reason: Reason}} Judged
 * @typedef {{kind: string, least: string, reason: Reason, findings: Judged[]}} UnitVerdict
 * @typedef {{finding: Finding, zone: Zone|null, rule: Rule|null}} Placed
 * @typedef {{count: number, area: number, gaps: Map<string, number>}} Sums
 */

/** @type {Record<string, number>} */
export const BADNESS = { ACCEPT: 0, REWORK: 1, HOLD: 2, SCRAP: 3 };
/** @type {Record<string, number>} */
const SEVERITY_RANK = { critical: 0, major: 1, minor: 2 };

/**
 * @param {{findings: Finding[], classes: Record<string, Known>, zones: Zone[], rules: Rule[],
 *   part_number: string, views: Views}} unit
 * @returns {UnitVerdict}
 */
export function judge({ findings, classes, zones, rules, part_number: part, views }) {
  const placed = findings.map((each) => place(each, classes, zones, rules, part));
  const sums = new Map(rules.map((rule) => [rule, sumsOf(rule, placed)]));
  const judged = placed.map((each) => judgeOne(each, sums, classes));
  if (!isWhole(views)) {
    return { kind: "HOLD", least: "HOLD", reason: incomplete(views), findings: judged };
  }
  if (judged.length === 0) {
    return { kind: "ACCEPT", least: "ACCEPT", reason: { code: "good", facts: {} }, findings: [] };
  }
  const worst = judged.reduce((one, other) => (order(one, other) < 0 ? other : one));
  const ruled = judged.filter((each) => each.isRuled).map((each) => each.kind);
  const least = ruled.reduce((a, b) => (BADNESS[b] > BADNESS[a] ? b : a), "ACCEPT");
  return { kind: worst.kind, least, reason: worst.reason, findings: judged };
}

/** @param {Views} views whether every expected view is here and fit to judge */
export function isWhole({ expected, present, unfit }) {
  return present.length >= expected && unfit.length === 0;
}

/** @param {Views} views @returns {Reason} */
export function incomplete({ expected, present, unfit }) {
  return present.length < expected
    ? { code: "missing", facts: { present: present.length, expected } }
    : { code: "unfit", facts: { views: [...unfit].sort().join(", ") } };
}

/**
 * What was drawn, and the class that was named where none of it was drawn.
 * @param {string} code
 * @param {{view: string, label: string, box?: number[]|null, polygon?: number[][]|null}[]} regions
 * @returns {Finding[]}
 */
export function findingsOf(code, regions) {
  const found = regions.map((region) => ({
    view: region.view,
    defect_class: region.label,
    outline: region.box ? corners(region.box) : /** @type {Outline} */ (region.polygon ?? []),
  }));
  const isDrawn = found.some((each) => each.defect_class === code);
  return isDrawn ? found : [...found, { view: "", defect_class: code, outline: [] }];
}

/**
 * @param {Finding} finding @param {Record<string, Known>} classes @param {Zone[]} zones
 * @param {Rule[]} rules @param {string} part @returns {Placed}
 */
function place(finding, classes, zones, rules, part) {
  const outline = outlineOf(finding);
  if (outline.length === 0) {
    return { finding, zone: null, rule: null };
  }
  const [zone = null] = zones
    .filter((each) => each.view === finding.view && touch(outline, each.polygon))
    .sort((a, b) => SEVERITY_RANK[a.severity] - SEVERITY_RANK[b.severity] || compare(a.name, b.name));
  const severity = zone ? zone.severity : classes[finding.defect_class].severity;
  return { finding, zone, rule: ruleFor(rules, [part, severity, finding.defect_class]) };
}

/** @param {Rule[]} rules @param {string[]} asked @returns {Rule|null} the one that names the most */
function ruleFor(rules, asked) {
  /** @param {Rule} rule */
  const names = (rule) => [rule.part_number, rule.severity, rule.defect_class];
  /** @param {Rule} rule */
  const weight = (rule) => {
    const named = names(rule).map((name) => (name ? 1 : 0));
    return (named[0] + named[1] + named[2]) * 8 + named[0] * 4 + named[1] * 2 + named[2];
  };
  const fitting = rules.filter((rule) =>
    names(rule).every((name, index) => name === "" || name === asked[index]),
  );
  return fitting.sort((a, b) => weight(b) - weight(a))[0] ?? null;
}

/**
 * @param {Placed} one @param {Map<Rule, Sums>} sums @param {Record<string, Known>} classes
 * @returns {Judged}
 */
function judgeOne({ finding, zone, rule }, sums, classes) {
  const known = classes[finding.defect_class];
  const what = zone ? `${known.name} (${zone.name})` : known.name;
  const all = rule && sums.get(rule);
  if (!rule || !all) {
    const code = sums.size > 0 && outlineOf(finding).length === 0 ? "undrawn" : "usual";
    return { finding, kind: known.usual, isRuled: false, reason: { code, facts: { what } } };
  }
  const passed = beyond(rule, finding, all);
  if (!passed) {
    return { finding, kind: "ACCEPT", isRuled: true, reason: { code: "within", facts: { what } } };
  }
  const [code, value, limit] = passed;
  const facts = { what, value: rounded(value), limit: rounded(limit) };
  return { finding, kind: rule.disposition, isRuled: true, reason: { code, facts } };
}

/**
 * What all the findings of a rule come to: how many, how large together, the smallest gap of two.
 * @param {Rule} rule @param {Placed[]} placed @returns {Sums}
 */
function sumsOf(rule, placed) {
  const alike = placed.filter((each) => each.rule === rule).map((each) => each.finding);
  const defects = byDefect(alike);
  const areas = defects.map((seen) => Math.max(...seen.map((each) => area(outlineOf(each)))));
  // Sorted, so that the sum does not hang on the order of the findings.
  const sum = areas.sort((a, b) => a - b).reduce((one, other) => one + other, 0);
  const views = rule.spacing === null ? [] : new Set(alike.map((each) => each.view));
  const gaps = new Map(
    [...views].map((view) => [view, leastGap(alike.filter((each) => each.view === view))]),
  );
  return { count: defects.length, area: sum, gaps };
}

/**
 * The first limit of the rule that is passed: its name, what was measured, what is allowed.
 * @param {Rule} rule @param {Finding} one @param {Sums} sums @returns {[string, number, number]|null}
 */
function beyond(rule, one, sums) {
  const size = longest(outlineOf(one));
  if (rule.largest !== null && size > rule.largest) {
    return ["largest", size, rule.largest];
  }
  if (rule.most !== null && sums.count > rule.most) {
    return ["most", sums.count, rule.most];
  }
  const gap = sums.gaps.get(one.view) ?? Infinity;
  if (rule.spacing !== null && gap < rule.spacing) {
    return ["spacing", gap, rule.spacing];
  }
  return rule.area !== null && sums.area > rule.area ? ["area", sums.area, rule.area] : null;
}

/** @param {Finding[]} findings @returns {Finding[][]} those that are linked together */
function byDefect(findings) {
  /** @type {Map<unknown, Finding[]>} */
  const found = new Map();
  for (const each of findings) {
    const key = each.link || each;
    found.set(key, [...(found.get(key) ?? []), each]);
  }
  return [...found.values()];
}

/** @param {Finding[]} near the smallest gap between two defects of one view */
function leastGap(near) {
  const placed = near
    .map((each) => ({ link: each.link, bounds: boundsOf(outlineOf(each)) }))
    .sort((a, b) => a.bounds[0] - b.bounds[0]);
  let least = Infinity;
  for (let one = 0; one < placed.length; one += 1) {
    const { link, bounds } = placed[one];
    // From left to right: what begins farther off than the smallest gap so far is no nearer.
    for (let other = one + 1; other < placed.length; other += 1) {
      if (placed[other].bounds[0] - bounds[2] >= least) {
        break;
      }
      if (!link || link !== placed[other].link) {
        least = Math.min(least, gapOf(bounds, placed[other].bounds));
      }
    }
  }
  return least;
}

/** @param {Finding} finding */
function outlineOf(finding) {
  return finding.outline ?? [];
}

/** @param {Outline} outline @returns {[number, number, number, number]} */
function boundsOf(outline) {
  const [xs, ys] = [outline.map(([x]) => x), outline.map(([, y]) => y)];
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

/** @param {Outline} outline */
function longest(outline) {
  const [left, top, right, bottom] = boundsOf(outline);
  return Math.max(right - left, bottom - top);
}

/** @param {number[]} a @param {number[]} b */
function gapOf(a, b) {
  const across = Math.max(0, b[0] - a[2], a[0] - b[2]);
  const down = Math.max(0, b[1] - a[3], a[1] - b[3]);
  return Math.sqrt(across * across + down * down);
}

/** @param {Outline} outline */
function area(outline) {
  const doubled = outline.reduce((sum, [x, y], index) => {
    const [nextX, nextY] = outline[(index + 1) % outline.length];
    return sum + (x * nextY - nextX * y);
  }, 0);
  return Math.abs(doubled) / 2;
}

/** @param {number} value to whole pixels, halves up */
function rounded(value) {
  return Math.floor(value + 0.5);
}

/** @param {Judged} a @param {Judged} b below zero when b is worse, or as bad and later in order */
function order(a, b) {
  const [one, other] = [a.finding, b.finding];
  return (
    BADNESS[a.kind] - BADNESS[b.kind] ||
    compare(one.view, other.view) ||
    compare(one.defect_class, other.defect_class) ||
    comparePoints(sorted(outlineOf(one)), sorted(outlineOf(other)))
  );
}

/** @param {Outline} outline */
function sorted(outline) {
  return [...outline].sort((p, q) => p[0] - q[0] || p[1] - q[1]);
}

/** @param {Outline} a @param {Outline} b */
function comparePoints(a, b) {
  for (let index = 0; index < Math.min(a.length, b.length); index += 1) {
    const by = a[index][0] - b[index][0] || a[index][1] - b[index][1];
    if (by !== 0) {
      return by;
    }
  }
  return a.length - b.length;
}

/** @param {string} a @param {string} b */
function compare(a, b) {
  return Number(a > b) - Number(a < b);
}
