// Which levels of a pyramid of tiles a view needs. Pure.

/**
 * @param {number} levels of the pyramid; each halves the next
 * @param {number} share width of the preview divided by that of the image
 * @returns {number} the first level that shows clearly more than the preview does
 */
export function coarsestWorthFetching(levels, share) {
  const finest = levels - 1;
  for (let level = 0; level < finest; level += 1) {
    if (1 / 2 ** (finest - level) > share * 1.1) {
      return level;
    }
  }
  return finest;
}

/**
 * Whether the screen shows more than the preview holds.
 * @param {number} scale CSS pixels for one of the image @param {number} density
 * @param {number} share width of the preview divided by that of the image
 */
export function isPastPreview(scale, density, share) {
  return scale * density > share * 1.05;
}
