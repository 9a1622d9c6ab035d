// Which parts of a lot are meant, which one has the focus, and where an arrow key leads. No page.

export class Grid {
  /** @param {string[]} tasks in the order shown */
  constructor(tasks) {
    this.tasks = tasks;
    this.focus = 0;
    /** @type {Set<string>} */
    this.excluded = new Set();
    /** Parts that can no longer be left out: they are the sample. @type {Set<string>} */
    this.fixed = new Set();
  }

  /** How many are meant. */
  get chosen() {
    return this.tasks.length - this.excluded.size;
  }

  /** Leave one out or take it in again; false when it may not. @param {string} task */
  toggle(task) {
    if (this.fixed.has(task) || !this.tasks.includes(task)) {
      return false;
    }
    if (!this.excluded.delete(task)) {
      this.excluded.add(task);
    }
    return true;
  }

  /**
   * Move the focus; a step that would lead out of the grid leads nowhere.
   * @param {string} key an arrow, Home or End @param {number} columns
   */
  move(key, columns) {
    /** @type {Record<string, number>} */
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
    const last = this.tasks.length - 1;
    if (key === "Home") {
      this.focus = 0;
    } else if (key === "End") {
      this.focus = last;
    } else if (key in steps) {
      const next = this.focus + steps[key];
      this.focus = next < 0 || next > last ? this.focus : next;
    } else {
      return false;
    }
    return true;
  }
}

/**
 * How many parts of `count` are the sample: none of them may deviate. The server says it with
 * every lot; here only so that it moves with what is left out.
 * @param {number} count @param {number} share @param {number} fewest
 */
export function sampleSize(count, share, fewest) {
  const plan = Math.ceil(Math.log(0.05) / Math.log(1 - share));
  return Math.min(count, Math.max(fewest, plan));
}
