// The lot on the page: which phase it is in, what is shown, and what each press does.

import { Api } from "../api.js";
import { fill } from "../clock.js";
import { byId, say } from "../dom.js";
import { Big } from "./big.js";
import { Calls } from "./calls.js";
import { Grid, sampleSize } from "./grid.js";

/** @typedef {import("../types.js").Task} Task */
/** @typedef {import("../api.js").ApiError} ApiError */
/** @typedef {"choose"|"sample"|"ready"|"decided"|"over"} Phase */

export class LotPage {
  /** @param {any} config @param {Task[]} tasks */
  constructor(config, tasks) {
    this.config = config;
    this.strings = config.strings;
    this.parts = new Map(tasks.map((task) => [task.id, task]));
    this.calls = new Calls(apiOf(config));
    this.grid = new Grid(tasks.map((task) => task.id));
    this.big = new Big(() => say("lot-big-notice", this.strings.no_image));
    /** @type {Phase} */
    this.phase = "choose";
    this.review = "";
    this.isBusy = false;
    this.undoEnds = 0;
    this.answer = { answer: "", disposition: "", defect_class: "" };
    /** @type {Task[]} */
    this.sample = [];
    this.judged = 0;
    this.enter("choose");
  }

  /** Whether parts are held that nobody has decided. */
  get isHolding() {
    return this.review !== "" && (this.phase === "sample" || this.phase === "ready");
  }

  /** @param {string} task @returns {HTMLButtonElement} */
  card(task) {
    return /** @type {any} */ (document.querySelector(`[data-task="${task}"]`));
  }

  get columns() {
    const tops = this.grid.tasks.map((task) => this.card(task).getBoundingClientRect().top);
    const below = tops.findIndex((top) => top > tops[0] + 1);
    return below < 1 ? tops.length : below;
  }

  /** @param {Phase} next */
  enter(next) {
    this.phase = next;
    byId("lot").dataset.phase = next;
    byId("lot-choose").hidden = next !== "choose";
    byId("lot-finish").hidden = next !== "ready";
    byId("lot-after").hidden = next !== "decided" && next !== "over";
    byId("lot-help").hidden = next !== "choose" && next !== "ready";
    this.refresh();
  }

  refresh() {
    const { grid, strings, config } = this;
    grid.tasks.forEach((task, index) => this.#refreshCard(task, index === grid.focus));
    const facts = { n: grid.chosen, all: grid.tasks.length, out: grid.excluded.size };
    if (this.phase === "choose") {
      const of = sampleSize(grid.chosen, config.share, config.fewest);
      say("lot-chosen", fill(strings.chosen, { ...facts, of }));
    } else if (this.phase === "ready") {
      say("lot-chosen", fill(strings.ready, { n: grid.chosen - grid.fixed.size }));
    }
    for (const button of byId("lot-choose").querySelectorAll("button")) {
      button.disabled = this.isBusy || grid.chosen < config.fewest;
    }
  }

  /** @param {string} task @param {boolean} hasFocus */
  #refreshCard(task, hasFocus) {
    const button = this.card(task);
    const isOut = this.grid.excluded.has(task);
    const serial = this.parts.get(task)?.unit.serial ?? "";
    button.dataset.out = String(isOut);
    button.dataset.fixed = String(this.grid.fixed.has(task));
    button.tabIndex = hasFocus ? 0 : -1;
    button.setAttribute("aria-label", isOut ? `${serial}, ${this.strings.out}` : serial);
  }

  /** @param {string} task */
  toggle(task) {
    if ((this.phase === "choose" || this.phase === "ready") && this.grid.toggle(task)) {
      this.refresh();
    }
  }

  /** @param {string} task */
  look(task) {
    const shown = this.parts.get(task);
    if (shown) {
      this.grid.focus = this.grid.tasks.indexOf(task);
      const step = this.grid.excluded.has(task) ? this.strings.out : "";
      this.big.show(shown, { step, judges: false });
      this.refresh();
    }
  }

  /** The part that is big, left out or taken in. */
  toggleBig() {
    this.toggle(this.big.task);
    this.look(this.big.task);
  }

  /** @param {string} key */
  move(key) {
    if (!this.grid.move(key, this.columns)) {
      return false;
    }
    this.refresh();
    this.card(this.grid.tasks[this.grid.focus]).focus();
    return true;
  }

  /** Run one call at a time; what it refuses is said. @param {() => Promise<void>} call */
  async once(call) {
    if (this.isBusy) {
      return;
    }
    this.isBusy = true;
    say("lot-notice", "");
    this.refresh();
    try {
      await call();
    } catch (error) {
      this.#refused(/** @type {ApiError} */ (error));
    } finally {
      this.isBusy = false;
      this.refresh();
    }
  }

