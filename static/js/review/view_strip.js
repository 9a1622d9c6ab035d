// The views of a unit, as small pictures; Tab goes from one to the next. A view that has not come
// has its place already, so that nothing moves when it does.

import { fill } from "./clock.js";
import { byId, element } from "./dom.js";
import { scoreWords } from "./numbers.js";

// So many captures are remembered as seen; more than are ever with one person.
const MOST_SEEN = 500;

/** @typedef {import("./types.js").View} View */

export class ViewStrip {
  /** @param {(index: number) => void} onView @param {Record<string, string>} strings */
  constructor(onView, strings) {
    this.onView = onView;
    this.strings = strings;
    /** @type {View[]} */
    this.views = [];
    /** @type {Set<string>} captures that were on the stage */
    this.seen = new Set();
  }

  /**
   * @param {View[]} views @param {import("./pictures.js").Picture[]} pictures
   * @param {number} expected how many there should be
   */
  show(views, pictures, expected = 0) {
    this.views = views;
    const names = new Set(views.map((view) => view.view));
    const missing = Math.max(0, expected - names.size);
    const count = views.length + missing;
    const list = byId("views");
    list.hidden = count < 2;
    list.title = this.#chance(views);
    list.replaceChildren(
      ...(count < 2 ? [] : views.map((view, index) => this.#place(view, index, count, pictures[index]))),
      ...Array.from({ length: count < 2 ? 0 : missing }, (_, index) =>
        this.#empty(views.length + index + 1, count),
      ),
    );
  }

  /** @param {number} index @param {import("./pictures.js").Picture} picture */
  arrive(index, picture) {
    if (picture.state === "ready") {
      byId("views").querySelectorAll("img")[index]?.setAttribute("src", picture.address);
    }
    const view = this.views[index];
    if (view) {
      this.#buttons()[index]?.querySelector(".view__seen")?.replaceChildren(this.#standing(view, picture));
    }
  }

  /** @param {number} shown */
  mark(shown) {
    this.#buttons().forEach((button, index) =>
      button.setAttribute("aria-current", index === shown ? "true" : "false"),
    );
    this.#buttons()[shown]?.scrollIntoView?.({ block: "nearest", inline: "nearest" });
  }

  /** @param {number} index a view whose image is on the stage */
  see(index) {
    const view = this.views[index];
    if (!view || this.seen.has(view.capture)) {
      return;
    }
    if (this.seen.size >= MOST_SEEN) {
      this.seen.clear();
    }
    this.seen.add(view.capture);
    const mark = this.#buttons()[index]?.querySelector(".view__seen");
    mark?.replaceChildren(this.strings.view_seen);
  }

  /** @param {View[]} views the chance that one of them shows a defect; none where judged blind */
  #chance(views) {
    const scores = views.flatMap((view) => view.score ?? []);
    if (scores.length < views.length || scores.length === 0) {
      return "";
    }
    const chance = 1 - scores.reduce((none, score) => none * (1 - score), 1);
    return fill(this.strings.unit_chance, { p: scoreWords(chance) });
  }

  /** @returns {HTMLElement[]} */
  #buttons() {
    return [...byId("views").querySelectorAll("button")];
  }

  /**
   * @param {View} view @param {number} index @param {number} count
   * @param {import("./pictures.js").Picture} picture
   */
  #place(view, index, count, picture) {
    const { strings } = this;
    const small = element("img", { alt: "", width: "64", height: "48", class: "view__small" });
    if (picture.address) {
      small.setAttribute("src", picture.address);
    }
    const fitness = this.#fitness(view, index);
    const button = element(
      "button",
      { class: "view", type: "button" },
      small,
      element("span", { class: "view__name" }, nameOf(view)),
      element("span", { class: fitness.isFit ? "view__fit" : "view__fit view__fit--not" }, fitness.word),
      element("span", { class: "view__seen" }, this.#standing(view, picture)),
      element("span", { class: "view__number" }, `${index + 1}/${count}`),
    );
    button.addEventListener("click", () => this.onView(index));
    return element("li", {}, button);
  }

  /**
   * Whether it was looked at, or why it cannot be.
   * @param {View} view @param {import("./pictures.js").Picture} picture
   */
  #standing(view, picture) {
    if (picture.state !== "ready") {
      return picture.state === "failed" ? this.strings.view_failed : this.strings.view_coming;
    }
    return this.seen.has(view.capture) ? this.strings.view_seen : "";
  }

  /** @param {number} number @param {number} count */
  #empty(number, count) {
    const words = fill(this.strings.view_missing, { n: number, count });
    return element("li", {}, element("p", { class: "view view--empty" }, words));
  }

  /** @param {View} view @param {number} index */
  #fitness(view, index) {
    const isLatest = this.views.findLastIndex((each) => each.view === view.view) === index;
    if (!isLatest) {
      return { isFit: true, word: this.strings.view_again };
    }
    const isFit = view.quality.verdict !== "unfit";
    const isKnown = Boolean(view.quality.verdict);
    return { isFit, word: isFit ? (isKnown ? this.strings.view_fit : "") : this.strings.view_unfit };
  }
}

/** @param {View} view */
function nameOf(view) {
  const { score } = view;
  return score === null || score === undefined ? view.view : `${view.view} ${scoreWords(score)}`;
}
