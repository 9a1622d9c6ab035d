// Whether a finding touches a zone. Pure; the twin of labeling/zones.py.

/** @typedef {number[][]} Outline points [x, y] in pixels of the stored image */

/** @param {number[]} box x, y, width, height @returns {Outline} */
export function corners([x, y, width, height]) {
  return [
    [x, y],
    [x + width, y],
    [x + width, y + height],
    [x, y + height],
  ];
}

/** @param {Outline} one @param {Outline} other whether they share a point; a common edge counts */
export function touch(one, other) {
  if (isInside(one[0], other) || isInside(other[0], one)) {
    return true;
  }
  return edges(one).some(([a, b]) => edges(other).some(([c, d]) => cross(a, b, c, d)));
}

/** @param {number[]} point @param {Outline} polygon by the even-odd rule */
export function isInside([x, y], polygon) {
  let found = false;
  for (const [[x1, y1], [x2, y2]] of edges(polygon)) {
    if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) {
      found = !found;
    }
  }
  return found;
}

/** @param {Outline} polygon @returns {[number[], number[]][]} */
function edges(polygon) {
  return polygon.map((point, index) => [point, polygon[(index + 1) % polygon.length]]);
}

/** @param {number[]} a @param {number[]} b @param {number[]} c @param {number[]} d */
function cross(a, b, c, d) {
  const sides = [side(a, b, c), side(a, b, d), side(c, d, a), side(c, d, b)];
  if (sides[0] * sides[1] < 0 && sides[2] * sides[3] < 0) {
    return true;
  }
  return (
    (sides[0] === 0 && isBetween(a, b, c)) ||
    (sides[1] === 0 && isBetween(a, b, d)) ||
    (sides[2] === 0 && isBetween(c, d, a)) ||
    (sides[3] === 0 && isBetween(c, d, b))
  );
}

/** @param {number[]} a @param {number[]} b @param {number[]} c */
function side(a, b, c) {
  return Math.sign((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]));
}

/** @param {number[]} a @param {number[]} b @param {number[]} c whether c, in line with them, lies between */
function isBetween(a, b, c) {
  return (
    Math.min(a[0], b[0]) <= c[0] &&
    c[0] <= Math.max(a[0], b[0]) &&
    Math.min(a[1], b[1]) <= c[1] &&
    c[1] <= Math.max(a[1], b[1])
  );
}
