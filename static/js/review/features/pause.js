// Units nobody looks at go back to the queue; after a while the one on the screen too.

import { byId } from "../dom.js";

/** @typedef {import("../context.js").Bench} Bench */

export class Pause {
  /** @param {Bench} bench */
  constructor(bench) {
    this.bench = bench;
    this.isPaused = false;
    this.lastActivity = performance.now();
    for (const name of ["keydown", "pointerdown", "pointermove", "wheel"]) {
      document.addEventListener(name, () => (this.lastActivity = performance.now()), { passive: true });
    }
    bench.acts.resume = () => this.resume();
    bench.on("change", () => {
      byId("paused").hidden = !this.isPaused;
    });
  }

  get isAwake() {
    return !this.isPaused && this.#idle < this.bench.config.idle_seconds;
  }

  /** Give back what has been left alone for too long. */
  rest() {
    const { session, config } = this.bench;
    if (this.#idle > config.pause_seconds && !this.isPaused) {
      this.isPaused = true;
      session.giveBackAll();
    } else if (this.#idle > config.idle_seconds && session.current) {
      session.lookahead.giveBackUnseen();
    }
  }

  resume() {
    this.isPaused = false;
    this.lastActivity = performance.now();
    this.bench.refresh();
    void this.bench.session.refill();
  }

  /** Seconds since anybody touched anything. */
  get #idle() {
    return (performance.now() - this.lastActivity) / 1000;
  }
}
