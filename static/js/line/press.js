// Press and hold: counts only what is held to the end without the finger leaving the button.

export const HOLD_MS = 1200;

/** @typedef {"idle"|"held"|"done"} Phase */

/** The pure part: when a press has been held long enough. */
export class Hold {
  constructor(needMs = HOLD_MS) {
    this.needMs = needMs;
    this.since = 0;
    /** @type {Phase} */
    this.phase = "idle";
  }

  /** @param {number} now */
  begin(now) {
    this.since = now;
    this.phase = "held";
  }

  /** Share of the time held, 0..1. @param {number} now */
  progress(now) {
    return this.phase === "held" ? Math.min(1, (now - this.since) / this.needMs) : 0;
  }

  /** Whether it has just been held to its end; says so once. @param {number} now */
  ripens(now) {
    if (this.phase === "held" && now - this.since >= this.needMs) {
      this.phase = "done";
      return true;
    }
    return false;
  }

  /** Let go. @returns {boolean} whether that was too early */
  end() {
    const isEarly = this.phase === "held";
    this.phase = "idle";
    return isEarly;
  }
}

/** @typedef {{mayBegin: () => boolean, onDone: () => void, onBegin?: () => void, onEarly?: () => void}} Handlers */

const PRESSES = new Set(["Enter", "NumpadEnter", "Space"]);

/**
 * Makes a button one that is held: by finger, mouse or key.
 * @param {HTMLElement} button @param {Handlers} handlers
 * @returns {{cancel: () => void, isHeld: () => boolean}}
 */
export function bindHold(button, { mayBegin, onDone, onBegin = () => {}, onEarly = () => {} }) {
  const hold = new Hold();
  let frame = 0;
  const show = (/** @type {number} */ share) => button.style.setProperty("--held", String(share));
  const tick = (/** @type {number} */ now) => {
    show(hold.progress(now));
    if (hold.ripens(now)) {
      stop();
      onDone();
    } else {
      frame = requestAnimationFrame(tick);
    }
  };
  const begin = () => {
    if (hold.phase === "idle" && mayBegin()) {
      hold.begin(performance.now());
      button.dataset.held = "";
      // Only while it is held: the page outlives its buttons by thousands.
      document.addEventListener("visibilitychange", end);
      onBegin();
      frame = requestAnimationFrame(tick);
    }
  };
  const stop = () => {
    cancelAnimationFrame(frame);
    document.removeEventListener("visibilitychange", end);
    delete button.dataset.held;
    show(0);
  };
  const end = () => {
    stop();
    if (hold.end()) {
      onEarly();
    }
  };
  listen(button, { begin, end });
  return { cancel: end, isHeld: () => hold.phase === "held" };
}

/** @param {HTMLElement} button @param {{begin: () => void, end: () => void}} does */
function listen(button, { begin, end }) {
  button.addEventListener("pointerdown", (event) => {
    if (event.isPrimary && event.button === 0) {
      begin();
    }
  });
  button.addEventListener("pointermove", (event) => {
    if (!isInside(button, event)) {
      end();
    }
  });
  for (const name of ["pointerup", "pointercancel", "pointerleave", "blur"]) {
    button.addEventListener(name, end);
  }
  button.addEventListener("keydown", (event) => {
    if (PRESSES.has(event.code)) {
      event.preventDefault();
      if (!event.repeat) {
        begin();
      }
    }
  });
  button.addEventListener("keyup", (event) => PRESSES.has(event.code) && end());
}

/** @param {HTMLElement} button @param {PointerEvent} event */
function isInside(button, { clientX, clientY }) {
  const { left, right, top, bottom } = button.getBoundingClientRect();
  return clientX >= left && clientX <= right && clientY >= top && clientY <= bottom;
}
