// The state in one word, the unit, and the one thing to do.

import { byId, element, say } from "../../review/dom.js";
import { fit, keepFitted } from "./fit.js";

export class UnitScreen {
  constructor() {
    this.frame = byId("line");
    this.icon = byId("state-icon");
    this.word = byId("state-word").parentElement;
    this.place = byId("do");
    this.steps = byId("steps");
    this.text = "";
    keepFitted([this.word, this.place]);
  }

  /** @param {import("../types.js").Scene} scene */
  show(scene) {
    if (this.frame.dataset.state !== scene.state) {
      this.frame.dataset.state = scene.state;
      this.icon.setAttribute("href", `#icon-${scene.state}`);
    }
    if (byId("state-word").textContent !== scene.word) {
      say("state-word", scene.word);
      fit(this.word);
    }
    say("serial", scene.serial);
    say("facts", scene.facts);
    const text = JSON.stringify([scene.instruction, scene.why, scene.steps]);
    if (text !== this.text) {
      this.text = text;
      say("instruction", scene.instruction);
      say("why", scene.why);
      this.steps.replaceChildren(...scene.steps.map((step) => element("li", {}, step)));
      fit(this.place);
    }
  }
}
