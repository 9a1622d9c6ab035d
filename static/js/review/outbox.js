// Verdicts on their way: sent one after the other, in order, with the same key until an answer comes.

const FIRST_WAIT_S = 0.5;
const LONGEST_WAIT_S = 10;

/**
 * @typedef {import("./types.js").Message & {attempts: number}} Entry
 * @typedef {{load: () => Entry[], save: (entries: Entry[]) => void}} Store
 */

export class Outbox {
  /**
   * @param {{
   *   send: (entry: Entry) => Promise<any>,
   *   store: Store,
   *   onChange?: () => void,
   *   onSettled?: (entry: Entry, answer: any) => void,
   *   onRefused?: (entry: Entry, error: import("./api.js").ApiError) => void,
   *   onSignedOut?: () => void,
   *   setTimer?: (run: () => void, seconds: number) => unknown,
   * }} options
   */
  constructor({ send, store, onChange, onSettled, onRefused, onSignedOut, setTimer }) {
    this.send = send;
    this.store = store;
    this.onChange = onChange ?? (() => {});
    this.onSettled = onSettled ?? (() => {});
    this.onRefused = onRefused ?? (() => {});
    this.onSignedOut = onSignedOut ?? (() => {});
    this.setTimer = setTimer ?? ((run, seconds) => setTimeout(run, seconds * 1000));
    this.entries = store.load();
    this.isSending = false;
    this.isWaiting = false;
    this.failed = this.entries.length > 0;
  }

  /** How many verdicts wait because a send failed; 0 while all goes well. */
  get unsent() {
    return this.failed ? this.entries.length : 0;
  }

  /** Whether the server may have something of which it has not said so. */
  get isUnanswered() {
    return this.entries.some((entry) => entry.attempts > 0);
  }

  /** @param {import("./types.js").Message} message */
  add(message) {
    this.entries.push({ ...message, attempts: 0 });
    this.#changed();
    if (!this.isWaiting) {
      void this.flush();
    }
  }

  /**
   * Take back what was never sent; false when it may have reached the server.
   * @param {string} key
   */
  cancel(key) {
    const found = this.entries.findIndex((entry) => entry.key === key && entry.attempts === 0);
    if (found < 0) {
      return false;
    }
    this.entries.splice(found, 1);
    this.#changed();
    return true;
  }

  /** @param {string} key */
  has(key) {
    return this.entries.some((entry) => entry.key === key);
  }

  /** Send now what waits for its next attempt (the network is back, the person logged in). */
  async flush() {
    if (this.isSending) {
      return;
    }
    this.isSending = true;
    try {
      while (this.entries.length > 0 && (await this.#sendFirst())) {
        // The next one.
      }
    } finally {
      this.isSending = false;
    }
  }

  /** @returns {Promise<boolean>} whether to go on with the next */
  async #sendFirst() {
    const [entry] = this.entries;
    entry.attempts += 1;
    this.store.save(this.entries);
    try {
      const answer = await this.send(entry);
      this.#remove(entry);
      this.onSettled(entry, answer);
      return true;
    } catch (error) {
      const problem = /** @type {import("./api.js").ApiError} */ (error);
      if (problem.isPassing || problem.isSignedOut) {
        this.#wait(entry, problem);
        return false;
      }
      this.#remove(entry);
      this.onRefused(entry, problem);
      return true;
    }
  }

  /** @param {Entry} entry @param {import("./api.js").ApiError} problem */
  #wait(entry, problem) {
    this.failed = true;
    if (problem.isSignedOut) {
      this.onSignedOut();
    }
    this.#changed();
    if (this.isWaiting) {
      return;
    }
    this.isWaiting = true;
    this.setTimer(() => {
      this.isWaiting = false;
      void this.flush();
    }, waitFor(entry.attempts, problem.retryAfter));
  }

  /** @param {Entry} entry */
  #remove(entry) {
    this.entries = this.entries.filter((other) => other !== entry);
    this.failed = this.failed && this.entries.length > 0;
    this.#changed();
  }

  #changed() {
    this.store.save(this.entries);
    this.onChange();
  }
}

/**
 * Seconds before the next attempt.
 * @param {number} attempts made so far
 * @param {number|null} asked what the server asked for
 */
export function waitFor(attempts, asked) {
  const own = Math.min(FIRST_WAIT_S * 2 ** (attempts - 1), LONGEST_WAIT_S);
  return Math.max(own, Math.min(asked ?? 0, 60));
}

/**
 * Entries kept in the tab, so that a reload loses nothing; another person's are left alone.
 * @param {Storage} storage @param {string} person @returns {Store}
 */
export function tabStore(storage, person) {
  const name = `loupe-outbox:${person}`;
  return {
    load() {
      try {
        return JSON.parse(storage.getItem(name) ?? "[]");
      } catch {
        return [];
      }
    },
    save(entries) {
      try {
        storage.setItem(name, JSON.stringify(entries));
      } catch {
        // A full or forbidden storage: the entries stay in memory.
      }
    },
  };
}
