// Where the words of a region stand, and which of them fit. Pure.

import { cornersOf, onScreen } from "./geometry.js";

/**
 * @typedef {import("./geometry.js").Size} Size
 * @typedef {{x: number, y: number, width: number, height: number}} Plate CSS pixels
 */

const GAP = 3;

/**
 * Above the region as it lies on the screen, or within the stage where there is no room above.
 * @param {import("./geometry.js").Affine} way @param {import("./geometry.js").Shape} shape
 * @param {Size} words @param {Size} stage @returns {Plate}
 */
export function plateOf(way, shape, words, stage) {
  let [left, top] = [Infinity, Infinity];
  for (const [x, y] of cornersOf(shape)) {
    const at = onScreen(way, { x, y });
    left = Math.min(left, at.x);
    top = Math.min(top, at.y);
  }
  return {
    x: Math.min(Math.max(left, 0), Math.max(0, stage.width - words.width)),
    y: Math.min(Math.max(top - words.height - GAP, 0), Math.max(0, stage.height - words.height)),
    ...words,
  };
}

/** @param {Plate} plate @param {Plate[]} taken */
export function isClear(plate, taken) {
  return !taken.some(
    (other) =>
      plate.x < other.x + other.width &&
      other.x < plate.x + plate.width &&
      plate.y < other.y + other.height &&
      other.y < plate.y + plate.height,
  );
}
