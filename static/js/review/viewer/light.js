// What the light panel's numbers mean: grey values in, brightness out. Pure.

/**
 * An 8-bit image is made brighter and harder; of a 16-bit one a window of its levels is shown.
 * @typedef {{brightness: number, contrast: number, invert: boolean}} Tone
 * @typedef {{window: number, level: number, invert: boolean}} Window
 * @typedef {{low: number, high: number, bits: number}} Range the levels that the preview spans
 * @typedef {{slope: number, intercept: number}} Line brightness out (0-1) of brightness in (0-1)
 */

export const LEVELS = 65_536;

/** @type {Tone} */
export const EVEN = { brightness: 0, contrast: 0, invert: false };

/** @param {Range} range @returns {Window} the one the preview was made with */
export function autoWindow({ low, high }) {
  return { window: Math.max(1, high - low), level: (low + high) / 2, invert: false };
}

/** @param {Range} range @param {Window} window */
export function isAuto(range, window) {
  const auto = autoWindow(range);
  return window.window === auto.window && window.level === auto.level && !window.invert;
}

/**
 * The brightness of each of the 65,536 levels. A window of 1 lets a single level stand out: all
 * below it black, all above it white.
 * @param {Window} window @returns {Uint8Array<ArrayBuffer>}
 */
export function lutFor({ window, level, invert }) {
  const lut = new Uint8Array(LEVELS);
  const width = Math.max(1, window);
  const from = level - width / 2;
  for (let value = 0; value < LEVELS; value += 1) {
    const share = Math.min(Math.max((value - from) / width, 0), 1);
    lut[value] = Math.round((invert ? 1 - share : share) * 255);
  }
  return lut;
}

/** @param {Tone} tone @returns {Line} */
export function lineOfTone({ brightness, contrast, invert }) {
  const slope = 2 ** (contrast / 25);
  return inverted({ slope, intercept: 0.5 - 0.5 * slope + brightness / 100 }, invert);
}

/** The same window over the preview's 256 steps. @param {Window} window @param {Range} range @returns {Line} */
export function lineOfWindow({ window, level, invert }, { low, high }) {
  const width = Math.max(1, window);
  const slope = Math.max(1, high - low) / width;
  return inverted({ slope, intercept: (low - level + width / 2) / width }, invert);
}

/** @param {Line} line */
export function isStraight({ slope, intercept }) {
  return slope === 1 && intercept === 0;
}

/** @param {Line} line @param {boolean} invert @returns {Line} */
function inverted({ slope, intercept }, invert) {
  return invert ? { slope: -slope, intercept: 1 - intercept } : { slope, intercept };
}

/** @param {Uint16Array} levels @param {Uint8Array} lut @param {Uint8ClampedArray} pixels RGBA, written */
export function paint(levels, lut, pixels) {
  for (let index = 0; index < levels.length; index += 1) {
    const grey = lut[levels[index]];
    const at = 4 * index;
    pixels[at] = grey;
    pixels[at + 1] = grey;
    pixels[at + 2] = grey;
    pixels[at + 3] = 255;
  }
}
