// Help and stop: one press calls; pressing again shows who comes and closes the call.

import { duration, fill } from "../../review/clock.js";
import { byId, element, say } from "../../review/dom.js";
import { Guard } from "../guard.js";
import { answerTo } from "../scene.js";

const KINDS = /** @type {const} */ (["HELP", "STOP"]);

/** @typedef {import("../desk.js").Desk} Desk */

export class Calls {
  /**
   * @param {import("../types.js").Words} words
   * @param {{desk: Desk, now: () => number, onOpen: () => void,
   *   run: (act: () => Promise<void>) => Promise<void>, speak: (text: string) => void}} parts `now`: the server's clock
   */
  constructor(words, parts) {
    this.words = words;
    this.parts = parts;
    this.shown = "";
    /** @type {Map<string, HTMLElement>} by whom and for how long, the one thing that goes on changing */
    this.ages = new Map();
    for (const kind of KINDS) {
      // These two always mean the same: a call waits for no unit that has just changed.
      const guard = new Guard();
      const press = () => guard.admits(performance.now()) && void this.#pressed(kind);
      byId(`call-${kind}`).addEventListener("click", press);
    }
  }

  /** @param {"HELP"|"STOP"} kind */
  async #pressed(kind) {
    const { desk, run, onOpen, speak } = this.parts;
    if (this.#state(kind)) {
      onOpen();
    } else {
      let isKept = false;
      await run(async () => {
        isKept = await desk.call(kind);
      });
      if (isKept) {
        speak(this.words[`called_${kind}`]);
      }
    }
  }

  /** @param {"HELP"|"STOP"} kind @returns {{since: number, text: string, by: string}|null} */
  #state(kind) {
    const { desk, now } = this.parts;
    const open = desk.openCall(kind);
    if (open) {
      const since = Math.max(0, (now() - Date.parse(open.at)) / 1000);
      return { since, text: answerTo(open, this.words), by: open.by ?? this.#tablet() };
    }
    const calling = desk.calling.get(kind);
    const since = calling ? (performance.now() - calling.at) / 1000 : 0;
    return calling ? { since, text: this.words.call_saved, by: desk.operator?.name ?? this.#tablet() } : null;
  }

  /** Who calls while nobody is signed in. */
  #tablet() {
    return this.parts.desk.board?.device?.name ?? "";
  }

  show() {
    const { desk } = this.parts;
    for (const kind of KINDS) {
      const button = byId(`call-${kind}`);
      const state = this.#state(kind);
      button.disabled = !desk.board?.device || desk.isLookOnly;
      button.toggleAttribute("data-called", state !== null);
      say(`call-${kind}-since`, state ? this.#short(kind, state.since) : "");
    }
    this.#list();
  }

  /** @param {"HELP"|"STOP"} kind @param {number} since seconds */
  #short(kind, since) {
    const name = this.parts.desk.openCall(kind)?.answered_by;
    return name
      ? fill(this.words.answered_since, { name })
      : fill(this.words.called_since, { t: duration(since, this.words) });
  }

  #list() {
    const open = KINDS.flatMap((kind) => {
      const state = this.#state(kind);
      return state ? [{ kind, ...state, ago: duration(state.since, this.words) }] : [];
    });
    const text = JSON.stringify(open.map(({ kind, text: says }) => [kind, says]));
    if (text !== this.shown) {
      this.shown = text;
      this.#make(open);
    }
    for (const { kind, by, ago } of open) {
      const age = this.ages.get(kind);
      const says = fill(this.words.call_by, { name: by, t: ago });
      if (age && age.textContent !== says) {
        age.textContent = says;
      }
    }
  }

  /** @param {{kind: "HELP"|"STOP", text: string}[]} open */
  #make(open) {
    const focused = /** @type {HTMLElement|null} */ (document.activeElement)?.dataset.solve;
    const none = element("li", {}, this.words.call_none);
    byId("calls").replaceChildren(...(open.length ? open.map((call) => this.#item(call)) : [none]));
    if (focused) {
      byId("calls").querySelector(`[data-solve="${focused}"]`)?.focus();
    }
  }

  /** @param {{kind: "HELP"|"STOP", text: string}} call */
  #item({ kind, text }) {
    const { desk, run } = this.parts;
    const age = element("p", { class: "quiet" });
    this.ages.set(kind, age);
    const said = element(
      "div",
      {},
      element("p", { class: "call__what" }, this.words[`call_${kind}`]),
      element("p", {}, text),
      age,
    );
    if (kind === "STOP") {
      said.append(element("p", {}, this.words.stop_released));
      return element("li", { class: "call" }, said);
    }
    const solve = element(
      "button",
      { type: "button", class: "button button--primary control", "data-solve": kind },
      this.words.solved,
    );
    solve.addEventListener("click", () => void run(() => desk.solve(kind)));
    return element("li", { class: "call" }, said, solve);
  }
}
