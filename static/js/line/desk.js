// What stands on the tablet: the board, the tasks at hand, what was pressed and what can be undone.
// It knows no element of the page.

import { DiskHangs } from "./outbox/database.js";
import { DecidedHere } from "./outbox/rows.js";
import { callKey, checkKey, holdKey, holdsOf, sceneOf } from "./scene.js";

/**
 * @typedef {import("./types.js").BoardState} BoardState
 * @typedef {import("./types.js").Task} Task
 * @typedef {import("./types.js").View} View
 * @typedef {import("./outbox/types.js").Answer} Answer
 * @typedef {{key: string, kind: string, body: Record<string, any>}} Row
 * @typedef {{add: (kind: any, body: Record<string, any>, who: {attendance: string|null}) => Promise<Row>,
 *   rows: () => Promise<Row[]>}} Outbox
 * @typedef {{tasks: (how: {isReached: boolean}) => Promise<Task[]>,
 *   imageUrl: (task: Task, view: View) => Promise<string>}} Shelf
 * @typedef {"saved"|"arrived"} Where
 * @typedef {{key: string, act: string, serial: string, what: string, task: string|null, fence: number,
 *   isUndoable: boolean, until: number, where: Where}} Said the latest press
 */

/** A board that was asked for before the server had a call may come this much later. */
export const CLOSED_AFTER_MS = 2000;

export class Desk {
  /**
   * @param {{outbox: Outbox|null, shelf: Shelf|null, words: import("./types.js").Words, undoMs: number,
   *   isLookOnly: boolean, onChange: () => void, now?: () => number}} parts
   */
  constructor({ outbox, shelf, words, undoMs, isLookOnly, onChange, now = () => performance.now() }) {
    this.outbox = outbox;
    this.shelf = shelf;
    this.words = words;
    this.undoMs = undoMs;
    this.isLookOnly = isLookOnly;
    this.onChange = onChange;
    this.now = now;
    /** @type {BoardState|null} */
    this.board = null;
    this.isReached = false;
    /** @type {Task[]} */
    this.tasks = [];
    /** @type {string|null} the task in hand; it stays until it is decided, whatever else comes */
    this.taskId = null;
    this.shownAt = 0;
    /** @type {Map<string, string>} capture and the address of its image on the tablet */
    this.images = new Map();
    /** @type {Map<string, string>} what is done here though the board may not know, and by which press */
    this.done = new Map();
    /** @type {Map<string, {key: string, at: number, sentAt?: number}>} calls by kind that the board
     * does not show yet; `sentAt`: when the server had named it */
    this.calling = new Map();
    /** @type {Said|null} */
    this.said = null;
    /** @type {Set<string>} what is being kept: of each, one at a time */
    this.saying = new Set();
    this.renewals = 0;
  }

  get operator() {
    return this.board?.operator ?? null;
  }

  get task() {
    return this.tasks.find((task) => task.id === this.taskId) ?? null;
  }

  /** What is shown, or null while nothing is known. */
  get scene() {
    const { board, task, isReached, isLookOnly, words } = this;
    const done = new Set(this.done.keys());
    const imageOf = (/** @type {Task} */ _task, /** @type {View} */ view) =>
      this.images.get(view.capture) ?? view.image_url;
    const isStopping = this.calling.has("STOP");
    return board && sceneOf({ board, task, isReached, isLookOnly, done, isStopping, imageOf, words });
  }

  /** What was pressed before the page was opened, and has not been sent. */
  async restore() {
    for (const row of (await this.outbox?.rows()) ?? []) {
      this.#note(row);
    }
    await this.renew();
  }

  /** @param {BoardState} board */
  heard(board) {
    this.board = board;
    const standing = new Set([
      ...holdsOf(board).map(holdKey),
      ...(board.check && !board.check.done_by ? [checkKey(board.check.id)] : []),
      ...board.calls.map((call) => callKey(call.id)),
    ]);
    for (const name of this.done.keys()) {
      if (!standing.has(name)) {
        this.done.delete(name);
      }
    }
    board.calls.forEach((call) => this.calling.delete(call.kind));
    for (const [kind, { sentAt }] of this.calling) {
      // The server has had it and does not show it: it was closed before anybody looked.
      if (sentAt !== undefined && this.now() - sentAt > CLOSED_AFTER_MS) {
        this.calling.delete(kind);
      }
    }
    this.onChange();
  }

