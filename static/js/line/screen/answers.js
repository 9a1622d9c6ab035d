// The buttons of the moment, at most three, and the latest press with its way back.

import { fill } from "../../review/clock.js";
import { byId, element, say, shape } from "../../review/dom.js";
import { bindHold } from "../press.js";
import { fit, keepFitted } from "./fit.js";

/**
 * @typedef {import("../types.js").Choice} Choice
 * @typedef {import("../types.js").Scene} Scene
 * @typedef {{mayPress: () => boolean, onPress: (choice: Choice, scene: Scene) => void,
 *   onUndo: () => void, speak: (text: string) => void}} Handlers
 */

export class Answers {
  /** @param {import("../types.js").Words} words @param {Handlers} handlers */
  constructor(words, handlers) {
    this.words = words;
    this.handlers = handlers;
    this.bar = byId("choices");
    this.undo = byId("undo-press");
    this.made = "";
    /** @type {Scene|null} */
    this.scene = null;
    /** @type {{cancel: () => void, isHeld: () => boolean}[]} */
    this.holds = [];
    keepFitted([this.undo]);
    this.undo.addEventListener("click", () => handlers.mayPress() && handlers.onUndo());
    this.bar.addEventListener("contextmenu", (/** @type {Event} */ event) => event.preventDefault());
  }

  /** Whether a button is being held: nothing else may come between. */
  get isHeld() {
    return this.holds.some((hold) => hold.isHeld());
  }

  /** What is held does not count, however long. */
  letGo() {
    this.holds.forEach((hold) => hold.cancel());
  }

  /** @param {Scene} scene */
  show(scene) {
    const looks = JSON.stringify([
      scene.meaning,
      scene.choices.map(({ act, label, what, isHeld }) => [act, label, what, isHeld]),
    ]);
    this.scene = scene;
    if (looks === this.made) {
      return;
    }
    this.made = looks;
    const focused = /** @type {HTMLElement|null} */ (document.activeElement)?.dataset.act;
    this.letGo();
    this.holds = [];
    const buttons = scene.choices.map((choice) => this.#button(choice));
    this.bar.replaceChildren(...buttons);
    keepFitted(buttons);
    if (focused) {
      // Where the button has gone, its place keeps the focus.
      (this.bar.querySelector(`[data-act="${focused}"]`) ?? this.bar).focus({ preventScroll: true });
    }
    const isWaiting = scene.choices.length === 0 && scene.state !== "STOPPED";
    say("no-choices", isWaiting && scene.state === "RUNNING" ? this.words.nothing_to_decide : "");
  }

  /** @param {Choice} choice */
  #button(choice) {
    const { act, label, what, icon, isHeld } = choice;
    const isOnly = this.scene?.choices.length === 1;
    const button = element(
      "button",
      {
        type: "button",
        class: `answer${isHeld ? " answer--held" : ""}${isOnly ? " answer--only" : ""}`,
        "data-act": act,
      },
      element("span", { class: "answer__main" }, drawing(icon), element("span", { class: "answer__label" }, label)),
      element("span", { class: "answer__what" }, isHeld ? fill(this.words.hold_to_press, { what }) : what),
    );
    if (isHeld) {
      this.#bindHeld(button, choice);
    } else {
      button.addEventListener("click", () => this.handlers.mayPress() && this.#pressed(act));
    }
    return button;
  }

  /** @param {HTMLElement} button @param {Choice} choice */
  #bindHeld(button, choice) {
    const { words, handlers } = this;
    const { what } = choice;
    this.holds.push(
      bindHold(button, {
        mayBegin: handlers.mayPress,
        onBegin: () => handlers.speak(fill(words.keep_holding, { serial: this.scene?.serial ?? "", what })),
        onEarly: () => handlers.speak(words.let_go),
        onDone: () => this.#pressed(choice.act),
      }),
    );
  }

  /** What the button says by now: the board may have told more since it was made. @param {string} act */
  #pressed(act) {
    const choice = this.scene?.choices.find((each) => each.act === act);
    if (this.scene && choice) {
      this.handlers.onPress(choice, this.scene);
    }
  }

  /** @param {boolean} isTurned whether a press would not count yet */
  settle(isTurned) {
    for (const button of this.bar.children) {
      button.toggleAttribute("data-turned", isTurned);
    }
  }

  /** @param {import("../desk.js").Said|null} said @param {number} left seconds to take it back */
  tell(said, left) {
    const facts = { serial: said?.serial ?? "", what: said?.what ?? "" };
    const says = byId("undo-says");
    const text = said ? fill(this.words[`said_${said.act}`] ?? "", facts) : "";
    if (says.textContent !== text) {
      says.textContent = text;
      fit(says);
    }
    say("undo-where", said ? this.words[`where_${said.where}`] : "");
    if (left <= 0 && document.activeElement === this.undo) {
      this.bar.focus({ preventScroll: true });
    }
    this.undo.hidden = left <= 0;
    say("undo-left", `(${Math.ceil(left)})`);
  }
}

/** @param {string} name */
export function drawing(name) {
  const svg = shape("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" });
  svg.append(shape("use", { href: `#icon-${name}` }));
  return svg;
}
