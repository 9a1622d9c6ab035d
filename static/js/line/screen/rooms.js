// Which room is open: the unit, or what takes its place for a while.

import { byId } from "../../review/dom.js";

const NAMES = /** @type {const} */ (["work", "badge", "pin", "calls", "menu", "calibrate", "gone"]);
// Left standing, these give way to the unit again.
const PASSING = new Set(["pin", "calls", "menu"]);
const LEFT_MS = 60_000;

/** @typedef {typeof NAMES[number]} Room */

export class Rooms {
  /** @param {{onLeave?: (room: Room) => void}} [options] */
  constructor({ onLeave = () => {} } = {}) {
    /** @type {Room} */
    this.open = "work";
    this.onLeave = onLeave;
    this.touchedAt = performance.now();
    /** @type {Element|null} */
    this.cameFrom = null;
    for (const back of document.querySelectorAll("[data-back]")) {
      back.addEventListener("click", () => this.go("work"));
    }
    addEventListener("pointerdown", () => this.#touched(), { capture: true });
    addEventListener("keydown", (event) => {
      this.#touched();
      if (event.key === "Escape" && PASSING.has(this.open)) {
        this.go("work");
      }
    });
  }

  #touched() {
    this.touchedAt = performance.now();
  }

  /** Milliseconds since anybody touched the tablet. */
  get idleMs() {
    return performance.now() - this.touchedAt;
  }

  /** @param {Room} room */
  go(room) {
    if (room === this.open) {
      return;
    }
    const left = this.open;
    this.open = room;
    byId("line").dataset.room = room;
    if (left === "work") {
      this.cameFrom = document.activeElement;
    }
    for (const name of NAMES) {
      byId(`room-${name}`).hidden = name !== room;
    }
    byId("open-menu").setAttribute("aria-expanded", String(room === "menu"));
    if (room === "work") {
      /** @type {HTMLElement|null} */ (this.cameFrom)?.focus?.({ preventScroll: true });
    }
    this.onLeave(left);
  }

  /** Somebody has gone away from an open menu. */
  tick() {
    if (PASSING.has(this.open) && this.idleMs > LEFT_MS) {
      this.go("work");
    }
  }
}
