// The levels of a 16-bit tile, out of the two bytes that a browser lets through. Pure.

/**
 * The levels of a tile whose red is the high byte and whose green is the low one.
 * @param {Uint8ClampedArray} pixels RGBA @returns {Uint16Array<ArrayBuffer>}
 */
export function levelsOf(pixels) {
  const levels = new Uint16Array(pixels.length / 4);
  for (let index = 0; index < levels.length; index += 1) {
    levels[index] = (pixels[4 * index] << 8) | pixels[4 * index + 1];
  }
  return levels;
}
