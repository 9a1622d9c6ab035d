// The three small forms above the verdict bar: how to reject, why to skip, what to tell the lead.

import { byId } from "./dom.js";

const NAMES = ["choice", "concession", "skip", "escalate", "help", "answers", "calls"];

export class Popovers {
  /** @param {() => void} [onChange] */
  constructor(onChange = () => {}) {
    this.open = "";
    this.onChange = onChange;
    for (const button of document.querySelectorAll("[data-close]")) {
      button.addEventListener("click", () => this.close());
    }
  }

  /** @param {string} name */
  show(name) {
    if (this.open === name) {
      this.close();
      return;
    }
    this.open = name;
    for (const each of NAMES) {
      byId(`${each}-form`).hidden = each !== name;
    }
    const form = byId(`${name}-form`);
    const first = /** @type {HTMLElement|null} */ (form.querySelector("[data-first]"));
    (first ?? form).focus();
    this.onChange();
  }

  close() {
    if (!this.open) {
      return false;
    }
    byId(`${this.open}-form`).hidden = true;
    this.open = "";
    byId("stage").focus({ preventScroll: true });
    this.onChange();
    return true;
  }
}
