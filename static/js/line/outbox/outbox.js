// The presses of this tablet: kept before anything is said, sent until the server has named each.

import { Clock } from "./clock.js";
import { Database, DiskHangs } from "./database.js";
import { newKey } from "./keys.js";
import { LineApi } from "./line_api.js";
import { waitFor } from "./pace.js";
import { Rows } from "./rows.js";
import { Sender } from "./sender.js";

/** @typedef {import("./types.js").Row} Row */
/** @typedef {import("./types.js").Answer} Answer */
/** @typedef {import("./types.js").Counts} Counts */
/** @typedef {(counts: Counts, answers: Answer[]) => void} Listener */

export const SCHEMA = 1;
/** A press that waits longer than this is told to people. */
export const OLD_S = 86_400;
const CHANNEL = "loupe-line-outbox";
const REPORT_AFTER_MS = 2000;
const MEASURE_EVERY_MS = 600_000;

export class Outbox {
  /**
   * @param {{app: string, database: Database, clock: Clock, api: LineApi,
   *   locks?: LockManager, makeRoom?: () => Promise<unknown>}} parts
   */
  constructor({ app, database, clock, api, locks, makeRoom }) {
    this.app = app;
    this.database = database;
    this.clock = clock;
    this.api = api;
    this.kept = new Rows(database, makeRoom);
    this.sender = new Sender({
      rows: this.kept,
      clock,
      post: (body) => api.post("outbox", body),
      onAnswers: (answers) => void this.#changed(answers, { isOwn: true }),
      locks: locks ?? globalThis.navigator?.locks,
    });
    /** @type {Listener[]} */
    this.listeners = [];
    /** @type {Map<string, Promise<Row>>} presses of which the disk has not said whether it keeps them */
    this.doubtful = new Map();
    /** @type {Counts} */
    this.counted = { unsent: 0, oldest_s: 0 };
    this.failures = 0;
    this.isAskedAgain = false;
    /** @type {Promise<void>|null} */
    this.draining = null;
    /** @type {number|null} what the server was last told */
    this.reported = null;
    this.timers = { retry: 0, report: 0, measure: 0 };
    // Without it other tabs see late what this one has done; on the disk it is theirs at once.
    this.channel = globalThis.BroadcastChannel ? new BroadcastChannel(CHANNEL) : null;
    this.ending = new AbortController();
  }

  /**
   * Rejects where the tablet cannot keep anything: nothing may be pressed then.
   * @param {{app: string, database?: Database, clock?: Clock, api?: LineApi, locks?: LockManager,
   *   makeRoom?: () => Promise<unknown>}} options
   */
  static async open({ app, database = new Database(), clock, api, ...parts }) {
    const known = clock ? null : await database.fact("clock");
    // Where the disk has no room for it, it is measured anew when the page is opened.
    const note = (/** @type {any} */ measured) => void database.note("clock", measured).catch(() => {});
    const told = clock ?? new Clock({ known, onMeasured: note });
    const calls = api ?? new LineApi({ clock: told });
    const outbox = new Outbox({ app, database, clock: told, api: calls, ...parts });
    await outbox.#count([], { isOwn: false });
    outbox.#watch();
    outbox.#again();
    return outbox;
  }

  /**
   * Keep a press. Rejects when it is not kept: it must then not be called saved.
   * @param {import("./types.js").Kind} kind
   * @param {Record<string, any>} body
   * @param {{attendance: string|null}} who null: nobody was signed in, for a call alone
   * @returns {Promise<Row>} once it is on the disk
   */
  async add(kind, body, { attendance }) {
    const name = sameness(kind, body, attendance);
    const keep = () => this.#keep(name, kind, body, attendance);
    const doubtful = this.doubtful.get(name);
    const kept = await (doubtful ? inTime(doubtful, this.database.within).catch(unlessItHangs(keep)) : keep());
    void this.#changed([], { isOwn: true });
    void this.drain();
    return kept;
  }

