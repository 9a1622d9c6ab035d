// Whether a polygon encloses something and crosses itself nowhere. On whole pixels this is exact. Pure.

/** @param {number[][]} points @returns {number} pixels enclosed */
export function areaOf(points) {
  const doubled = points.reduce((sum, [x, y], n) => {
    const [nextX, nextY] = points[(n + 1) % points.length];
    return sum + x * nextY - nextX * y;
  }, 0);
  return Math.abs(doubled) / 2;
}

/** Whether the points make a polygon that encloses something and crosses itself nowhere. @param {number[][]} points */
export function isSimple(points) {
  if (points.length < 3 || areaOf(points) === 0) {
    return false;
  }
  return points.every((point, n) => !meets(points, n, point, points[(n + 1) % points.length], true));
}

/**
 * Whether a line to a further point would cross what is drawn already, or lie on its last edge.
 * @param {number[][]} points @param {number[]} next
 */
export function wouldCross(points, next) {
  const last = points.length - 1;
  return last >= 1 && meets([...points, next], last, points[last], next, false);
}

/**
 * Whether the edge from point n to the next one meets another edge of the line, or of the ring.
 * @param {number[][]} points @param {number} n @param {number[]} from @param {number[]} to
 * @param {boolean} isRing
 */
function meets(points, n, from, to, isRing) {
  const count = points.length;
  const edges = isRing ? count : count - 1;
  for (let other = 0; other < edges; other += 1) {
    const [start, end] = [points[other], points[(other + 1) % count]];
    if (other === n) {
      continue;
    }
    if ((other + 1) % count === n && (isRing || other + 1 === n)) {
      if (foldsBack(start, from, to)) {
        return true;
      }
    } else if ((n + 1) % count === other && (isRing || n + 1 === other)) {
      if (foldsBack(from, to, end)) {
        return true;
      }
    } else if (cross(from, to, start, end)) {
      return true;
    }
  }
  return false;
}

/** Whether the way a, b, c turns round and lies on itself. @param {number[]} a @param {number[]} b @param {number[]} c */
function foldsBack(a, b, c) {
  const ahead = (b[0] - a[0]) * (c[0] - b[0]) + (b[1] - a[1]) * (c[1] - b[1]);
  const isNowhere = (b[0] === c[0] && b[1] === c[1]) || (a[0] === b[0] && a[1] === b[1]);
  return isNowhere || (side(a, b, c) === 0 && ahead < 0);
}

/** @param {number[]} a @param {number[]} b @param {number[]} c @param {number[]} d */
function cross(a, b, c, d) {
  const [c1, c2] = [Math.sign(side(a, b, c)), Math.sign(side(a, b, d))];
  const [a1, a2] = [Math.sign(side(c, d, a)), Math.sign(side(c, d, b))];
  if (c1 !== c2 && a1 !== a2) {
    return true;
  }
  return (
    (c1 === 0 && isBetween(a, b, c)) ||
    (c2 === 0 && isBetween(a, b, d)) ||
    (a1 === 0 && isBetween(c, d, a)) ||
    (a2 === 0 && isBetween(c, d, b))
  );
}

/** On which side of the line a-b the point c lies. @param {number[]} a @param {number[]} b @param {number[]} c */
function side(a, b, c) {
  return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
}

/** @param {number[]} a @param {number[]} b @param {number[]} c on the line through a and b */
function isBetween(a, b, c) {
  return (
    Math.min(a[0], b[0]) <= c[0] &&
    c[0] <= Math.max(a[0], b[0]) &&
    Math.min(a[1], b[1]) <= c[1] &&
    c[1] <= Math.max(a[1], b[1])
  );
}
