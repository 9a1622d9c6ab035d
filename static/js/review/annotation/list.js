// What is drawn on the unit, as a list beside the image: class, size, view; each can be focused.

import { element } from "../dom.js";
import { boundsOf } from "./geometry.js";

/** @typedef {import("./drawing.js").Drawn} Drawn */

export class RegionList {
  /** @param {HTMLElement} root @param {(region: Drawn) => void} onChoose */
  constructor(root, onChoose) {
    this.root = root;
    /** @type {Map<string, {region: Drawn, words: string, row: HTMLElement}>} */
    this.rows = new Map();
    /** @type {readonly Drawn[]} */
    this.regions = [];
    root.addEventListener("click", (event) => {
      const button = /** @type {Element} */ (event.target).closest("button");
      const chosen = this.regions.find(({ id }) => id === button?.dataset.region);
      if (chosen) {
        onChoose(chosen);
      }
    });
  }

  /**
   * @param {readonly Drawn[]} regions @param {string|null} selected
   * @param {(region: Drawn) => string} nameOf
   */
  show(regions, selected, nameOf) {
    this.regions = regions;
    const kept = this.rows;
    this.rows = new Map();
    for (const region of regions) {
      const words = `${nameOf(region)} · ${sizeOf(region)}`;
      const known = kept.get(region.id);
      const isSame = known?.words === words && known.region.view === region.view;
      const row = isSame ? known.row : made(region, words);
      row.firstElementChild?.setAttribute("aria-pressed", String(region.id === selected));
      this.rows.set(region.id, { region, words, row });
    }
    const rows = [...this.rows.values()].map(({ row }) => row);
    const { children } = this.root;
    if (rows.length !== children.length || rows.some((row, n) => row !== children[n])) {
      this.root.replaceChildren(...rows);
    }
    const shown = selected === null ? null : this.rows.get(selected)?.row;
    if (shown && this.root.scrollHeight > this.root.clientHeight) {
      this.root.scrollTop = Math.max(0, shown.offsetTop - this.root.clientHeight / 2);
    }
  }
}

/** @param {Drawn} region @returns {string} */
export function sizeOf(region) {
  const { width, height } = boundsOf(region);
  return `${round(width)} × ${round(height)} px`;
}

/** @param {Drawn} region @param {string} words */
function made(region, words) {
  return element(
    "li",
    {},
    element(
      "button",
      { class: "drawn", type: "button", "data-region": region.id, "aria-pressed": "false" },
      element("span", {}, words),
      element("span", { class: "drawn__view" }, region.view),
    ),
  );
}

/** @param {number} pixels */
function round(pixels) {
  return String(Math.round(pixels * 10) / 10);
}
