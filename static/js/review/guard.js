// One verdict for one press: a held key, a bouncing switch or a double click decides once.

export const SETTLE_MS = 300;

export class PressGuard {
  /** @param {{settleMs?: number}} [options] */
  constructor({ settleMs = SETTLE_MS } = {}) {
    this.settleMs = settleMs;
    this.last = Number.NEGATIVE_INFINITY;
    /** @type {Set<string>} task and fence of what was decided here */
    this.done = new Set();
  }

  /**
   * Whether this press counts; when it does, the next `settleMs` do not.
   * @param {{id: string, fence: number}} task @param {number} now monotonic milliseconds
   */
  admits(task, now) {
    const name = `${task.id}/${task.fence}`;
    if (now - this.last < this.settleMs || this.done.has(name)) {
      return false;
    }
    this.last = now;
    this.done.add(name);
    return true;
  }

  /** @param {{id: string, fence: number}} task taken back before it was sent: it may be decided again */
  forget(task) {
    this.done.delete(`${task.id}/${task.fence}`);
  }
}
