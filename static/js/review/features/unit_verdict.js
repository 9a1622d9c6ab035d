// What the buttons would make of the unit by the acceptance criteria, and why, before one is pressed.

import { fill } from "../clock.js";
import { say } from "../dom.js";
import { standsAgainst } from "./due_pictures.js";
import { findingsOf, incomplete, isWhole, judge } from "../verdict_rules.js";

/**
 * @typedef {import("../context.js").Bench} Bench
 * @typedef {import("../types.js").Held} Held
 * @typedef {Parameters<typeof findingsOf>[1]} Drawn
 */

/** @param {Bench} bench */
export function install(bench) {
  const { strings } = bench;
  let key = "";
  /** @type {import("../verdict_rules.js").UnitVerdict|null} */
  let verdict = null;

  /** @param {import("../verdict_rules.js").Reason} reason */
  const sentence = ({ code, facts }) => fill(strings[`verdict_${code}`] ?? "", facts);

  /**
   * Judged once for what is on the screen, however often it is asked for.
   * @param {Held} held @param {string} code @param {Drawn} regions
   */
  function judged(held, code, regions) {
    const now = JSON.stringify([held.task.id, held.task.fence, held.task.views.length, code, regions]);
    if (now !== key) {
      key = now;
      verdict = judge({
        findings: findingsOf(code, regions),
        classes: classesOf(bench, held, code, regions),
        zones: zonesOf(held),
        rules: held.task.criteria?.rules ?? [],
        part_number: held.task.unit.part_number ?? "",
        views: viewsOf(held),
      });
    }
    return /** @type {import("../verdict_rules.js").UnitVerdict} */ (verdict);
  }

  bench.acceptFor = (held) =>
    isWhole(viewsOf(held)) ? null : { kind: "HOLD", words: strings.hold_incomplete };

  bench.dispositionFor = (held, code, regions) => {
    if (!isWhole(viewsOf(held))) {
      // The class stands before it; the whole sentence is in the rail.
      return { kind: "HOLD", words: strings.held_incomplete };
    }
    if (!held.task.criteria) {
      return null;
    }
    const { kind } = judged(held, code, /** @type {Drawn} */ (regions));
    return { kind, words: kind === "ACCEPT" ? strings.within_limits : strings[kind] };
  };

  /** @param {Held} held */
  function why(held) {
    const due = standsAgainst(strings, held, bench.viewIndex());
    if (due) {
      return due.sentence;
    }
    if (!isWhole(viewsOf(held))) {
      return sentence(incomplete(viewsOf(held)));
    }
    const code = held.choice.defectClass;
    if (!held.task.criteria || code === null) {
      return "";
    }
    return sentence(judged(held, code, bench.regionsOf?.(held) ?? []).reason);
  }

  bench.on("change", () => {
    const held = bench.held();
    say("unit-verdict", held ? why(held) : "");
  });
}

/** @param {Held} held the unit's views; one that was taken again counts as its latest image */
export function viewsOf(held) {
  const latest = new Map(held.task.views.map((view) => [view.view, view.quality.verdict]));
  return {
    expected: held.task.views_expected,
    present: [...latest.keys()],
    unfit: [...latest].filter(([, fitness]) => fitness === "unfit").map(([name]) => name),
  };
}

/** @param {Held} held */
function zonesOf(held) {
  const byView = new Map(held.task.views.map((view) => [view.view, view.zones ?? []]));
  return [...byView].flatMap(([view, zones]) => zones.map((zone) => ({ ...zone, view })));
}

/** @param {Bench} bench @param {Held} held @param {string} code @param {Drawn} regions */
function classesOf(bench, held, code, regions) {
  const catalogue = bench.classesOf(held);
  return Object.fromEntries(
    [code, ...regions.map((region) => region.label)].map((each) => {
      const found = catalogue.find((one) => one.code === each);
      const usual = found?.default_disposition ?? "HOLD";
      return [each, { name: found?.name ?? each, severity: found?.severity ?? "major", usual }];
    }),
  );
}
