// One verdict for one press: a held key, a bouncing switch or a double click decides once.

export const SETTLE_MS = 300;

export class PressGuard {
  /** @param {{settleMs?: number}} [options] */
  constructor({ settleMs = SETTLE_MS } = {}) {
    this.settleMs = settleMs;
    this.last = Number.NEGATIVE_INFINITY;
    /** @type {Set<string>} task and fence of what was decided here */
    this.done = new Set();
    /** The unit somebody was told to wait for. */
    this.awaited = "";
    this.cameAt = Number.NEGATIVE_INFINITY;
  }

  /**
   * Whether this press counts; when it does, the next `settleMs` do not.
   * @param {{id: string, fence: number}} task @param {number} now monotonic milliseconds
   */
  admits(task, now) {
    const name = nameOf(task);
    if (now - this.last < this.settleMs || this.done.has(name)) {
      return false;
    }
    this.last = now;
    this.done.add(name);
    return true;
  }

  /** @param {{id: string, fence: number}} task taken back before it was sent: it may be decided again */
  forget(task) {
    this.done.delete(nameOf(task));
  }

  /** @param {{id: string, fence: number}} task whose verdict was refused for want of a picture */
  toldToWait(task) {
    this.awaited = nameOf(task);
  }

  /**
   * What was waited for can be seen: a press in this moment was meant for what was there before.
   * @param {{id: string, fence: number}} task @param {number} now monotonic milliseconds
   * @param {boolean} isLast whether nothing more is waited for
   */
  came(task, now, isLast) {
    if (this.awaited === nameOf(task)) {
      this.cameAt = now;
      this.awaited = isLast ? "" : this.awaited;
    }
  }

  /** @param {number} now monotonic milliseconds @returns {boolean} whether a picture that was waited for has just come */
  isSettling(now) {
    return now - this.cameAt < this.settleMs;
  }
}

/** @param {{id: string, fence: number}} task */
function nameOf(task) {
  return `${task.id}/${task.fence}`;
}
