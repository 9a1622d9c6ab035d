// A reject with nothing drawn asks for one drag over the defect; whoever has no time for it presses
// again and is through. A rough box is worth many verdicts to whoever trains on them.

import { byId } from "../dom.js";

/** @typedef {import("../context.js").Bench} Bench */

/** @param {Bench} bench @param {import("../annotation/desk.js").Desk} desk */
export function install(bench, desk) {
  /** @type {{held: import("../types.js").Held, proceed: () => void}|null} */
  let asked = null;

  function close() {
    asked = null;
    byId("box-prompt").hidden = true;
    byId("box-prompt-ways").hidden = true;
  }

  /** Leave the prompt and let the reject go on. */
  function proceed() {
    const { proceed: goOn } = asked ?? {};
    close();
    goOn?.();
  }

  bench.beforeReject = (goOn) => {
    const held = bench.held();
    const isAsked = asked !== null && asked.held === held;
    const isWanted = bench.preferences?.get("ask_for_box") ?? true;
    const isSaidAnew = isAsked && bench.popovers.open === "choice";
    if (!held || !isWanted || !desk.isOurs || isSaidAnew || !(desk.drawing?.isEmpty ?? false)) {
      close();
      return true;
    }
    if (isAsked) {
      // As it was first meant: with the disposition chosen then.
      proceed();
      return false;
    }
    bench.popovers.close();
    desk.use("box");
    asked = { held, proceed: goOn };
    byId("box-prompt-take").disabled = desk.proposals().length === 0;
    byId("box-prompt").hidden = false;
    byId("box-prompt-ways").hidden = false;
    desk.say("prompt");
    return false;
  };

  bench.acts["leave-prompt"] = () => desk.use(null);
  const { proposals } = bench.acts;
  bench.acts.proposals = (intent) => {
    const isAsked = asked !== null;
    if (proposals(intent) && isAsked) {
      proceed();
    }
  };
  desk.finishers.push(() => {
    if (asked) {
      proceed();
    }
  });
  desk.takers.push(() => {
    if (desk.tool === null) {
      close();
    }
  });
  window.addEventListener("keydown", (event) => {
    const isEnter = event.code === "Enter" || event.code === "NumpadEnter";
    const isButton = /** @type {Element} */ (event.target).closest("button, a, input, textarea, select");
    if (asked && isEnter && !event.repeat && !event.defaultPrevented && !isButton) {
      event.preventDefault();
      proceed();
    }
  }, { capture: true });
}
