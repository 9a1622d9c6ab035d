// What happens at the bench, told to whoever asked; in the order they asked.

/**
 * @typedef {{
 *   show: [held: import("./types.js").Held|null],
 *   view: [held: import("./types.js").Held, index: number],
 *   leave: [held: import("./types.js").Held],
 *   returned: [held: import("./types.js").Held],
 *   settled: [entry: import("./outbox.js").Entry, answer: any],
 *   change: [],
 *   figures: [queue: import("./types.js").Queue],
 * }} Happenings
 */

export class Hooks {
  constructor() {
    /** @type {Map<string, ((...facts: any[]) => void)[]>} */
    this.listeners = new Map();
  }

  /**
   * @template {keyof Happenings} N
   * @param {N} name @param {(...facts: Happenings[N]) => void} listener
   */
  on(name, listener) {
    const known = this.listeners.get(name) ?? [];
    this.listeners.set(name, [...known, listener]);
  }

  /** @template {keyof Happenings} N @param {N} name @param {Happenings[N]} facts */
  tell(name, ...facts) {
    for (const listener of this.listeners.get(name) ?? []) {
      listener(...facts);
    }
  }
}
