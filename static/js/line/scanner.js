// A scanner that types: characters faster than a person's, ended by Enter, wherever the focus is.

/** Most of a scanner's characters come sooner than this after the one before. */
export const GAP_MS = 50;
/** One of them may hesitate: a radio link does, and so does a busy tablet. */
export const PAUSE_MS = 250;
const LEAST = 3;
const LONGEST = 128;

/** The pure part. */
export class Wedge {
  constructor() {
    this.typed = "";
    /** @type {number[]} */
    this.gaps = [];
    this.lastAt = Number.NEGATIVE_INFINITY;
  }

  /**
   * @param {string} key as the event names it @param {number} now milliseconds
   * @returns {{isScan: boolean, code: string|null, isEnd?: boolean}} whether the key is a scanner's, the
   * code it ends, and whether it is the Enter of something typed, be it by a scanner that stuttered
   */
  key(key, now) {
    const gap = now - this.lastAt;
    if (key === "Enter") {
      const isEnd = gap < PAUSE_MS && this.typed.length >= LEAST;
      const code = isEnd && this.#isFast() ? this.typed : null;
      this.#forget();
      return { isScan: code !== null, code, isEnd };
    }
    if (key.length !== 1) {
      return { isScan: false, code: null };
    }
    if (gap >= PAUSE_MS || this.typed.length >= LONGEST) {
      this.#forget();
    } else {
      this.gaps.push(gap);
    }
    this.typed += key;
    this.lastAt = now;
    return { isScan: gap < GAP_MS, code: null };
  }

  /** Whether most of what was typed came as no person types. */
  #isFast() {
    const fast = this.gaps.filter((gap) => gap < GAP_MS).length;
    return fast > 0 && fast >= this.gaps.length - 1;
  }

  #forget() {
    this.typed = "";
    this.gaps = [];
    this.lastAt = Number.NEGATIVE_INFINITY;
  }
}

/**
 * @param {{onScan: (code: string) => void, isOff?: () => boolean, root?: Document}} options
 */
export function listenForScans({ onScan, isOff = () => false, root = document }) {
  const wedge = new Wedge();
  /** What a field held before the first character, which nobody could know for a scanner's. */
  let before = { field: /** @type {HTMLInputElement|null} */ (null), value: "" };
  const take = (/** @type {KeyboardEvent} */ event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) {
      return;
    }
    const { isScan, code, isEnd } = wedge.key(event.key, event.timeStamp);
    if (!isScan && event.key.length === 1) {
      const field = event.target instanceof HTMLInputElement ? event.target : null;
      before = { field, value: field?.value ?? "" };
    }
    if (isScan) {
      // Neither a field nor the button that has the focus gets it.
      event.preventDefault();
      event.stopImmediatePropagation();
    } else if (isEnd && event.target instanceof Element && event.target.closest("button, a")) {
      // A scan too slow to be told from typing must not press the button that has the focus.
      event.preventDefault();
    }
    if (code !== null) {
      if (before.field) {
        before.field.value = before.value;
      }
      if (!isOff()) {
        onScan(code);
      }
    }
  };
  root.addEventListener("keydown", take, { capture: true });
}
