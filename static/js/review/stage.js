// The image on its stage: zoom about the pointer, drag, pinch, fit, one to one.

import { Regions } from "./regions.js";
import { centred, fit, isFitted, kept, panned, zoomAt } from "./viewport.js";

const WHEEL = 0.0018;
const STEP = 60;

export class Stage {
  /**
   * @param {HTMLElement} root @param {HTMLElement} sheet @param {SVGElement} overlay
   * @param {(code: string) => string} nameOf
   */
  constructor(root, sheet, overlay, nameOf) {
    this.root = root;
    this.sheet = sheet;
    this.overlay = overlay;
    this.regions = new Regions(overlay, nameOf);
    this.image = { width: 1, height: 1 };
    this.viewport = { scale: 1, x: 0, y: 0 };
    this.isAtFit = true;
    this.size = { width: root.clientWidth, height: root.clientHeight };
    /** @type {Map<number, {x: number, y: number}>} */
    this.pointers = new Map();
    this.#listen();
  }

  /**
   * Put a view on the stage. The element must be decoded, so that it paints at once; without one
   * a placeholder of the image's size stands there.
   * @param {import("./types.js").View} view @param {HTMLImageElement|null} element
   */
  show(view, element) {
    this.image = { width: view.width, height: view.height };
    this.sheet.style.width = `${view.width}px`;
    this.sheet.style.height = `${view.height}px`;
    this.sheet.replaceChildren(...(element ? [element] : []));
    this.regions.show(view.regions);
    this.fit();
  }

  /** @param {HTMLImageElement} element the image of the view that is shown already */
  arrive(element) {
    this.sheet.replaceChildren(element);
  }

  clear() {
    this.sheet.replaceChildren();
    this.sheet.style.width = "0";
    this.regions.show([]);
  }

  fit() {
    this.#move(fit(this.size, this.image), true);
  }

  /** One image pixel on one pixel of the screen. */
  actual() {
    const scale = 1 / window.devicePixelRatio;
    const middle = { x: this.size.width / 2, y: this.size.height / 2 };
    this.#move(
      isFitted(this.viewport, this.size, this.image)
        ? centred(this.size, this.image, scale)
        : zoomAt(this.viewport, scale / this.viewport.scale, middle.x, middle.y, this.size, this.image),
    );
  }

  /** @param {boolean} isShown whether the model's opinion is drawn */
  showOpinion(isShown) {
    this.overlay.toggleAttribute("hidden", !isShown);
  }

  /** @param {import("./viewport.js").Viewport} viewport @param {boolean} [isFit] */
  #move(viewport, isFit = false) {
    this.viewport = viewport;
    this.isAtFit = isFit || isFitted(viewport, this.size, this.image);
    const { scale, x, y } = viewport;
    this.sheet.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    this.sheet.classList.toggle("sheet--pixels", scale * window.devicePixelRatio > 2);
    this.root.classList.toggle("stage--fitted", this.isAtFit);
    this.regions.place(viewport, this.size);
  }

  #listen() {
    const { root } = this;
    root.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    root.addEventListener("pointerdown", (event) => this.#down(event));
    root.addEventListener("pointermove", (event) => this.#drag(event));
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
      root.addEventListener(name, (event) =>
        this.pointers.delete(/** @type {PointerEvent} */ (event).pointerId),
      );
    }
    root.addEventListener("dblclick", () => (this.isAtFit ? this.actual() : this.fit()));
    root.addEventListener("keydown", (event) => this.#arrow(event));
    new ResizeObserver(() => this.#resized()).observe(root);
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    const pinch = event.ctrlKey ? 4 : 1;
    const { x, y } = this.#pointOf(event);
    const factor = Math.exp(-event.deltaY * lines * pinch * WHEEL);
    this.#move(zoomAt(this.viewport, factor, x, y, this.size, this.image));
  }

  /** @param {PointerEvent} event */
  #down(event) {
    if (event.button !== 0 || /** @type {Element} */ (event.target).closest("button, a, dialog")) {
      return;
    }
    this.root.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.#pointOf(event));
  }

  /** @param {PointerEvent} event */
  #drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      return;
    }
    const after = this.#pointOf(event);
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, after);
    if (other) {
      const factor = distance(after, other) / Math.max(1, distance(before, other));
      const middle = { x: (after.x + other.x) / 2, y: (after.y + other.y) / 2 };
      this.#move(zoomAt(this.viewport, factor, middle.x, middle.y, this.size, this.image));
    } else {
      const [dx, dy] = [after.x - before.x, after.y - before.y];
      this.#move(panned(this.viewport, dx, dy, this.size, this.image));
    }
  }

  /** Every drag has a way by keyboard: arrows pan, plus and minus zoom. @param {KeyboardEvent} event */
  #arrow(event) {
    /** @type {Record<string, [number, number]>} */
    const ways = {
      ArrowLeft: [STEP, 0],
      ArrowRight: [-STEP, 0],
      ArrowUp: [0, STEP],
      ArrowDown: [0, -STEP],
    };
    const way = ways[event.key];
    const factor = { "+": 1.25, "-": 0.8 }[event.key];
    if (way) {
      this.#move(panned(this.viewport, way[0], way[1], this.size, this.image));
    } else if (factor) {
      const [x, y] = [this.size.width / 2, this.size.height / 2];
      this.#move(zoomAt(this.viewport, factor, x, y, this.size, this.image));
    } else {
      return;
    }
    event.preventDefault();
  }

  #resized() {
    this.size = { width: this.root.clientWidth, height: this.root.clientHeight };
    if (this.isAtFit) {
      this.fit();
    } else {
      this.#move(kept(this.viewport, this.size, this.image));
    }
  }

  /** @param {MouseEvent} event */
  #pointOf(event) {
    const box = this.root.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }
}

/** @param {{x: number, y: number}} a @param {{x: number, y: number}} b */
function distance(a, b) {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
