// The verdict bar: what each key would do now, and how long the last verdict can be taken back.

import { fill } from "./clock.js";
import { byId, element, say } from "./dom.js";

export class VerdictBar {
  /**
   * @param {{strings: Record<string, string>, classes: () => import("./types.js").DefectClass[],
   *   onClass: (code: string) => void}} options
   */
  constructor({ strings, classes, onClass }) {
    this.strings = strings;
    this.classes = classes;
    this.onClass = onClass;
    this.shownFor = "";
  }

  /**
   * @param {{held: import("./types.js").Held|null, canJudge: boolean, canAccept?: boolean, canLeave: boolean,
   *   isTakingBack: boolean, hasUndo: boolean, undoLeft: number|null,
   *   ruled?: {kind: string, words: string}|null, acceptWords?: string|null}} now
   *   `ruled`, `acceptWords`: what the rules make of a reject and of an accept, where they have a say
   */
  show(now) {
    const { held, canJudge, canAccept = canJudge, canLeave, isTakingBack, hasUndo, undoLeft } = now;
    const { ruled = null, acceptWords = null } = now;
    const { strings } = this;
    const chosen = this.classes().find((each) => each.code === held?.choice.defectClass);
    enable("accept", canAccept);
    enable("reject", canJudge);
    // From there a unit nobody can see is held.
    enable("choose", canLeave);
    enable("skip", canLeave);
    enable("escalate", canLeave);
    enable("undo", hasUndo && !isTakingBack);
    const accepted = held?.task.kind === "REVIEW" || !held ? strings.false_call : strings.good_part;
    say("accept-what", acceptWords ?? accepted);
    const disposition = chosen ? strings[chosen.default_disposition] : "";
    const what = chosen ? `${chosen.name} · ${ruled?.words ?? disposition}` : strings.which_defect;
    say("reject-what", held ? what : "");
    say("undo-left", undoWords(strings, isTakingBack, hasUndo, undoLeft));
    this.#choice(held, canJudge, ruled?.kind ?? chosen?.default_disposition ?? "");
  }

  /**
   * @param {import("./types.js").Held|null} held @param {boolean} canJudge
   * @param {string} usual what a plain reject gives
   */
  #choice(held, canJudge, usual) {
    const list = byId("choice-classes");
    const name = held ? held.task.station.site : "";
    if (this.shownFor !== name) {
      this.shownFor = name;
      list.replaceChildren(...this.classes().map((defect, index) => this.#chip(defect, index)));
    }
    for (const button of list.querySelectorAll("button")) {
      const isChosen = button.dataset.code === held?.choice.defectClass;
      button.setAttribute("aria-pressed", String(isChosen));
    }
    const isOpen = held !== null && held.choice.defectClass === null;
    for (const each of document.querySelectorAll("[data-act='reject-as'], [data-act='concede']")) {
      const button = /** @type {HTMLButtonElement} */ (each);
      button.disabled = isOpen || !canJudge;
      button.classList.toggle("button--primary", button.dataset.disposition === usual);
    }
    byId("choice-missing").hidden = !isOpen;
  }

  /** @param {import("./types.js").DefectClass} defect @param {number} index */
  #chip(defect, index) {
    const button = element(
      "button",
      { class: "button chip", type: "button", "data-code": defect.code, "aria-pressed": "false" },
      ...(index < 9 ? [element("kbd", {}, String(index + 1))] : []),
      defect.name,
    );
    button.addEventListener("click", () => this.onClass(defect.code));
    return element("li", {}, button);
  }
}

/** @param {string} id @param {boolean} can */
function enable(id, can) {
  const button = /** @type {HTMLButtonElement} */ (byId(id));
  if (button.disabled === can) {
    button.disabled = !can;
  }
}

/**
 * @param {Record<string, string>} strings @param {boolean} isTakingBack @param {boolean} hasUndo
 * @param {number|null} left
 */
function undoWords(strings, isTakingBack, hasUndo, left) {
  if (isTakingBack) {
    return strings.taking_back;
  }
  if (!hasUndo) {
    return "";
  }
  return left === null ? strings.on_its_way : fill(strings.seconds, { n: Math.ceil(left) });
}
