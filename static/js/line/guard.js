// Which presses count: not the second of a double tap, and none on a button that has just changed.

export const DOUBLE_MS = 300;
export const TURNED_MS = 600;

export class Guard {
  constructor() {
    this.meaning = "";
    this.turnedAt = Number.NEGATIVE_INFINITY;
    this.pressedAt = Number.NEGATIVE_INFINITY;
  }

  /** What the buttons mean from now on. @param {string} meaning @param {number} now @returns {boolean} whether that is new */
  mean(meaning, now) {
    if (meaning === this.meaning) {
      return false;
    }
    this.meaning = meaning;
    this.turnedAt = now;
    return true;
  }

  /** What is to be judged has changed under the finger. @param {number} now */
  turn(now) {
    this.turnedAt = now;
  }

  /** Milliseconds until a press counts again. @param {number} now monotonic */
  left(now) {
    return Math.max(0, this.turnedAt + TURNED_MS - now, this.pressedAt + DOUBLE_MS - now);
  }

  /** Whether a press counts now. A refused one does not extend the time. @param {number} now */
  admits(now) {
    if (this.left(now) > 0) {
      return false;
    }
    this.pressedAt = now;
    return true;
  }
}
