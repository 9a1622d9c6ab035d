// Shapes in pixels of the stored image: where they lie on the screen, and how they are grabbed,
// moved and resized without ever leaving the pixel grid. Pure.

import { areaOf, isSimple } from "./crossing.js";

/**
 * @typedef {{x: number, y: number}} Point
 * @typedef {{width: number, height: number}} Size
 * @typedef {{box: number[]|null, polygon: number[][]|null}} Shape a box [x, y, width, height], or
 *   the points of a polygon
 * @typedef {{x: number, y: number, width: number, height: number}} Bounds
 * @typedef {{a: number, b: number, c: number, d: number, e: number, f: number}} Affine from image
 *   to screen: x' = a x + c y + e, y' = b x + d y + f
 * @typedef {{x: -1|0|1, y: -1|0|1}} Handle which edges move: -1 the lower, 1 the upper, 0 neither
 */

const FAR = 4096;

/**
 * The way from image to screen, asked of whatever places the image.
 * @param {(point: Point) => Point} toScreen @returns {Affine}
 */
export function affineOf(toScreen) {
  // From points far apart: a difference of neighbours would lose digits on a large image.
  const origin = toScreen({ x: 0, y: 0 });
  const right = toScreen({ x: FAR, y: 0 });
  const down = toScreen({ x: 0, y: FAR });
  return {
    a: (right.x - origin.x) / FAR,
    b: (right.y - origin.y) / FAR,
    c: (down.x - origin.x) / FAR,
    d: (down.y - origin.y) / FAR,
    e: origin.x,
    f: origin.y,
  };
}

/**
 * @param {{scale: number, rotation: number, x: number, y: number}} placement CSS pixels for an
 *   image pixel, clockwise degrees, and where the image's corner lies
 * @returns {Affine}
 */
export function placed({ scale, rotation, x, y }) {
  const quarter = ((rotation % 360) + 360) % 360;
  const exact = /** @type {Record<number, [number, number]>} */ ({
    0: [1, 0],
    90: [0, 1],
    180: [-1, 0],
    270: [0, -1],
  })[quarter];
  const turn = (rotation * Math.PI) / 180;
  const [cosine, sine] = exact ?? [Math.cos(turn), Math.sin(turn)];
  return {
    a: scale * cosine,
    b: scale * sine,
    c: -scale * sine,
    d: scale * cosine,
    e: x,
    f: y,
  };
}

/** @param {Affine} way @param {Point} point of the image @returns {Point} on the screen */
export function onScreen({ a, b, c, d, e, f }, { x, y }) {
  return { x: a * x + c * y + e, y: b * x + d * y + f };
}

/** @param {Affine} way @param {Point} point on the screen @returns {Point} of the image */
export function onImage({ a, b, c, d, e, f }, { x, y }) {
  const area = a * d - b * c;
  const [left, top] = [x - e, y - f];
  return { x: (d * left - c * top) / area, y: (a * top - b * left) / area };
}

/**
 * A step on the screen as a step in the image: whole pixels, at least one.
 * @param {Affine} way @param {Point} step CSS pixels, along one axis @param {boolean} isOnePixel
 * @returns {Point}
 */
export function stepOf(way, step, isOnePixel) {
  const origin = onImage(way, { x: 0, y: 0 });
  const end = onImage(way, step);
  const [dx, dy] = [end.x - origin.x, end.y - origin.y];
  const along = Math.max(Math.abs(dx), Math.abs(dy));
  const factor = isOnePixel || along < 1 ? 1 / along : 1;
  return { x: whole(dx * factor), y: whole(dy * factor) };
}

/** @param {Point} point @param {Size} image @returns {Point} the nearest crossing of pixel borders */
export function snapped({ x, y }, image) {
  return { x: clamped(whole(x), 0, image.width), y: clamped(whole(y), 0, image.height) };
}

/**
 * The box dragged from one point to another; at least the pixel the drag lay in.
 * @param {Point} from @param {Point} to @param {Size} image @returns {number[]}
 */
export function boxBetween(from, to, image) {
  const [left, width] = spanBetween(from.x, to.x, image.width);
  const [top, height] = spanBetween(from.y, to.y, image.height);
  return [left, top, width, height];
}

