// What is wrong with the tablet itself: its disk, its clock, its browser, its version; what it has to tell.

import { duration, fill } from "../../review/clock.js";
import { isRead, wasRead } from "../memory.js";
import { OLD_S } from "../outbox/outbox.js";

export class Warnings {
  /** @param {import("../types.js").Words} words @param {import("./notes.js").Notes} notes */
  constructor(words, notes) {
    this.words = words;
    this.notes = notes;
  }

  /** @param {boolean} isAnswering whether what is pressed can be kept now */
  disk(isAnswering) {
    this.notes.set("disk", isAnswering ? null : { text: this.words.disk_hangs, tone: "fault" });
  }

  /** @param {boolean} isLate nothing is known of the station yet: it need not be opened by hand */
  late(isLate) {
    this.notes.set("start", isLate ? { text: this.words.no_answer_yet, tone: "warn" } : null);
  }

  /**
   * What is wrong with what the tablet keeps, or with its clock.
   * @param {import("../outbox/types.js").Counts|null} counts @param {number|null} skew seconds
   */
  keeping(counts, skew) {
    const { words } = this;
    const old = counts && counts.oldest_s > OLD_S ? fill(words.old_presses, { n: counts.unsent }) : "";
    const off = skew === null ? "" : fill(words.clock_off, { t: duration(Math.abs(skew), words) });
    this.notes.set("keep", old || off ? { text: old || off, tone: "warn" } : null);
  }

  /** @param {import("../outbox/install.js").Installed} installed @param {() => void} takeOver */
  installed({ isUpdateWaiting, isPersistent, isSecure }, takeOver) {
    const { words } = this;
    const weakness = isPersistent === false ? words.not_persistent : null;
    this.#weak(isSecure ? weakness : words.not_secure);
    const note = { text: words.update, tone: /** @type {const} */ ("quiet") };
    const act = { action: words.update_do, act: takeOver };
    this.notes.set("update", isUpdateWaiting ? { ...note, ...act } : null);
  }

  /** @param {boolean} isMeasured whether a millimetre's size is known here @param {() => void} begin */
  measured(isMeasured, begin) {
    const note = { text: this.words.calibrate_hint, tone: /** @type {const} */ ("quiet") };
    this.notes.set("calibrate", isMeasured ? null : { ...note, action: this.words.calibrate, act: begin });
  }

  /** What somebody else has decided: it stays until it was read. @param {string|null} text @param {() => void} act */
  conflict(text, act) {
    this.notes.set("conflict", text === null ? null : { text, tone: "warn", action: this.words.seen, act });
  }

  /** Told until somebody has read it, once for each tablet. @param {string|null} text */
  #weak(text) {
    const act = () => {
      wasRead(localStorage, "weakness");
      this.#weak(null);
    };
    const isTold = text !== null && !isRead(localStorage, "weakness");
    const note = { text: text ?? "", tone: /** @type {const} */ ("quiet"), action: this.words.seen, act };
    this.notes.set("weakness", isTold ? note : null);
  }
}
