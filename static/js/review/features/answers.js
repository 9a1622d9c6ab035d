// What a lead made of the units this person handed on: a quiet count, and a list behind it.

import { fill, moment } from "../clock.js";
import { byId, element, say } from "../dom.js";

/**
 * @typedef {import("../context.js").Bench} Bench
 * @typedef {{id: string, serial: string, line: string, asked: string, answer: string,
 *   defect_class: string|null, disposition: string, remark: string, by: string, at: string,
 *   is_seen: boolean}} Answer
 */

/** @param {Bench} bench */
export function install(bench) {
  const { acts, api, config, popovers, session, strings } = bench;

  /** @param {number} unseen */
  function count(unseen) {
    byId("answers").classList.toggle("status__answers--new", unseen > 0);
    say("answers-count", unseen > 0 ? String(unseen) : "");
  }

  /** @param {Answer} answer */
  function row(answer) {
    const what = answer.defect_class ? bench.className(answer.defect_class) : strings[answer.answer];
    const said = `${what} · ${strings[answer.disposition] ?? answer.disposition}`;
    const isNew = answer.is_seen ? [] : [element("span", { class: "state state--warn" }, strings.answer_new), " "];
    return element(
      "li",
      { class: "answer" },
      element("p", {}, ...isNew, element("strong", {}, answer.serial), ` ${said}`),
      ...(answer.asked ? [element("p", { class: "small quiet" }, fill(strings.answer_asked, { text: answer.asked }))] : []),
      ...(answer.remark ? [element("p", {}, element("q", {}, answer.remark))] : []),
      element("p", { class: "small quiet" }, `${answer.by} · ${moment(answer.at, config.language)}`),
    );
  }

  async function open() {
    if (popovers.open === "answers") {
      popovers.close();
      return;
    }
    popovers.show("answers");
    try {
      const { answers } = await api.request("GET", "/answers");
      byId("answers-list").replaceChildren(...answers.map(row));
      say("answers-none", answers.length > 0 ? "" : strings.answers_none);
      const seen = answers.filter((/** @type {Answer} */ each) => !each.is_seen).map((/** @type {Answer} */ each) => each.id);
      if (seen.length > 0) {
        const { unseen } = await api.request("POST", "/answers", { seen });
        bench.figures.outdate();
        count(unseen);
      }
    } catch {
      say("answers-none", strings.unreachable);
    }
  }

  acts.answers = () => void open();
  bench.on("figures", (queue) => {
    count(queue.answers ?? 0);
    // Somebody else has it by now, or a lead took it back: ask at once, not at the next beat.
    const held = bench.held();
    if (held && queue.held && !queue.held.includes(held.task.id) && !session.isLost) {
      void session.heartbeat();
    }
  });
}
