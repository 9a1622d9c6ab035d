// The lowest line: who is here, what else waits, whether the network is there, the time.

import { fill } from "../../review/clock.js";
import { byId, say } from "../../review/dom.js";

export class Strip {
  /** @param {import("../types.js").Words} words @param {import("../types.js").PageFacts} page */
  constructor(words, page) {
    this.words = words;
    this.isLookOnly = page.is_look_only;
    this.clock = new Intl.DateTimeFormat(page.language, {
      hour: "2-digit",
      minute: "2-digit",
      hourCycle: "h23",
    });
  }

  /** @param {import("../types.js").BoardState} board @param {string} current the serial on the screen */
  show(board, current) {
    const { words } = this;
    const name = board.operator?.name;
    say("who", name ?? (this.isLookOnly ? board.station.station : words.nobody));
    const hint = name ? words.scan_to_change : words.scan_to_begin;
    say("who-hint", this.isLookOnly ? board.station.line : hint);
    const { operator, bench, rack } = board.waiting_counts;
    const waits = operator + bench + rack > 0;
    say("waiting", waits ? fill(words.waiting, { operator, bench, rack }) : words.nothing_waits);
    const next = board.waiting.map(({ serial }) => serial).filter((serial) => serial !== current);
    say("waiting-next", next.join(", "));
  }

  /** @param {{isReached: boolean, unsent: number}} state */
  contact({ isReached, unsent }) {
    const contact = byId("contact");
    say("contact", isReached ? this.words.connected : this.words.no_network);
    contact.className = isReached ? "state state--quiet" : "state state--warn";
    byId("line").dataset.contact = isReached ? "reached" : "lost";
    say("unsent", fill(this.words.unsent, { n: unsent }));
    byId("unsent").toggleAttribute("data-unsent", unsent > 0);
  }

  /** @param {number} now of the server, milliseconds */
  tick(now) {
    say("clock", this.clock.format(new Date(now)));
  }
}
