// The views of a unit, as small pictures; Tab goes from one to the next.

import { byId, element } from "./dom.js";

export class ViewStrip {
  /** @param {(index: number) => void} onView */
  constructor(onView) {
    this.onView = onView;
  }

  /** @param {import("./types.js").View[]} views @param {import("./pictures.js").Picture[]} pictures */
  show(views, pictures) {
    const list = byId("views");
    list.hidden = views.length < 2;
    list.replaceChildren(
      ...(views.length < 2 ? [] : views).map((view, index) => {
        const small = element("img", { alt: "", width: "64", height: "48", class: "view__small" });
        const source = pictures[index].address;
        if (source) {
          small.setAttribute("src", source);
        }
        const words = element("span", {}, `${view.view} ${view.score.toFixed(2)}`);
        const button = element("button", { class: "view", type: "button" }, small, words);
        button.addEventListener("click", () => this.onView(index));
        return element("li", {}, button);
      }),
    );
  }

  /** @param {number} index @param {import("./pictures.js").Picture} picture */
  arrive(index, picture) {
    if (picture.state === "ready") {
      byId("views").querySelectorAll("img")[index]?.setAttribute("src", picture.address);
    }
  }

  /** @param {number} shown */
  mark(shown) {
    byId("views")
      .querySelectorAll("button")
      .forEach((button, index) =>
        button.setAttribute("aria-current", index === shown ? "true" : "false"),
      );
  }
}
