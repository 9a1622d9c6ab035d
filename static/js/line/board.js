// What the station's board says, live: one request waits at the server until something has changed.

import { within } from "./patience.js";

const WAIT_S = 20;
const TIMEOUT_MS = (WAIT_S + 10) * 1000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
const REFUSED_PAUSE_MS = 5000;
// A server that does not let us wait is not asked faster than this.
const LEAST_MS = 1000;
// Who only waits is not seen: now and then the server itself is asked, and notes a sign of life.
const SEEN_EVERY_MS = 60_000;

/** @param {number} failures in a row @param {number} random 0..1 @returns {number} milliseconds */
export function pauseAfter(failures, random) {
  const whole = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.max(0, failures - 1));
  return whole * (0.5 + random / 2);
}

/**
 * @typedef {{
 *   url: string,
 *   onBoard: (board: import("./types.js").BoardState) => void,
 *   onContact: (isReached: boolean) => void,
 *   onRefused: (status: number, code: string, detail: string) => void,
 *   onTime?: (told: string|null) => void,
 *   fetch?: typeof fetch,
 *   random?: () => number,
 *   sleep?: (ms: number, signal: AbortSignal) => Promise<void>,
 * }} Options
 */

export class Board {
  /** @param {Options} options */
  constructor({ url, onBoard, onContact, onRefused, onTime = () => {}, fetch: ask, random = Math.random, sleep = rest }) {
    this.url = url;
    this.onBoard = onBoard;
    this.onContact = onContact;
    this.onRefused = onRefused;
    this.onTime = onTime;
    this.ask = ask ?? ((...asked) => fetch(...asked));
    this.random = random;
    this.sleep = sleep;
    this.etag = "";
    this.failures = 0;
    /** @type {AbortController|null} */
    this.current = null;
  }

  get isRunning() {
    return this.current !== null;
  }

  /** Ask until stopped; asking anew while one request waits drops that one. */
  start() {
    this.stop();
    const current = new AbortController();
    this.current = current;
    void this.#run(current.signal);
  }

  stop() {
    this.current?.abort();
    this.current = null;
  }

  /** Ask at once: somebody signed in, or the network has gone or come. @param {{isAnew?: boolean}} [how] */
  poke({ isAnew = false } = {}) {
    if (!this.isRunning) {
      return;
    }
    if (isAnew) {
      this.etag = "";
    }
    this.failures = 0;
    this.start();
  }

  /** @param {AbortSignal} signal */
  async #run(signal) {
    let waits = false;
    let seenAt = performance.now();
    while (!signal.aborted) {
      const pause = await this.#once(signal, waits);
      seenAt = waits ? seenAt : performance.now();
      // After a failure the first answer says that the network is back: it is not to wait for news.
      waits = this.failures === 0 && this.etag !== "" && performance.now() - seenAt < SEEN_EVERY_MS;
      if (pause > 0 && !signal.aborted) {
        await this.sleep(pause, signal);
      }
    }
  }

  /** @param {AbortSignal} signal @param {boolean} waits @returns {Promise<number>} milliseconds to rest */
  async #once(signal, waits) {
    const began = performance.now();
    let response;
    let body = null;
    try {
      response = await this.ask(waits ? this.#waiting() : this.url, {
        headers: { Accept: "application/json", ...(this.etag ? { "If-None-Match": this.etag } : {}) },
        credentials: "same-origin",
        cache: "no-store",
        redirect: "error",
        signal: within(TIMEOUT_MS, signal),
      });
      body = response.status === 304 ? null : await response.json().catch(() => null);
    } catch {
      return signal.aborted ? 0 : this.#failed();
    }
    if (signal.aborted) {
      return 0;
    }
    const pause = this.#answered(response, body);
    const isHasty = response.status === 304 && performance.now() - began < LEAST_MS;
    return isHasty ? Math.max(pause, LEAST_MS) : pause;
  }

  #waiting() {
    return `${this.url}${this.url.includes("?") ? "&" : "?"}wait=${WAIT_S}`;
  }

  /** @param {Response} response @param {any} body @returns {number} milliseconds to rest */
  #answered(response, body) {
    if (response.status === 401 || response.status === 403) {
      this.etag = "";
      this.onContact(true);
      this.onRefused(response.status, body?.code ?? "", body?.detail ?? "");
      return REFUSED_PAUSE_MS;
    }
    if (response.status !== 304 && !(response.ok && body)) {
      return this.#failed();
    }
    this.failures = 0;
    this.onTime(body?.server_time ?? response.headers.get("Date"));
    this.onContact(true);
    if (body) {
      this.etag = response.headers.get("ETag") ?? "";
      this.onBoard(body);
    }
    return this.etag ? 0 : FIRST_PAUSE_MS;
  }

  #failed() {
    this.failures += 1;
    this.onContact(false);
    return pauseAfter(this.failures, this.random());
  }
}

/** @param {number} ms @param {AbortSignal} signal @returns {Promise<void>} */
function rest(ms, signal) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
}
