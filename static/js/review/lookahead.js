// What this inspector holds: the task on the screen and the next ones, leased and decoded ahead.

/**
 * @typedef {import("./types.js").Held} Held
 * @typedef {import("./types.js").Task} Task
 */

export class Lookahead {
  /**
   * @param {{
   *   claim: (count: number) => Promise<Task[]>,
   *   release: (task: Task) => unknown,
   *   prepare: (task: Task) => Held,
   *   discard: (held: Held) => void,
   *   renewed?: (held: Held) => void,
   *   ahead?: number,
   * }} options
   */
  constructor({ claim, release, prepare, discard, renewed, ahead = 3 }) {
    this.claim = claim;
    this.release = release;
    this.prepare = prepare;
    this.discard = discard;
    this.renewed = renewed ?? (() => {});
    this.ahead = ahead;
    /** @type {Held|null} */
    this.current = null;
    /** @type {Held[]} */
    this.next = [];
    this.isClaiming = false;
    this.isClosed = false;
  }

  /** Everything held, the one on the screen first. */
  get held() {
    return this.current ? [this.current, ...this.next] : [...this.next];
  }

  /** How many more it wants. */
  get missing() {
    return Math.max(0, this.ahead + 1 - this.held.length);
  }

  /**
   * Claim what is missing. One call at a time; errors go to the caller.
   * @returns {Promise<boolean>} whether there is a new task on the screen
   */
  async fill() {
    if (this.isClaiming || this.isClosed || this.missing === 0) {
      return false;
    }
    this.isClaiming = true;
    try {
      const tasks = await this.claim(this.missing);
      if (this.isClosed) {
        tasks.forEach((task) => this.release(task));
        return false;
      }
      tasks.forEach((task) => this.#renew(task));
      const known = new Set(this.held.map((held) => held.task.id));
      this.next.push(...tasks.filter((task) => !known.has(task.id)).map((t) => this.prepare(t)));
    } finally {
      this.isClaiming = false;
    }
    return this.#promote();
  }

  /** The current one is done; the next takes its place. Its pictures stay: it may be taken back. */
  advance() {
    const done = this.current;
    this.current = null;
    this.#promote();
    return done;
  }

  /** @param {Held} held what comes back to the screen; the one there waits behind it */
  putFirst(held) {
    if (this.current) {
      this.next.unshift(this.current);
    }
    this.current = held;
  }

  /**
   * Leases that are gone.
   * @param {string[]} ids @returns {Held|null} the task on the screen, when it is among them
   */
  drop(ids) {
    const lost = new Set(ids);
    this.next.filter((held) => lost.has(held.task.id)).forEach((held) => this.discard(held));
    this.next = this.next.filter((held) => !lost.has(held.task.id));
    return this.current && lost.has(this.current.task.id) ? this.current : null;
  }

  /** Give back what nobody has looked at. */
  giveBackUnseen() {
    for (const held of this.next) {
      this.release(held.task);
      this.discard(held);
    }
    this.next = [];
  }

  /** Give everything back; `close` for good, when the page goes. */
  giveBackAll({ close = false } = {}) {
    this.isClosed = this.isClosed || close;
    this.giveBackUnseen();
    if (this.current) {
      this.release(this.current.task);
      this.discard(this.current);
      this.current = null;
    }
  }

  /** @param {Task} task taken from us by somebody, and ours again: the old fence no longer counts */
  #renew(task) {
    const mine = this.held.find((held) => held.task.id === task.id);
    if (mine && mine.task.fence !== task.fence) {
      mine.task.fence = task.fence;
      this.renewed(mine);
    }
  }

  #promote() {
    if (this.current) {
      return false;
    }
    this.current = this.next.shift() ?? null;
    return this.current !== null;
  }
}