  /**
   * @param {string} name @param {import("./types.js").Kind} kind @param {Record<string, any>} body
   * @param {string|null} attendance @returns {Promise<Row>}
   */
  async #keep(name, kind, body, attendance) {
    const mark = this.clock.mark();
    const row = { schema: SCHEMA, key: newKey(mark.wall), kind, attendance, app: this.app, body, mark };
    try {
      return await this.kept.add(row);
    } catch (error) {
      if (error instanceof DiskHangs && error.later) {
        this.#doubt(name, error.later);
      }
      throw error;
    }
  }

  /** The same press made again meanwhile is this one. @param {string} name @param {Promise<Row>} later */
  #doubt(name, later) {
    this.doubtful.set(name, later);
    const written = later.then(() => this.#changed([], { isOwn: true }));
    written.then(() => this.drain()).catch((error) => console.error(error));
    later.catch(() => {}).finally(() => this.doubtful.delete(name));
  }

  counts() {
    return this.counted;
  }

  rows() {
    return this.kept.all();
  }

  conflicts() {
    return this.kept.conflicts();
  }

  /** A conflict was read and tapped away. @param {string} key */
  async acknowledge(key) {
    await this.kept.acknowledge(key);
    await this.#changed([], { isOwn: true });
  }

  /** @param {Listener} listener told of counts and of the latest answers, also other tabs' */
  onChange(listener) {
    this.listeners.push(listener);
  }

  /** Send what waits, now. Fulfilled when all has gone or it stopped. @returns {Promise<void>} */
  drain() {
    this.isAskedAgain = true;
    this.draining ??= this.#drain();
    return this.draining;
  }

  async #drain() {
    try {
      await this.#passes();
    } finally {
      this.draining = null;
    }
  }

  async #passes() {
    while (this.isAskedAgain) {
      this.isAskedAgain = false;
      clearTimeout(this.timers.retry);
      const { isDone, reply } = await this.#pass();
      this.failures = isDone ? 0 : this.failures + 1;
      if (!isDone) {
        this.#retry(reply?.retryAfter ?? null);
      }
      await this.#changed([], { isOwn: false });
    }
  }

  async #pass() {
    try {
      // What was counted may be older than the latest press: the disk is asked.
      return await this.sender.pass();
    } catch (error) {
      // The disk, or the browser, refused for now: everything is where it was.
      console.error(error);
      return { isDone: false, reply: null };
    }
  }

  /** @param {number|null} asked */
  #retry(asked) {
    clearTimeout(this.timers.retry);
    const wait = waitFor(this.failures, asked) * 1000;
    this.timers.retry = Number(setTimeout(() => void this.drain(), wait));
  }

  /**
   * Count anew and tell those who show it.
   * @param {Answer[]} answers
   * @param {{isOwn: boolean}} how `isOwn`: other tabs hear
   */
  async #changed(answers, how) {
    try {
      await this.#count(answers, how);
    } catch (error) {
      // Neither a disk that cannot be read for now nor a screen that fails ends the sending.
      console.error(error);
    }
  }

  /** @param {Answer[]} answers @param {{isOwn: boolean}} how */
  async #count(answers, { isOwn }) {
    if (isOwn && !this.ending.signal.aborted) {
      this.channel?.postMessage(answers);
    }
    const rows = await this.kept.all();
    this.counted = {
      unsent: rows.length,
      oldest_s: rows.length ? this.clock.since(rows[0].mark).seconds : 0,
    };
    this.listeners.forEach((listener) => listener(this.counted, answers));
    clearTimeout(this.timers.report);
    this.timers.report = Number(setTimeout(() => void this.#report(), REPORT_AFTER_MS));
  }

  /** A lead sees what the tablet keeps. */
  async #report() {
    const { unsent } = this.counted;
    if (unsent !== this.reported && navigator.onLine) {
      const { status } = await this.api.post("unsent", { count: unsent });
      this.reported = status >= 200 && status < 300 ? unsent : null;
    }
  }

  #again() {
    this.failures = 0;
    void this.drain();
    void this.#measure();
  }

  /** A call without rows tells the server's time. */
  async #measure() {
    clearTimeout(this.timers.measure);
    if (navigator.onLine) {
      await this.api.post("outbox", { rows: [] });
    }
    if (!this.ending.signal.aborted) {
      this.timers.measure = Number(setTimeout(() => void this.#measure(), MEASURE_EVERY_MS));
    }
  }

  #watch() {
    const { signal } = this.ending;
    addEventListener("online", () => this.#again(), { signal });
    document.addEventListener(
      "visibilitychange",
      () => document.hidden || this.#again(),
      { signal },
    );
    this.channel?.addEventListener(
      "message",
      ({ data }) => void this.#changed(data, { isOwn: false }),
      { signal },
    );
  }

  /** By how many seconds the tablet's clock is off, when that is too much; else null. */
  get skew_s() {
    return this.clock.skew_s;
  }

  close() {
    this.ending.abort();
    this.channel?.close();
    Object.values(this.timers).forEach(clearTimeout);
    this.database.close();
  }
}

/**
 * What two presses have in common that mean the same; how long somebody looked is not of it.
 * @param {string} kind @param {Record<string, any>} body @param {string|null} attendance
 */
function sameness(kind, { seconds: _seconds, images: _images, ...said }, attendance) {
  return JSON.stringify([kind, said, attendance]);
}

/**
 * What was taken back after all is kept by who presses again.
 * @template T @param {() => Promise<T>} keep @returns {(error: Error) => Promise<T>}
 */
function unlessItHangs(keep) {
  return (error) => (error instanceof DiskHangs ? Promise.reject(error) : keep());
}

/** @template T @param {Promise<T>} later @param {number} within ms @returns {Promise<T>} */
function inTime(later, within) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new DiskHangs(later)), within);
    later.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
