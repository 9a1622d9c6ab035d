// The image on its stage: zoom about the pointer, drag, pinch, turn, fit, one to one. Everything
// that lies over the image is placed in the same frame.

import { Regions } from "./regions.js";
import { Gestures } from "./viewer/gestures.js";
import { Pane } from "./viewer/pane.js";
import { Zones } from "./viewer/zones.js";
import {
  centred,
  fit,
  isFitted,
  kept,
  panned,
  poseOf,
  snapped,
  toImage,
  toScreen,
  turned,
  zoomAt,
} from "./viewport.js";

/**
 * @typedef {import("./viewport.js").Point} Point
 * @typedef {import("./viewport.js").Size} Size
 * @typedef {import("./viewer/gestures.js").Tool} Tool
 */

export class Stage {
  /**
   * @param {HTMLElement} root @param {HTMLElement} sheet @param {Element} overlay a canvas
   * @param {(code: string) => string} nameOf
   */
  constructor(root, sheet, overlay, nameOf) {
    this.root = root;
    this.pane = new Pane(/** @type {HTMLElement} */ (sheet.parentElement));
    this.overlay = /** @type {HTMLCanvasElement} */ (overlay);
    this.regions = new Regions(this.overlay, nameOf);
    this.zones = new Zones(/** @type {HTMLCanvasElement} */ (root.querySelector("#zones")));
    /** @type {Size} stored pixels, upright */
    this.image = { width: 1, height: 1 };
    this.viewport = { scale: 1, x: 0, y: 0 };
    /** Clockwise degrees: 0, 90, 180 or 270. */
    this.rotation = 0;
    this.pose = poseOf(this.viewport, 0, this.image);
    this.isAtFit = true;
    /** What the image beside it takes away, by the room there is. @type {(room: Size) => Size} */
    this.takes = () => ({ width: 0, height: 0 });
    this.taken = { width: 0, height: 0 };
    /** @type {Size} CSS pixels for the image, from the root's corner */
    this.size = { width: root.clientWidth, height: root.clientHeight };
    /** @type {(() => void)[]} */
    this.movers = [];
    this.frame = 0;
    const other = /** @type {HTMLElement|null} */ (root.querySelector(".golden"));
    this.gestures = new Gestures(root, this, other);
    new ResizeObserver(() => this.resized()).observe(root);
    this.#keepSharp();
  }

  /**
   * Put a view on the stage. The element must be decoded, so that it paints at once; without one
   * a placeholder of the image's size stands there.
   * @param {import("./types.js").View} view @param {HTMLImageElement|null} element
   */
  show(view, element) {
    this.image = { width: view.width, height: view.height };
    this.rotation = 0;
    this.pane.show(view, element);
    this.regions.show(view.regions);
    this.zones.show(view.zones ?? []);
    this.fit();
  }

  /** @param {HTMLImageElement} element the image of the view that is shown already */
  arrive(element) {
    this.pane.arrive(element);
    this.paintSoon();
  }

  /** @param {import("./types.js").Tiles} tiles of the view that is shown already */
  sharpen(tiles) {
    this.pane.sharpen(tiles);
    this.paintSoon();
  }

  clear() {
    this.pane.clear();
    this.regions.show([]);
    this.zones.show([]);
    this.paintSoon();
  }

  fit() {
    this.#move(fit(this.size, this.#upright), true);
  }