/** @param {number} from @param {number} to @param {number} length @returns {[number, number]} */
function spanBetween(from, to, length) {
  const low = clamped(whole(Math.min(from, to)), 0, length);
  const high = clamped(whole(Math.max(from, to)), 0, length);
  if (high > low) {
    return [low, high - low];
  }
  return [clamped(Math.floor((from + to) / 2), 0, length - 1), 1];
}

/** @param {Shape} shape @returns {Bounds} */
export function boundsOf({ box, polygon }) {
  if (box) {
    const [x, y, width, height] = box;
    return { x, y, width, height };
  }
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y] of polygon ?? []) {
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
  }
  return { x: left, y: top, width: right - left, height: bottom - top };
}

/** @param {Shape} shape @returns {number[][]} its corners, in order */
export function cornersOf({ box, polygon }) {
  if (!box) {
    return polygon ?? [];
  }
  const [x, y, width, height] = box;
  return [
    [x, y],
    [x + width, y],
    [x + width, y + height],
    [x, y + height],
  ];
}

/** @param {Shape} shape @param {Point} point */
export function contains(shape, { x, y }) {
  const corners = cornersOf(shape);
  let isInside = false;
  for (let n = 0, last = corners.length - 1; n < corners.length; last = n, n += 1) {
    const [[x1, y1], [x2, y2]] = [corners[n], corners[last]];
    if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) {
      isInside = !isInside;
    }
  }
  return isInside;
}

/** @param {Shape} shape @param {Point} point @returns {number} pixels to its nearest edge */
export function distanceTo(shape, point) {
  const corners = cornersOf(shape);
  return Math.min(
    ...corners.map((corner, n) => toSegment(point, corner, corners[(n + 1) % corners.length])),
  );
}

