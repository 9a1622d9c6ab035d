// One inspector at work: what is on the screen, what was just decided, what is still on its way.
// Knows nothing of the page; everything it needs from outside is handed in.

import { PressGuard } from "./guard.js";
import { Lookahead } from "./lookahead.js";
import { Outbox } from "./outbox.js";

/**
 * @typedef {import("./types.js").Held} Held
 * @typedef {import("./types.js").Task} Task
 * @typedef {import("./api.js").ApiError} ApiError
 * @typedef {{key: string, held: Held, decision: string|null, closesAt: number|null,
 *   isOver: boolean, settled: Promise<void>, settle: () => void}} Done
 */

const MOST_LEASES = 16;

export class Session {
  /**
   * @param {{
   *   api: Pick<import("./api.js").Api, "claim"|"send"|"undo"|"heartbeat"|"release">,
   *   store: import("./outbox.js").Store,
   *   prepare: (task: Task, earlier?: Held) => Held,
   *   discard: (held: Held) => void,
   *   onShow: (held: Held|null) => void,
   *   onLeave?: (held: Held) => void,
   *   onReturned?: (held: Held) => void,
   *   onSettled?: (entry: import("./outbox.js").Entry, answer: any) => void,
   *   onNotice: (name: string, facts: {serial?: string, says?: string, detail?: string}) => void,
   *   onChange: () => void,
   *   now: () => number,
   *   newKey: () => string,
   *   setTimer?: (run: () => void, seconds: number) => unknown,
   * }} options
   */
  constructor(options) {
    this.api = options.api;
    this.prepare = options.prepare;
    this.discard = options.discard;
    this.onShow = options.onShow;
    this.onLeave = options.onLeave ?? (() => {});
    this.onReturned = options.onReturned ?? (() => {});
    this.onSettled = options.onSettled ?? (() => {});
    this.onNotice = options.onNotice;
    this.onChange = options.onChange;
    this.now = options.now;
    this.newKey = options.newKey;
    this.guard = new PressGuard();
    this.isTakingBack = false;
    this.isLost = false;
    /** Verdicts recorded since the figures were last read. */
    this.recorded = 0;
    /** How much the server has answered to what was said here. */
    this.answers = 0;
    /** @type {Done[]} */
    this.done = [];
    this.lookahead = new Lookahead({
      claim: (count) => this.api.claim(count),
      release: (task) => this.api.release(task),
      prepare: this.prepare,
      discard: this.discard,
      renewed: (held) => {
        this.isLost = this.isLost && held !== this.current;
        this.onNotice("renewed", { serial: held.task.unit.serial });
      },
    });
    this.outbox = new Outbox({
      send: (entry) => this.api.send(entry),
      store: options.store,
      onChange: () => this.onChange(),
      onSettled: (entry, answer) => this.#settled(entry, answer),
      onRefused: (entry, error) => this.#refused(entry, error),
      onSignedOut: () => this.onNotice("signed_out", {}),
      setTimer: options.setTimer,
    });
  }

  get current() {
    return this.lookahead.current;
  }

  /** What the server's figures were read after; null while they may hold what it has not answered yet. */
  get standing() {
    return this.outbox.isUnanswered || this.isTakingBack ? null : this.answers;
  }

  /** Claim what is missing; a network that is away is tried again by the next call. */
  async refill() {
    try {
      if (await this.lookahead.fill()) {
        this.#show();
      }
    } catch (error) {
      if (/** @type {ApiError} */ (error).isSignedOut) {
        this.onNotice("signed_out", {});
      }
    }
    this.onChange();
  }

  /**
   * Decide the task on the screen; false when this press does not count.
   * @param {{answer: string, disposition: string, defect_class: string|null, comment: string,
   *   regions: object[], seconds: number|null, images?: number}} verdict `images`: how many of the
   *   unit's he was shown; left out where one could not be
   * @param {string} says the verdict in words, for a notice
   */
  decide(verdict, says) {
    // Held it may be by who saw nothing.
    const isEarly = this.isSettling && verdict.answer !== "INCONCLUSIVE";
    return !isEarly && this.#leave("decision", verdict, says);
  }

  /** A verdict on the unit on the screen was refused: a picture of it is due. */
  toldToWait() {
    if (this.current) {
      this.guard.toldToWait(this.current.task);
    }
  }

  /** A picture that kept the unit on the screen from a verdict is there. @param {boolean} isLast */
  pictureCame(isLast) {
    if (this.current) {
      this.guard.came(this.current.task, this.now(), isLast);
    }
  }

  /** Whether a verdict but a hold does not count yet, because what was waited for has just come. */
  get isSettling() {
    return this.guard.isSettling(this.now());
  }

  /** @param {string} reason @param {string} says */
  skip(reason, says) {
    return this.#leave("skip", { reason }, says);
  }

  /** @param {string} comment @param {string} says */
  escalate(comment, says) {
    return this.#leave("escalate", { comment }, says);
  }

  /** Move on from a unit that is no longer ours. */
  leaveLost() {
    const lost = this.lookahead.advance();
    if (lost) {
      this.discard(lost);
    }
    this.#show();
    void this.refill();
  }

  /** Nobody is at the bench: everything goes back to the queue. */
  giveBackAll() {
    this.lookahead.giveBackAll();
    this.#show();
  }

  /** The latest verdict that can still be taken back. */
  get undoable() {
    return this.done.findLast((each) => !each.isOver) ?? null;
  }

