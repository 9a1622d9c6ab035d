// The right rail: the question, the score on the policy's scale, the defect classes, the unit, its past.

import { byId, element, say } from "./dom.js";
import { fill, moment } from "./clock.js";
import { scoreWords } from "./numbers.js";

/** @typedef {import("./types.js").Task} Task */

export class Rail {
  /** @param {{strings: Record<string, string>, language: string, onClass: (code: string) => void}} options */
  constructor({ strings, language, onClass }) {
    this.strings = strings;
    this.language = language;
    this.onClass = onClass;
  }

  /** @param {Task} task @param {import("./types.js").DefectClass[]} classes */
  show(task, classes) {
    const kind = byId("kind");
    kind.className = `state ${{ CONTAIN: "state--hold", CAPTURE_CHECK: "state--warn" }[task.kind] ?? ""}`;
    kind.textContent = this.strings[`kind_${task.kind}`] ?? task.kind;
    byId("escalated").hidden = !task.is_escalated;
    say("question", task.question);
    this.#scale(task);
    this.#classes(classes);
    this.#facts(task);
    this.#history(task);
  }

  /** @param {string|null} code the class a reject would name */
  choose(code) {
    for (const button of byId("classes").querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset.code === code));
    }
  }

  /** @param {Task} task */
  #scale(task) {
    const isOpen = task.score !== null && task.policy !== null;
    byId("rail-score").hidden = !isOpen;
    byId("rail-blind").hidden = !task.is_blind;
    byId("rail-unscored").hidden = isOpen || Boolean(task.is_blind);
    if (task.score === null || task.policy === null) {
      return;
    }
    const { review_from: review, contain_from: contain } = task.policy;
    say("score", scoreWords(task.score));
    const band = task.score >= contain ? "contain" : task.score >= review ? "review" : "pass";
    say("band", this.strings[`band_${band}`]);
    const at = (/** @type {number} */ share) => (share * 100).toFixed(2);
    byId("scale-review").setAttribute("x", at(review));
    byId("scale-review").setAttribute("width", at(Math.max(0, contain - review)));
    byId("scale-contain").setAttribute("x", at(contain));
    byId("scale-contain").setAttribute("width", at(1 - contain));
    byId("scale-score").setAttribute("d", `M${at(task.score)} 0v20`);
    byId("scale-marks").setAttribute("d", `M${at(review)} 4v12M${at(contain)} 4v12`);
    const values = { review: scoreWords(review), contain: scoreWords(contain) };
    say("scale-words", fill(this.strings.scale, values));
  }

  /** @param {import("./types.js").DefectClass[]} classes */
  #classes(classes) {
    byId("classes").replaceChildren(
      ...classes.map((defect, index) => {
        const button = element(
          "button",
          { class: "class", type: "button", "data-code": defect.code, "aria-pressed": "false" },
          element("kbd", {}, index < 9 ? `⇧${index + 1}` : ""),
          element("span", { class: "class__name" }, defect.name),
          element("span", { class: "class__what" }, this.strings[defect.default_disposition]),
        );
        button.addEventListener("click", () => this.onClass(defect.code));
        return element("li", {}, button);
      }),
    );
  }

  /** @param {Task} task */
  #facts(task) {
    const { unit, station, model } = task;
    const part = [unit.part_number, unit.part_revision].filter(Boolean).join(" · ");
    say("serial", unit.serial);
    say("part", part || "–");
    say("lot", unit.lot ?? "–");
    say("supplier", unit.supplier ?? "–");
    say("station", [station.line, station.station].filter(Boolean).join(" · "));
    say("captured", task.views[0] ? moment(task.views[0].captured_at, this.language) : "–");
    this.#quality(task.views);
    say("model", [model.name, model.version].filter(Boolean).join(" ") || "–");
    say("policy", task.policy ? String(task.policy.version) : "–");
  }

  /**
   * How fit the images are to judge: a word, and the figures when one is not.
   * @param {import("./types.js").View[]} views
   */
  #quality(views) {
    const unfit = views.find((view) => view.quality.verdict === "unfit");
    const isKnown = views.some((view) => view.quality.verdict);
    const word = unfit ? this.strings.image_unfit : this.strings.image_fit;
    byId("quality").className = unfit ? "state state--warn" : "";
    say("quality", isKnown ? word : "–");
    say("quality-figures", unfit ? figuresOf(unfit.quality, this.strings) : "");
  }

  /** @param {Task} task */
  #history(task) {
    byId("history").replaceChildren(
      ...task.history.map((entry) =>
        element(
          "li",
          {},
          element("strong", {}, entry.what),
          ` ${entry.by} `,
          element("time", { class: "quiet", datetime: entry.at }, moment(entry.at, this.language)),
        ),
      ),
    );
    byId("history-none").hidden = task.history.length + (task.comments?.length ?? 0) > 0;
  }
}

/** @param {Record<string, unknown>} quality @param {Record<string, string>} strings */
function figuresOf(quality, strings) {
  return ["sharpness", "exposure", "glare", "framing"]
    .filter((name) => typeof quality[name] === "number")
    .map((name) => `${strings[name]} ${scoreWords(Number(quality[name]))}`)
    .join(", ");
}