/** @param {Point} point @param {number[]} from @param {number[]} to */
function toSegment({ x, y }, [x1, y1], [x2, y2]) {
  const length = (x2 - x1) ** 2 + (y2 - y1) ** 2;
  const share = length && clamped(((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / length, 0, 1);
  return Math.hypot(x - x1 - share * (x2 - x1), y - y1 - share * (y2 - y1));
}

/**
 * The shape meant by a press: among those around the point, or whose edge is near, the smallest.
 * @template {Shape} S
 * @param {S[]} shapes @param {Point} point @param {number} reach pixels @returns {S|null}
 */
export function hit(shapes, point, reach) {
  let [best, least] = [/** @type {S|null} */ (null), Infinity];
  for (const shape of shapes) {
    const { x, y, width, height } = boundsOf(shape);
    const isNear =
      point.x >= x - reach &&
      point.x <= x + width + reach &&
      point.y >= y - reach &&
      point.y <= y + height + reach;
    if (isNear && width * height < least && (contains(shape, point) || distanceTo(shape, point) <= reach)) {
      [best, least] = [shape, width * height];
    }
  }
  return best;
}

/** @type {Handle[]} */
const HANDLES = [
  { x: -1, y: -1 },
  { x: 1, y: -1 },
  { x: 1, y: 1 },
  { x: -1, y: 1 },
  { x: 0, y: -1 },
  { x: 1, y: 0 },
  { x: 0, y: 1 },
  { x: -1, y: 0 },
];

/**
 * The eight handles of a box. About a small box they stand off, so that each is a whole target and
 * the box itself can still be taken hold of.
 * @param {Bounds} bounds @param {number} target size of a handle's target, in image pixels
 * @returns {(Point & {handle: Handle})[]}
 */
export function handlesOf(bounds, target) {
  const [left, width] = stoodOff(bounds.x, bounds.width, target);
  const [top, height] = stoodOff(bounds.y, bounds.height, target);
  return HANDLES.map((handle) => ({
    handle,
    x: left + (width * (handle.x + 1)) / 2,
    y: top + (height * (handle.y + 1)) / 2,
  }));
}

/** @param {number} low @param {number} length @param {number} target @returns {[number, number]} */
function stoodOff(low, length, target) {
  const least = 2 * target;
  const room = length >= 3 * target ? length : Math.max(least, Math.min(length + target, 3 * target));
  return [low - (room - length) / 2, room];
}

/**
 * Move by whole pixels, as far as the image goes; the shape itself stays what it was.
 * @param {Shape} shape @param {number} dx @param {number} dy @param {Size} image @returns {Shape}
 */
export function moved(shape, dx, dy, image) {
  const { x, y, width, height } = boundsOf(shape);
  const right = clamped(whole(dx), Math.ceil(-x), Math.floor(image.width - x - width));
  const down = clamped(whole(dy), Math.ceil(-y), Math.floor(image.height - y - height));
  if (shape.box) {
    return { box: [x + right, y + down, width, height], polygon: null };
  }
  return { box: null, polygon: (shape.polygon ?? []).map(([px, py]) => [px + right, py + down]) };
}

/**
 * Move the handle's edges by (dx, dy). A box keeps at least a pixel; a polygon is stretched, and
 * null when nothing of it would be left or its edges would cross.
 * @param {Shape} shape @param {Handle} handle @param {number} dx @param {number} dy
 * @param {Size} image @returns {Shape|null}
 */
export function resized(shape, handle, dx, dy, image) {
  const bounds = boundsOf(shape);
  const [left, width] = stretched(bounds.x, bounds.width, handle.x, dx, image.width);
  const [top, height] = stretched(bounds.y, bounds.height, handle.y, dy, image.height);
  if (shape.box) {
    return { box: [left, top, width, height], polygon: null };
  }
  if (left === bounds.x && top === bounds.y && width === bounds.width && height === bounds.height) {
    return shape;
  }
  const polygon = (shape.polygon ?? []).map(([x, y]) => [
    whole(left + ((x - bounds.x) / bounds.width) * width),
    whole(top + ((y - bounds.y) / bounds.height) * height),
  ]);
  return isSimple(polygon) ? { box: null, polygon } : null;
}

/**
 * @param {number} low @param {number} length @param {-1|0|1} edge @param {number} by
 * @param {number} most @returns {[number, number]}
 */
function stretched(low, length, edge, by, most) {
  const step = whole(by);
  if (edge === 0 || step === 0) {
    return [low, length];
  }
  if (edge > 0) {
    const end = clamped(whole(low + length + step), Math.floor(low) + 1, most);
    return [low, end - low];
  }
  const start = clamped(whole(low + step), 0, Math.ceil(low + length) - 1);
  return [start, low + length - start];
}

/**
 * A polygon with one point elsewhere; null when its edges would cross.
 * @param {Shape} shape @param {number} index @param {number} dx @param {number} dy
 * @param {Size} image @returns {Shape|null}
 */
export function bent(shape, index, dx, dy, image) {
  if (whole(dx) === 0 && whole(dy) === 0) {
    return shape;
  }
  const polygon = (shape.polygon ?? []).map((point, n) => {
    if (n !== index) {
      return point;
    }
    const { x, y } = snapped({ x: point[0] + whole(dx), y: point[1] + whole(dy) }, image);
    return [x, y];
  });
  return isSimple(polygon) ? { box: null, polygon } : null;
}

/**
 * A proposal as it may be recorded: what reaches over the image's edge is cut off. Null when
 * nothing is left.
 * @param {Shape} shape @param {Size} image @returns {Shape|null}
 */
export function within(shape, image) {
  if (shape.box) {
    const [x, y, width, height] = shape.box;
    const [left, top] = [clamped(x, 0, image.width), clamped(y, 0, image.height)];
    const [right, bottom] = [clamped(x + width, 0, image.width), clamped(y + height, 0, image.height)];
    const isWhole = left === x && top === y && right === x + width && bottom === y + height;
    if (right <= left || bottom <= top) {
      return null;
    }
    return { box: isWhole ? [...shape.box] : [left, top, right - left, bottom - top], polygon: null };
  }
  const polygon = (shape.polygon ?? []).map(([x, y]) => [
    clamped(x, 0, image.width),
    clamped(y, 0, image.height),
  ]);
  return polygon.length >= 3 && areaOf(polygon) > 0 ? { box: null, polygon } : null;
}

/** Math.round never gives -0 here, so that what is stored reads the same. @param {number} number */
function whole(number) {
  return Math.round(number) + 0;
}

/** @param {number} number @param {number} least @param {number} most */
function clamped(number, least, most) {
  return Math.min(Math.max(number, least), most);
}