  /** One image pixel on one pixel of the screen. */
  actual() {
    const scale = 1 / window.devicePixelRatio;
    const middle = { x: this.size.width / 2, y: this.size.height / 2 };
    this.#move(
      isFitted(this.viewport, this.size, this.#upright)
        ? centred(this.size, this.#upright, scale)
        : zoomAt(this.viewport, scale / this.viewport.scale, middle.x, middle.y, this.size, this.#upright),
    );
  }

  toggle() {
    if (this.isAtFit) {
      this.actual();
    } else {
      this.fit();
    }
  }

  /** @param {number} degrees clockwise, a multiple of 90; what is in the middle stays there */
  rotate(degrees) {
    const middle = { x: this.size.width / 2, y: this.size.height / 2 };
    const held = this.toImage(middle);
    this.rotation = (((this.rotation + degrees) % 360) + 360) % 360;
    if (this.isAtFit) {
      this.fit();
      return;
    }
    const { viewport } = this;
    const now = toScreen(poseOf(viewport, this.rotation, this.image), held);
    this.pan(middle.x - now.x, middle.y - now.y);
  }

  /** @param {number} factor @param {Point} point CSS pixels from the stage's corner; it stays there */
  zoom(factor, { x, y }) {
    this.#move(zoomAt(this.viewport, factor, x, y, this.size, this.#upright));
  }

  /** @param {number} factor about the middle */
  zoomMiddle(factor) {
    this.zoom(factor, { x: this.size.width / 2, y: this.size.height / 2 });
  }

  /** @param {number} dx @param {number} dy CSS pixels */
  pan(dx, dy) {
    this.#move(panned(this.viewport, dx, dy, this.size, this.#upright));
  }

  /** CSS pixels for one pixel of the image. */
  get imageScale() {
    return this.viewport.scale;
  }

  /** @param {Point} point CSS pixels from the stage's corner @returns {Point} pixels of the image */
  toImage(point) {
    return toImage(this.pose, point);
  }

  /** @param {Point} point pixels of the image @returns {Point} CSS pixels from the stage's corner */
  toScreen(point) {
    return toScreen(this.pose, point);
  }

  /** @param {() => void} mover called after each change of the view, in the frame that paints it */
  onMove(mover) {
    this.movers.push(mover);
  }

  /** @param {Tool|null} tool what one-pointer drags go to; without one they move the image */
  setTool(tool) {
    this.gestures.setTool(tool);
  }

  /** @param {boolean} isShown whether the model's opinion is drawn */
  showOpinion(isShown) {
    this.overlay.hidden = !isShown;
    this.paintSoon();
  }

  /** @param {boolean} isShown whether the zones are drawn */
  showZones(isShown) {
    this.zones.canvas.hidden = !isShown;
    this.paintSoon();
  }

  get light() {
    return this.pane.light;
  }

  /** @param {import("./viewer/pane.js").Light} light */
  setLight(light) {
    this.pane.setLight(light);
    this.paintSoon();
  }

  invert() {
    this.setLight({ ...this.light, invert: !this.light.invert });
  }

  /** @param {(room: Size) => Size} takes how much at the right and at the bottom another image has */
  give(takes) {
    this.takes = takes;
    this.resized();
  }

  /** Place and draw everything before the next paint, once. */
  paintSoon() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.#paint();
    });
  }

  /** The image as it stands, turned. */
  get #upright() {
    return turned(this.image, this.rotation);
  }

  /** @param {import("./viewport.js").Viewport} viewport @param {boolean} [isFit] */
  #move(viewport, isFit = false) {
    this.viewport = snapped(viewport, window.devicePixelRatio);
    this.pose = poseOf(this.viewport, this.rotation, this.image);
    this.isAtFit = isFit || isFitted(viewport, this.size, this.#upright);
    this.paintSoon();
  }

  #paint() {
    this.root.classList.toggle("stage--fitted", this.isAtFit);
    this.pane.place(this.pose, this.size);
    this.regions.draw(this);
    this.zones.draw(this);
    this.movers.forEach((mover) => mover());
  }

  resized() {
    const room = { width: this.root.clientWidth, height: this.root.clientHeight };
    this.taken = this.takes(room);
    this.size = {
      width: Math.max(1, room.width - this.taken.width),
      height: Math.max(1, room.height - this.taken.height),
    };
    if (this.isAtFit) {
      this.fit();
    } else {
      this.#move(kept(this.viewport, this.size, this.#upright));
    }
  }

  /** Draw anew when the window goes to a screen of another pixel density. */
  #keepSharp() {
    const query = window.matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`);
    query.addEventListener("change", () => (this.resized(), this.#keepSharp()), { once: true });
  }
}