  /** Who is here from now on, before the board says so: the next press is his. @param {BoardState["operator"]} operator */
  stands(operator) {
    if (this.board) {
      this.heard({ ...this.board, operator });
    }
  }

  /** Read the shelf anew; the task in hand stays in hand. */
  async renew() {
    this.renewals += 1;
    const mine = this.renewals;
    const tasks = (await this.shelf?.tasks({ isReached: this.isReached })) ?? [];
    const inHand = () => tasks.find((task) => task.id === this.taskId) ?? tasks[0] ?? null;
    await this.#see(inHand());
    if (mine !== this.renewals) {
      // What was read meanwhile is newer: it alone counts.
      return;
    }
    this.#forgetImages(tasks);
    const next = inHand();
    const before = this.task;
    this.tasks = tasks;
    this.taskId = next?.id ?? null;
    if (next?.id !== before?.id || next?.fence !== before?.fence) {
      this.shownAt = this.now();
    }
    this.onChange();
    await this.#see(tasks.find((task) => task.id !== next?.id) ?? null);
  }

  /** What has left the shelf has no address any more. @param {Task[]} tasks */
  #forgetImages(tasks) {
    const captures = new Set(tasks.flatMap(({ views }) => views.map(({ capture }) => capture)));
    for (const capture of this.images.keys()) {
      if (!captures.has(capture)) {
        this.images.delete(capture);
      }
    }
  }

  /** Know where the images of a task lie: they may come onto the tablet, and leave it. @param {Task|null} task */
  async #see(task) {
    for (const view of task?.views ?? []) {
      const url = task && (await this.shelf?.imageUrl(task, view));
      if (url && url !== view.image_url) {
        this.images.set(view.capture, url);
      } else {
        this.images.delete(view.capture);
      }
    }
  }

  /** What is on the disk is kept, also where the shelf cannot be read after it. */
  async #goOn() {
    await this.renew().catch((error) => console.error(error));
  }

  /**
   * Take the unit with this serial into the hand.
   * @param {string} serial @returns {"here"|"bench"|"rack"|"operator"|null} where it waits
   */
  pick(serial) {
    const wanted = serial.trim().toLowerCase();
    const task = this.tasks.find((each) => each.unit.serial.toLowerCase() === wanted);
    if (task) {
      this.taskId = task.id;
      this.shownAt = this.now();
      this.onChange();
      return "here";
    }
    const held = this.board ? holdsOf(this.board) : [];
    if (held.some(({ unit }) => unit.serial.toLowerCase() === wanted)) {
      return "rack";
    }
    return this.board?.waiting.find((each) => each.serial.toLowerCase() === wanted)?.for ?? null;
  }

  /**
   * Keep one of the scene's choices; fulfilled once it is on the disk. Rejects when it is not.
   * @param {import("./types.js").Choice} choice @param {import("./types.js").Scene} scene
   * @param {number} images how many of its images were looked at
   */
  async press(choice, scene, images) {
    const { kind, body } = choice.press;
    const seconds = Math.round((this.now() - this.shownAt) / 100) / 10;
    const whole = kind === "decision" ? { ...body, seconds, images } : body;
    await this.#add(kind, whole, "unit", (row) => {
      this.said = {
        key: row.key,
        act: choice.act,
        serial: scene.serial,
        what: choice.what,
        task: scene.task?.id ?? null,
        fence: scene.task?.fence ?? 0,
        isUndoable: kind === "decision",
        until: this.now() + this.undoMs,
        where: "saved",
      };
      return this.#goOn();
    });
  }

  /** Take the latest verdict back. */
  async undo() {
    const { said } = this;
    if (said?.isUndoable && said.task && this.undoLeft > 0) {
      const { key, task, fence, serial } = said;
      await this.#add("undo", { decision_key: key, task, fence }, "unit", (row) => {
        this.said = { ...said, key: row.key, act: "undo", serial, isUndoable: false, where: "saved" };
        this.taskId = task;
        return this.#goOn();
      });
    }
  }

  /** Seconds in which the latest verdict can be taken back. */
  get undoLeft() {
    return this.said?.isUndoable ? Math.max(0, (this.said.until - this.now()) / 1000) : 0;
  }

  /** @param {"HELP"|"STOP"} kind @returns {Promise<boolean>} whether it is on the disk */
  async call(kind) {
    if (this.calling.has(kind) || this.openCall(kind)) {
      return false;
    }
    const row = await this.#add("call", { kind }, kind);
    this.onChange();
    return row !== null;
  }

  /** @param {"HELP"|"STOP"} kind an open call, of which the board knows or does not yet */
  async solve(kind) {
    const [open, calling] = [this.openCall(kind), this.calling.get(kind)];
    if (open) {
      await this.#add("call_close", { call: open.id }, kind);
    } else if (calling) {
      await this.#add("call_close", { call_key: calling.key }, kind);
    }
    this.onChange();
  }

  /** @param {"HELP"|"STOP"} kind */
  openCall(kind) {
    const open = this.board?.calls.find((call) => call.kind === kind);
    return open && !this.done.has(callKey(open.id)) ? open : null;
  }

  /** Whether the station calls for anything. */
  get hasCalls() {
    return this.calling.size > 0 || this.openCall("HELP") !== null || this.openCall("STOP") !== null;
  }

  /**
   * @param {string} kind @param {Record<string, any>} body @param {string} what a call waits for no verdict
   * @param {(row: Row) => unknown} onKept also where the disk answers after its time
   * @returns {Promise<Row|null>} null: not now
   */
  async #add(kind, body, what, onKept = this.onChange) {
    const { operator, outbox } = this;
    // Nobody has to sign in first to call.
    if (!(operator || kind === "call") || !outbox || this.saying.has(what)) {
      return null;
    }
    this.saying.add(what);
    const keep = async (/** @type {Row} */ row) => {
      this.#note(row);
      await onKept(row);
      return row;
    };
    let row;
    try {
      row = await outbox.add(kind, body, { attendance: operator?.attendance ?? null });
    } catch (error) {
      if (error instanceof DecidedHere) {
        await this.renew();
        return null;
      }
      const later = error instanceof DiskHangs ? error.later : null;
      later?.then(keep).catch((/** @type {Error} */ failed) => console.error(failed));
      throw error;
    } finally {
      this.saying.delete(what);
    }
    return keep(row);
  }

  /** What a press settles here before the board knows. @param {Row} row */
  #note({ key, kind, body }) {
    if (kind === "hold_done") {
      this.done.set(`hold/${body.serial}/${body.held_since}`, key);
    } else if (kind === "check_done") {
      this.done.set(checkKey(body.check), key);
    } else if (kind === "call_close" && body.call) {
      this.done.set(callKey(body.call), key);
    } else if (kind === "call_close") {
      this.#takeBack(body.call_key);
    } else if (kind === "call") {
      this.calling.set(body.kind, { key, at: this.now() });
    }
  }

  /** The server named these presses. @param {Answer[]} answers */
  async answered(answers) {
    for (const { key, state } of answers) {
      if (this.said?.key === key) {
        this.said = state === "applied" ? { ...this.said, where: "arrived" } : null;
      }
      if (state !== "applied") {
        this.#takeBack(key);
      }
      for (const call of this.calling.values()) {
        if (call.key === key) {
          call.sentAt = this.now();
        }
      }
    }
    // Another tab may have decided what is shown here.
    await this.renew();
  }

  /** It did not count: the board is right again. @param {string} key */
  #takeBack(key) {
    for (const [name, by] of this.done) {
      if (by === key) {
        this.done.delete(name);
      }
    }
    for (const [kind, call] of this.calling) {
      if (call.key === key) {
        this.calling.delete(kind);
      }
    }
  }
}
