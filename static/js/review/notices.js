// What an inspector must hear of, on top of the stage so that nothing moves; it stays until read.

import { byId, element } from "./dom.js";

const MOST = 3;

export class Notices {
  /** @param {string} dismissLabel */
  constructor(dismissLabel) {
    this.dismissLabel = dismissLabel;
  }

  /**
   * @param {string} text
   * @param {{name?: string, href?: string, action?: string, isFault?: boolean}} [options]
   *   `name`: a later notice of the same name takes this one's place
   */
  show(text, { name = "", href = "", action = "", isFault = true } = {}) {
    if (name) {
      this.hide(name);
    }
    const close = element(
      "button",
      { class: "button notice__close", type: "button", "aria-label": this.dismissLabel },
      "×",
    );
    const notice = element(
      "div",
      { class: isFault ? "notice notice--fault" : "notice", "data-name": name },
      element("p", {}, text),
      ...(href ? [element("a", { class: "button", href }, action)] : []),
      close,
    );
    close.addEventListener("click", () => notice.remove());
    const list = byId("notices");
    list.append(notice);
    while (list.children.length > MOST) {
      // News make room for faults before a fault does.
      (list.querySelector(".notice:not(.notice--fault)") ?? list.firstElementChild)?.remove();
    }
  }

  /** @param {string} name */
  hide(name) {
    for (const notice of byId("notices").querySelectorAll("[data-name]")) {
      if (notice.getAttribute("data-name") === name) {
        notice.remove();
      }
    }
  }

  /** Dismiss the latest; false when there is none. */
  dismiss() {
    const last = byId("notices").lastElementChild;
    last?.remove();
    return Boolean(last);
  }
}