  /** Seconds left to take it back; null while its answer is on the way or there is nothing. */
  get undoLeft() {
    const closesAt = this.undoable?.closesAt ?? null;
    return closesAt === null ? null : Math.max(0, (closesAt - this.now()) / 1000);
  }

  /** Forget what can no longer be taken back. */
  expire() {
    if (this.isTakingBack) {
      return; // Its images may be wanted again in a moment.
    }
    for (const each of this.done) {
      if (each.closesAt !== null && each.closesAt <= this.now()) {
        each.isOver = true;
      }
    }
    this.done.filter((each) => each.isOver).forEach((each) => this.discard(each.held));
    this.done = this.done.filter((each) => !each.isOver);
  }

  /** Take the latest verdict back; its unit returns to the screen with what was entered. */
  async undo() {
    const last = this.undoable;
    if (!last || this.isTakingBack) {
      return;
    }
    this.isTakingBack = true;
    this.onChange();
    try {
      await this.#takeBack(last);
    } finally {
      this.isTakingBack = false;
      this.answers += 1;
      this.onChange();
    }
  }

  /** Keep every lease; tell of the one on the screen when it is gone. */
  async heartbeat() {
    const held = this.lookahead.held.map(({ task }) => ({ task: task.id, fence: task.fence }));
    const sending = this.outbox.entries.map(({ task, fence }) => ({ task, fence }));
    const leases = [...held, ...sending].slice(0, MOST_LEASES);
    if (leases.length === 0) {
      return;
    }
    let lost;
    try {
      ({ lost } = await this.api.heartbeat(leases));
    } catch {
      return; // The next one comes soon; the connection shows what is wrong.
    }
    if (this.lookahead.drop(lost) && !this.isLost) {
      this.isLost = true;
      this.onNotice("lost", { serial: this.current?.task.unit.serial });
      this.onChange();
    }
  }

  /**
   * @param {"decision"|"skip"|"escalate"} kind @param {Record<string, unknown>} body
   * @param {string} says
   */
  #leave(kind, body, says) {
    const held = this.current;
    if (!held || this.isTakingBack || this.isLost || !this.guard.admits(held.task, this.now())) {
      return false;
    }
    const key = this.newKey();
    this.onLeave(held);
    this.lookahead.advance();
    this.#show();
    if (kind === "decision") {
      this.#remember(key, held);
    } else {
      this.discard(held);
    }
    const { id: task, fence, unit } = held.task;
    this.outbox.add({ kind, key, task, fence, serial: unit.serial, body, says });
    void this.refill();
    return true;
  }

  /** @param {string} key @param {Held} held */
  #remember(key, held) {
    let settle = () => {};
    /** @type {Promise<void>} */
    const settled = new Promise((resolve) => {
      settle = resolve;
    });
    this.done.push({ key, held, decision: null, closesAt: null, isOver: false, settled, settle });
  }

  /** @param {Done} last */
  async #takeBack(last) {
    if (this.outbox.cancel(last.key)) {
      this.guard.forget(last.held.task);
      this.#bringBack(last, last.held);
      return;
    }
    await last.settled;
    if (last.isOver || last.decision === null) {
      return;
    }
    try {
      const task = await this.api.undo(last.decision);
      this.recorded -= 1;
      this.#bringBack(last, { ...this.prepare(task, last.held), choice: last.held.choice });
    } catch (error) {
      const problem = /** @type {ApiError} */ (error);
      last.isOver = !problem.isPassing;
      const serial = last.held.task.unit.serial;
      this.onNotice("undo_failed", { serial, detail: problem.detail });
    }
  }

  /** @param {Done} last @param {Held} held */
  #bringBack(last, held) {
    this.done = this.done.filter((each) => each !== last);
    this.isLost = false;
    this.lookahead.putFirst(held);
    this.onReturned(held);
    this.#show();
  }

  /** @param {import("./outbox.js").Entry} entry @param {any} answer */
  #settled(entry, answer) {
    this.answers += 1;
    this.onSettled(entry, answer);
    if (entry.kind !== "decision") {
      return;
    }
    this.recorded += 1;
    const mine = this.done.find((each) => each.key === entry.key);
    if (mine) {
      mine.decision = answer.decision;
      mine.closesAt = this.now() + answer.undo_seconds * 1000;
      mine.settle();
    }
    this.onChange();
  }

  /** @param {import("./outbox.js").Entry} entry @param {ApiError} error */
  #refused(entry, error) {
    this.answers += 1;
    const mine = this.done.find((each) => each.key === entry.key);
    if (mine) {
      mine.isOver = true;
      mine.settle();
      this.done = this.done.filter((each) => each !== mine);
    }
    const isGone = error.status === 409 || error.status === 404;
    if (isGone && entry.kind !== "decision" && entry.attempts > 1) {
      return; // The first attempt had arrived after all.
    }
    if (mine && isGone) {
      this.discard(mine.held);
    } else if (mine) {
      // Still ours: it comes again after the one on the screen, with what was entered.
      this.guard.forget(mine.held.task);
      mine.held.isBehind = error.code === "view_came";
      this.lookahead.next.unshift(mine.held);
    }
    const { serial, says } = entry;
    this.onNotice(isGone ? "refused_gone" : "refused", { serial, says, detail: error.detail });
    this.onChange();
  }

  #show() {
    this.isLost = false;
    this.onShow(this.current);
    this.onChange();
  }
}
