// Key presses and clicks into acts.

import { isTyping, stopHeldPress } from "../dom.js";
import { choiceIntentOf, intentOf } from "../keys.js";

/** @typedef {import("../context.js").Bench} Bench */

// A slider's own, whatever else they mean.
const SLIDES = /^(Arrow\w+|Home|End|Page(Up|Down))$/;

// What may be done while a small form is open.
const SMALL_TALK = new Set(["close", "help", "model", "fit", "skip", "escalate", "answers", "calls"]);

/** @param {Bench} bench @param {import("./pause.js").Pause} pause */
export function install(bench, pause) {
  const { popovers, session, acts } = bench;
  acts.help = () => popovers.show("help");
  acts.close = () => void (popovers.close() || bench.notices.dismiss());

  /** @param {KeyboardEvent} event */
  function pressed(event) {
    if (pause.isPaused) {
      pause.resume();
      event.preventDefault();
      return;
    }
    if (event.defaultPrevented) {
      return; // A drawing tool had a meaning for it.
    }
    const target = /** @type {Element} */ (event.target);
    const isSliding = target.matches("input") && SLIDES.test(event.code);
    if ((isTyping(target) && event.key !== "Escape") || isSliding) {
      return;
    }
    if (session.isLost && event.key === "Enter" && !target.closest("button, a")) {
      session.leaveLost();
      return;
    }
    const intent = meaning(event);
    if (!intent || !mayNow(intent.name, target)) {
      return;
    }
    event.preventDefault();
    acts[intent.name]?.(intent);
  }

  /** @param {KeyboardEvent} event */
  function meaning(event) {
    const digit = popovers.open === "skip" ? /^(?:Digit|Numpad)([1-4])$/.exec(event.code) : null;
    if (digit) {
      return event.repeat ? null : { name: "skip-reason", digit: Number(digit[1]) };
    }
    return popovers.open === "choice" ? choiceIntentOf(event, bench.keys.map) : intentOf(event, bench.keys.map);
  }

  /** @param {string} name @param {Element} target */
  function mayNow(name, target) {
    const isForm = popovers.open !== "" && popovers.open !== "choice";
    if (isForm && name !== "skip-reason" && !SMALL_TALK.has(name)) {
      return false;
    }
    // Tab turns the views from the stage; from a button on it, too, it goes on to the next one.
    const isOnStage = target === document.body || target === bench.stage.root;
    const hasViews = (session.current?.task.views.length ?? 0) > 1;
    return !name.startsWith("view") || (hasViews && isOnStage);
  }

  window.addEventListener("keydown", stopHeldPress, { capture: true });
  document.addEventListener("keydown", pressed);
  document.addEventListener("click", (event) => {
    const button = /** @type {Element} */ (event.target).closest("[data-act]");
    if (button && event.detail <= 1) {
      const { act = "", disposition } = /** @type {HTMLElement} */ (button).dataset;
      acts[act]?.({ disposition });
      // Clicked, not pressed: Space and Enter are the image's again, not a second verdict.
      if (event.detail === 1 && [button, document.body].includes(document.activeElement ?? button)) {
        bench.stage.root.focus({ preventScroll: true });
      }
    }
  });
}