  /** @param {ApiError} error */
  #refused(error) {
    if (error.isSignedOut) {
      window.location.assign(this.config.login);
      return;
    }
    if (error.code === "lot_deviates") {
      this.big.close();
      this.review = "";
      byId("lot-undo").hidden = true;
      say("lot-chosen", "");
      this.enter("over");
    }
    const words = error.detail || this.strings.unreachable;
    say(this.big.isOpen ? "lot-big-notice" : "lot-notice", words);
  }

  /** @param {string} given what is said of the whole lot */
  async begin(given) {
    const { config, grid } = this;
    this.answer = this.verdictOf(given);
    const opened = await this.calls.begin(config.lot, config.part_number, {
      ...this.answer,
      suspicion: config.suspicion,
      excluded: [...grid.excluded],
    });
    this.review = opened.review;
    opened.members.forEach(({ task }) => this.parts.set(task.id, task));
    this.sample = opened.members.filter((one) => one.is_sample).map((one) => one.task);
    this.sample.forEach((task) => grid.fixed.add(task.id));
    const taken = new Set(opened.members.map(({ task }) => task.id));
    grid.tasks.filter((task) => !taken.has(task)).forEach((task) => grid.excluded.add(task));
    byId("lot-held").hidden = opened.held_by_others === 0;
    say("lot-held", fill(this.strings.held, { n: opened.held_by_others }));
    this.judged = 0;
    this.enter("sample");
    this.#showSample();
  }

  #showSample() {
    if (this.judged >= this.sample.length) {
      this.big.close();
      this.enter("ready");
      byId("lot-decide").focus();
      return;
    }
    const step = fill(this.strings.sample, { n: this.judged + 1, all: this.sample.length });
    say("lot-chosen", step);
    say("lot-big-notice", "");
    this.big.show(this.sample[this.judged], { step, judges: true });
  }

  /** @param {string} given what is said of the part of the sample that is big */
  async judge(given) {
    const task = this.sample[this.judged];
    if (this.phase !== "sample" || !task || !this.big.isSeen || this.big.task !== task.id) {
      return;
    }
    say("lot-big-notice", "");
    const { fence } = task;
    const said = { task: task.id, fence, seconds: this.big.seconds, ...this.verdictOf(given) };
    // The same part, the same key: what is sent again is one verdict.
    await this.calls.judge(this.review, said, `${this.review}-${this.judged}`);
    this.judged += 1;
    this.#showSample();
  }

  /** @param {string} given */
  verdictOf(given) {
    const { default_disposition: usual, suspicion } = this.config;
    if (given === "CONFIRMED") {
      return { answer: given, disposition: usual, defect_class: suspicion };
    }
    const disposition = given === "FALSE_CALL" ? "ACCEPT" : "HOLD";
    return { answer: given, disposition, defect_class: "" };
  }

  async decide() {
    const out = [...this.grid.excluded].filter((task) => !this.grid.fixed.has(task));
    const done = await this.calls.decide(this.review, out);
    this.undoEnds = performance.now() + done.undo_seconds * 1000;
    this.enter("decided");
    const serials = done.left_out.map((each) => each.serial).join(", ");
    const said = fill(this.strings.decided, { n: done.count });
    say("lot-chosen", serials ? `${said} ${fill(this.strings.left_out, { serials })}` : said);
    byId("lot-undo").dataset.count = String(done.count);
    this.#countDown();
    byId("lot-undo").focus();
  }

  #countDown() {
    const left = Math.max(0, (this.undoEnds - performance.now()) / 1000);
    const button = byId("lot-undo");
    button.hidden = left === 0 || this.phase !== "decided";
    const n = button.dataset.count ?? "";
    say("lot-undo", fill(this.strings.undo, { n, s: String(Math.ceil(left)) }));
    if (!button.hidden) {
      setTimeout(() => this.#countDown(), 250);
    }
  }

  async undo() {
    const { count } = await this.calls.undo(this.review);
    this.review = "";
    byId("lot-undo").hidden = true;
    this.enter("over");
    say("lot-chosen", fill(this.strings.undone, { n: count }));
  }

  /** Give everything undecided back and begin anew. */
  async leave() {
    await this.calls.giveBack(this.review);
    this.review = "";
    window.location.reload();
  }

  /** Keep what is held, or give it back when the page goes; the leases end by themselves else. */
  keep() {
    if (this.isHolding) {
      void this.calls.keep(this.review).catch(() => undefined);
    }
  }

  giveBack() {
    if (this.isHolding) {
      void this.calls.release(this.review);
    }
  }
}

/** @param {any} config */
function apiOf({ api: base, csrf, person }) {
  return new Api({ base, csrf, person, site: "", onContact: () => {} });
}
