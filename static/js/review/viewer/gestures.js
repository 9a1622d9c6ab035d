// Mouse, pen, touch and keys over an image: they move it, or one pointer draws with the tool.

const WHEEL = 0.0018;
const STEP = 60;
const NOT_IMAGE = "button, a, input, select, textarea, dialog, [role=dialog], .notice";

/**
 * @typedef {import("../viewport.js").Point} Point
 * @typedef {{
 *   down: (point: Point, event: PointerEvent) => void,
 *   move: (point: Point, event: PointerEvent) => void,
 *   up: (point: Point, event: PointerEvent) => void,
 *   cancel: () => void,
 *   hover?: (point: Point, event: PointerEvent) => void,
 * }} Tool what one pointer draws with; points are pixels of the stored image, with fractions
 * @typedef {{
 *   zoom: (factor: number, point: Point) => void,
 *   pan: (dx: number, dy: number) => void,
 *   toggle: () => void,
 *   toImage: (point: Point) => Point,
 * }} Target
 */

let isSpaceDown = false;
for (const name of ["keydown", "keyup"]) {
  document.addEventListener(name, (event) => {
    if (/** @type {KeyboardEvent} */ (event).code === "Space") {
      isSpaceDown = name === "keydown";
    }
  });
}
window.addEventListener("blur", () => (isSpaceDown = false));

export class Gestures {
  /** @param {HTMLElement} root @param {Target} target @param {HTMLElement|null} [other] has its own */
  constructor(root, target, other = null) {
    this.root = root;
    this.target = target;
    this.other = other;
    /** @type {Tool|null} */
    this.tool = null;
    /** @type {Map<number, Point>} */
    this.pointers = new Map();
    /** @type {number|null} the pointer that draws */
    this.drawing = null;
    this.#listen();
  }

  /** @param {Tool|null} tool */
  setTool(tool) {
    this.#cancel();
    this.tool = tool;
    this.root.classList.toggle("stage--tool", tool !== null);
  }

  #listen() {
    const { root } = this;
    root.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    root.addEventListener("pointerdown", (event) => this.#down(event));
    root.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
      root.addEventListener(name, (event) => this.#up(/** @type {PointerEvent} */ (event)));
    }
    root.addEventListener("dblclick", (event) => {
      if (!this.tool && this.#isImage(event)) {
        this.target.toggle();
      }
    });
    root.addEventListener("keydown", (event) => this.#key(event));
    if (this.other) {
      // Nothing has the focus yet: the keys are meant for the image.
      document.addEventListener("keydown", (event) => {
        if (event.target === document.body) {
          this.#key(event);
        }
      });
    }
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    if (!this.#isOurs(event)) {
      return;
    }
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    const pinch = event.ctrlKey ? 4 : 1;
    this.target.zoom(Math.exp(-event.deltaY * lines * pinch * WHEEL), this.#pointOf(event));
  }

  /** @param {PointerEvent} event */
  #down(event) {
    if (![0, 1].includes(event.button) || !this.#isImage(event)) {
      return;
    }
    if (event.button === 1) {
      event.preventDefault();
    }
    this.root.setPointerCapture(event.pointerId);
    const point = this.#pointOf(event);
    this.pointers.set(event.pointerId, point);
    if (this.pointers.size > 1) {
      this.#cancel();
    } else if (this.tool && event.button === 0 && !isSpaceDown) {
      this.drawing = event.pointerId;
      this.tool.down(this.target.toImage(point), event);
    }
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const before = this.pointers.get(event.pointerId);
    const after = this.#pointOf(event);
    if (!before) {
      if (this.tool?.hover && this.#isOurs(event)) {
        this.tool.hover(this.target.toImage(after), event);
      }
      return;
    }
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, after);
    if (this.drawing === event.pointerId) {
      this.tool?.move(this.target.toImage(after), event);
    } else if (other) {
      this.#pinch(before, after, other);
    } else {
      this.target.pan(after.x - before.x, after.y - before.y);
    }
  }

  /** What lay under both fingers stays under them. @param {Point} before @param {Point} after @param {Point} other */
  #pinch(before, after, other) {
    const middle = between(before, other);
    const now = between(after, other);
    this.target.pan(now.x - middle.x, now.y - middle.y);
    this.target.zoom(distance(after, other) / Math.max(1, distance(before, other)), now);
  }

  /** @param {PointerEvent} event */
  #up(event) {
    this.pointers.delete(event.pointerId);
    if (this.drawing !== event.pointerId) {
      return;
    }
    if (event.type === "pointerup") {
      this.drawing = null;
      this.tool?.up(this.target.toImage(this.#pointOf(event)), event);
    } else {
      this.#cancel();
    }
  }

  #cancel() {
    if (this.drawing !== null) {
      this.drawing = null;
      this.tool?.cancel();
    }
  }

  /** Every drag has a way by keyboard: arrows pan; what zooms is an act. @param {KeyboardEvent} event */
  #key(event) {
    const isPlain = !event.ctrlKey && !event.altKey && !event.metaKey;
    const target = /** @type {Element} */ (event.target);
    if (event.defaultPrevented || !isPlain || target.closest("input, select, textarea")) {
      return;
    }
    /** @type {Record<string, [number, number]>} */
    const ways = {
      ArrowLeft: [STEP, 0],
      ArrowRight: [-STEP, 0],
      ArrowUp: [0, STEP],
      ArrowDown: [0, -STEP],
    };
    const way = ways[event.key];
    if (way) {
      this.target.pan(...way);
      event.preventDefault();
      event.stopPropagation();
    }
  }

  /** @param {Event} event */
  #isOurs(event) {
    return !this.other?.contains(/** @type {Node} */ (event.target));
  }

  /** @param {Event} event */
  #isImage(event) {
    return this.#isOurs(event) && !(/** @type {Element} */ (event.target).closest(NOT_IMAGE));
  }

  /** @param {MouseEvent} event */
  #pointOf(event) {
    const box = this.root.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }
}

/** @param {Point} a @param {Point} b */
function distance(a, b) {
  return Math.hypot(a.x - b.x, a.y - b.y);
}

/** @param {Point} a @param {Point} b */
function between(a, b) {
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
}
