// The line above the image: waiting, the oldest against its deadline, decided today, connection, unsent.

import { against, fill } from "./clock.js";
import { byId, say } from "./dom.js";

const COUNTED_UP_TO = 1000;

export class Figures {
  /**
   * @param {{strings: Record<string, string>, api: Pick<import("./api.js").Api, "queue"|"skew">,
   *   account: Pick<import("./session.js").Session, "recorded"|"standing">,
   *   onRead?: (queue: import("./types.js").Queue) => void}} options
   */
  constructor({ strings, api, account, onRead }) {
    this.strings = strings;
    this.api = api;
    this.account = account;
    this.onRead = onRead ?? (() => {});
    this.asked = 0;
    /** Which question the answer that is shown belongs to. */
    this.answered = 0;
    /** @type {string|null} */
    this.deadline = null;
    /** @type {number|null} */
    this.waiting = null;
    this.decided = 0;
  }

  async read() {
    this.asked += 1;
    const mine = this.asked;
    const before = this.account.standing;
    let queue;
    try {
      queue = await this.api.queue();
    } catch {
      return; // The connection says so.
    }
    if (mine < this.answered) {
      return;
    }
    this.answered = mine;
    // Of a verdict that was on its way meanwhile nobody knows whether it is among them; as long as there
    // are no figures at all, such ones are better than none.
    const isSure = before !== null && before === this.account.standing;
    if (isSure || this.waiting === null) {
      this.waiting = queue.waiting;
      this.decided = queue.decided_today;
      this.account.recorded = 0;
    }
    this.deadline = queue.oldest_deadline;
    this.tick();
    this.onRead(queue);
  }

  /** Something was just done here: what was asked before does not know of it. */
  outdate() {
    this.asked += 1;
    this.answered = this.asked;
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
