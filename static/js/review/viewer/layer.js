// A canvas over the image that is drawn anew when the image moves, sharp at every pixel density.

/**
 * @typedef {import("../viewport.js").Point} Point
 * @typedef {import("../viewport.js").Size} Size
 * @typedef {{toScreen: (point: Point) => Point, imageScale: number, size: Size}} Ground
 */

export class Layer {
  isBlank = true;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  }

  /** @param {number} count of things to draw @returns {boolean} whether the canvas must be touched */
  wants(count) {
    const isIdle = this.canvas.hidden || (count === 0 && this.isBlank);
    this.isBlank = isIdle ? this.isBlank : count === 0;
    return !isIdle;
  }

  /**
   * A cleared canvas in CSS pixels of the ground.
   * @param {Ground} ground
   */
  begin({ size }) {
    const { canvas, context } = this;
    const density = window.devicePixelRatio;
    const [width, height] = [Math.round(size.width * density), Math.round(size.height * density)];
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
      canvas.style.width = `${size.width}px`;
      canvas.style.height = `${size.height}px`;
    }
    context.setTransform(density, 0, 0, density, 0, 0);
    context.clearRect(0, 0, size.width, size.height);
    return context;
  }
}

/** @param {string} name of a token @returns {string} its value in the theme in force */
export function token(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Pixels of one rem. */
export function rem() {
  return Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
}
