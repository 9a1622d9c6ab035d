// How this person has set up the bench: kept at once, sent a little later, in spite of the network.

/**
 * @typedef {import("../context.js").Bench} Bench
 * @typedef {Record<string, any>} Values
 */

const WAIT_MS = 600;
const AGAIN_MS = 10_000;

export class Preferences {
  /**
   * @param {{
   *   values: Values,
   *   kept: {load: () => Values, save: (unsent: Values) => void},
   *   send: (values: Values) => Promise<unknown>,
   *   onRefused?: (error: import("../api.js").ApiError) => void,
   *   setTimer?: (run: () => void, milliseconds: number) => unknown,
   * }} options
   */
  constructor({ values, kept, send, onRefused, setTimer }) {
    this.kept = kept;
    this.send = send;
    this.onRefused = onRefused ?? (() => {});
    this.setTimer = setTimer ?? ((run, wait) => setTimeout(run, wait));
    /** @type {Values} */
    this.unsent = kept.load();
    /** @type {Values} */
    this.values = { ...values, ...this.unsent };
    this.isWaiting = false;
    this.isSending = false;
    if (Object.keys(this.unsent).length > 0) {
      this.#later(WAIT_MS);
    }
  }

  /** @param {string} name */
  get(name) {
    return this.values[name] ?? undefined;
  }

  /** @param {string} name @param {unknown} value null to forget it */
  set(name, value) {
    if (JSON.stringify(this.values[name] ?? null) === JSON.stringify(value)) {
      return;
    }
    this.values[name] = value;
    this.unsent[name] = value;
    this.kept.save(this.unsent);
    this.#later(WAIT_MS);
  }

  /** Send what is not sent yet; what comes meanwhile goes with the next. */
  async flush() {
    const going = { ...this.unsent };
    if (this.isSending || Object.keys(going).length === 0) {
      return; // What is on its way comes first; the rest follows it.
    }
    this.isSending = true;
    try {
      await this.send(going);
    } catch (error) {
      const problem = /** @type {import("../api.js").ApiError} */ (error);
      if (problem.isPassing || problem.isSignedOut) {
        this.#later(AGAIN_MS);
        return;
      }
      this.onRefused(problem);
    } finally {
      this.isSending = false;
    }
    for (const [name, value] of Object.entries(going)) {
      if (this.unsent[name] === value) {
        delete this.unsent[name];
      }
    }
    this.kept.save(this.unsent);
    if (Object.keys(this.unsent).length > 0) {
      this.#later(WAIT_MS);
    }
  }

  /** @param {number} wait */
  #later(wait) {
    if (this.isWaiting) {
      return;
    }
    this.isWaiting = true;
    this.setTimer(() => {
      this.isWaiting = false;
      void this.flush();
    }, wait);
  }
}

/**
 * Kept in the browser until they are sent, for each person apart.
 * @param {Storage} storage @param {string} person
 */
export function browserStore(storage, person) {
  const name = `loupe-preferences:${person}`;
  return {
    /** @returns {Values} */
    load() {
      try {
        return JSON.parse(storage.getItem(name) ?? "{}");
      } catch {
        return {};
      }
    },
    /** @param {Values} unsent */
    save(unsent) {
      try {
        storage.setItem(name, JSON.stringify(unsent));
      } catch {
        // A full or forbidden storage: they stay in memory.
      }
    },
  };
}

/** @param {Bench} bench */
export function install(bench) {
  const { api, config, notices } = bench;
  const store = new Preferences({
    values: config.preferences ?? {},
    kept: browserStore(localStorage, config.person),
    send: (values) => api.request("PUT", "/preferences", { preferences: values }),
    onRefused: (error) => notices.show(error.detail),
  });
  bench.preferences = store;
  if (store.get("opinion_shown") === false) {
    bench.acts.model?.({});
  }
  window.addEventListener("online", () => void store.flush());
}
