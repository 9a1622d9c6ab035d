// A bank card is held to the screen; its outline is made to match by dragging, pinching or keys.

import { fill } from "../../review/clock.js";
import { byId, say } from "../../review/dom.js";
import { CARD_MM, clamp, dragged, guess, keep, kept, largestFor, pinched, stepped } from "../calibrate.js";

const KEYS = { ArrowRight: 1, ArrowUp: 1, "+": 1, ArrowLeft: -1, ArrowDown: -1, "-": -1, PageUp: 20, PageDown: -20 };
const REPEAT_MS = 60;

/** @typedef {{clientX: number, clientY: number}} Point */

/** Draw everything at this scale. @param {number|null} pxPerMm null: nobody has measured */
export function applyScale(pxPerMm) {
  const scale = pxPerMm ?? guess(matchMedia("(pointer: coarse)").matches);
  document.body.style.setProperty("--mm", `${scale}px`);
}

export class Calibration {
  /**
   * @param {import("../types.js").Words} words
   * @param {{api: import("../api.js").Api, rooms: import("./rooms.js").Rooms, tell: (text: string) => void,
   *   onMeasured: () => void}} parts
   */
  constructor(words, { api, rooms, tell, onMeasured }) {
    this.words = words;
    this.api = api;
    this.rooms = rooms;
    this.tell = tell;
    this.onMeasured = onMeasured;
    this.card = byId("card");
    this.area = byId("card-area");
    /** @type {number|null} what holds now */
    this.known = kept(localStorage);
    this.scale = 1;
    /** @type {Map<number, Point>} fingers on the card */
    this.fingers = new Map();
    applyScale(this.known);
    this.#listen();
  }

  /** What the server knows of this tablet. @param {number|null} pxPerMm */
  told(pxPerMm) {
    if (pxPerMm !== null && pxPerMm !== this.known) {
      this.known = pxPerMm;
      keep(localStorage, pxPerMm);
      applyScale(pxPerMm);
    }
  }

  begin() {
    this.rooms.go("calibrate");
    this.scale = this.known ?? guess(matchMedia("(pointer: coarse)").matches);
    this.#draw();
    this.card.focus({ preventScroll: true });
  }

  get isUpright() {
    return this.area.clientWidth < this.area.clientHeight;
  }

  /** @param {number} scale */
  #set(scale) {
    const { clientWidth, clientHeight } = this.area;
    const [across, down] = this.isUpright ? [clientHeight, clientWidth] : [clientWidth, clientHeight];
    this.scale = Math.min(clamp(scale), largestFor(across, down));
    this.#draw();
  }

  #draw() {
    const { scale } = this;
    const [across, down] = [CARD_MM.width * scale, CARD_MM.height * scale];
    this.card.style.width = `${this.isUpright ? down : across}px`;
    this.card.style.height = `${this.isUpright ? across : down}px`;
    this.card.style.setProperty("--card-mm", `${scale}px`);
    this.card.setAttribute("aria-valuenow", scale.toFixed(2));
    const sizes = { big: Math.round(20 * scale), small: Math.round(15 * scale) };
    this.card.setAttribute("aria-valuetext", fill(this.words.calibrate_says, sizes));
    say("calibrate-says", fill(this.words.calibrate_says, sizes));
  }

  #listen() {
    this.card.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      const steps = KEYS[/** @type {keyof typeof KEYS} */ (event.key)];
      if (steps) {
        event.preventDefault();
        this.#set(stepped(this.scale, steps));
      }
    });
    repeatWhilePressed(byId("card-smaller"), () => this.#set(stepped(this.scale, -1)));
    repeatWhilePressed(byId("card-larger"), () => this.#set(stepped(this.scale, 1)));
    byId("card-save").addEventListener("click", () => void this.#save());
    this.area.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
      this.area.setPointerCapture(event.pointerId);
      this.fingers.set(event.pointerId, event);
    });
    this.area.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => this.#moved(event));
    for (const name of ["pointerup", "pointercancel"]) {
      this.area.addEventListener(name, (/** @type {PointerEvent} */ event) => this.fingers.delete(event.pointerId));
    }
  }

  /** @param {PointerEvent} event */
  #moved(event) {
    const before = this.fingers.get(event.pointerId);
    if (!before) {
      return;
    }
    const other = [...this.fingers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      this.#set(pinched(this.scale, apart(before, other), apart(event, other)));
    } else {
      const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY];
      this.#set(dragged(this.scale, dx, dy, this.isUpright));
    }
    this.fingers.set(event.pointerId, event);
  }

  async #save() {
    const scale = Math.round(this.scale * 1000) / 1000;
    this.known = scale;
    keep(localStorage, scale);
    applyScale(scale);
    this.rooms.go("work");
    this.onMeasured();
    try {
      await this.api.calibrate(scale);
      this.tell(this.words.calibrate_saved);
    } catch {
      this.tell(this.words.calibrate_kept);
    }
  }
}

/** @param {Point} one @param {Point} other */
function apart(one, other) {
  return Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
}

/** @param {HTMLElement} button @param {() => void} act once for a press, again and again while it lasts */
function repeatWhilePressed(button, act) {
  let timer = 0;
  const stop = () => clearInterval(timer);
  button.addEventListener("click", act);
  button.addEventListener("pointerdown", () => {
    stop();
    const began = performance.now();
    timer = Number(setInterval(() => performance.now() - began > 400 && act(), REPEAT_MS));
  });
  for (const name of ["pointerup", "pointercancel", "pointerleave"]) {
    button.addEventListener(name, stop);
  }
}
