// The line above the image: waiting, the oldest against its deadline, decided today, connection, unsent.

import { against, fill } from "./clock.js";
import { byId, say } from "./dom.js";

const COUNTED_UP_TO = 1000;

export class Figures {
  /**
   * @param {{strings: Record<string, string>, api: Pick<import("./api.js").Api, "queue"|"skew">}} options
   */
  constructor({ strings, api }) {
    this.strings = strings;
    this.api = api;
    /** @type {string|null} */
    this.deadline = null;
    /** @type {number|null} */
    this.waiting = null;
    this.decided = 0;
  }

  /** @returns {Promise<boolean>} whether an answer came */
  async read() {
    try {
      const queue = await this.api.queue();
      this.waiting = queue.waiting;
      this.deadline = queue.oldest_deadline;
      this.decided = queue.decided_today;
      this.tick();
      return true;
    } catch {
      return false; // The connection says so.
    }
  }

  /** @param {number} count verdicts recorded since the figures were read */
  recorded(count) {
    if (this.waiting !== null) {
      const waiting = Math.max(0, this.waiting - count);
      say("waiting", this.waiting >= COUNTED_UP_TO ? `${COUNTED_UP_TO}+` : String(waiting));
      say("decided", String(Math.max(0, this.decided + count)));
    }
  }

  tick() {
    const oldest = byId("oldest");
    if (this.deadline === null) {
      oldest.className = "";
      say("oldest", "–");
      return;
    }
    const { text, isOver } = against(this.deadline, Date.now() + this.api.skew, this.strings);
    oldest.className = isOver ? "state state--hold" : "";
    say("oldest", text);
  }

  /** @param {boolean} reached */
  contact(reached) {
    byId("connection").className = reached ? "state state--ok" : "state state--warn";
    say("connection", reached ? this.strings.connected : this.strings.unreachable);
  }

  /** @param {number} count */
  unsent(count) {
    byId("unsent").className = count > 0 ? "state state--warn" : "status__none";
    say("unsent", count > 0 ? fill(this.strings.unsent, { n: count }) : "");
  }
}
