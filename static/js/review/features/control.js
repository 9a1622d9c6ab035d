// A unit that was a control is told to be one, right after its verdict; and a lead who adjudicates
// sees what the two said.

import { fill } from "../clock.js";
import { byId, element } from "../dom.js";

/** @param {import("../context.js").Bench} bench */
export function install(bench) {
  const { notices, strings } = bench;

  bench.on("settled", (entry, answer) => {
    const control = answer?.control;
    if (control) {
      const words = control.is_right ? strings.control_right : strings.control_wrong;
      const truth = truthOf(control);
      const options = { name: "control", isFault: !control.is_right };
      notices.show(fill(words, { serial: entry.serial, truth }), options);
    }
  });

  bench.on("show", (held) => {
    const verdicts = held?.task.adjudication?.verdicts ?? [];
    byId("adjudication").hidden = verdicts.length === 0;
    byId("adjudication").replaceChildren(...verdicts.map(row));
  });

  /** @param {{truth: string, defect_class: string}} control */
  function truthOf(control) {
    return control.truth === "CONFIRMED" ? nameOf(control.defect_class) : strings.good_part;
  }

  /** @param {string} code */
  function nameOf(code) {
    // The unit on the screen is the next one already, or none.
    const known = Object.values(bench.config.classes).flat();
    return known.find((/** @type {any} */ each) => each.code === code)?.name ?? bench.className(code);
  }

  /** @param {import("../types.js").OpposedVerdict} verdict */
  function row(verdict) {
    const says = verdict.defect_class ? nameOf(verdict.defect_class) : strings[verdict.answer];
    return element(
      "li",
      {},
      element("strong", {}, `${says} · ${strings[verdict.disposition]}`),
      ` ${verdict.by}`,
      ...(verdict.comment ? [" ", element("q", {}, verdict.comment)] : []),
    );
  }
}
