// Where the image lies on the stage: CSS pixels per image pixel, and the place of its corner. Pure.

/**
 * @typedef {{width: number, height: number}} Size
 * @typedef {{scale: number, x: number, y: number}} Viewport
 */

const MOST = 40;
const MARGIN = 12;
const KEEP = 48;

/** @param {Size} stage @param {Size} image @returns {Viewport} whole image, centred */
export function fit(stage, image) {
  const room = {
    width: Math.max(1, stage.width - 2 * MARGIN),
    height: Math.max(1, stage.height - 2 * MARGIN),
  };
  const scale = Math.min(room.width / image.width, room.height / image.height);
  return centred(stage, image, scale);
}

/** @param {Size} stage @param {Size} image @param {number} scale @returns {Viewport} */
export function centred(stage, image, scale) {
  return {
    scale,
    x: (stage.width - image.width * scale) / 2,
    y: (stage.height - image.height * scale) / 2,
  };
}

/**
 * Zoom so that the image point under (px, py) stays there.
 * @param {Viewport} viewport @param {number} factor @param {number} px @param {number} py
 * @param {Size} stage @param {Size} image @returns {Viewport}
 */
export function zoomAt(viewport, factor, px, py, stage, image) {
  const least = Math.min(fit(stage, image).scale, 1) * 0.5;
  const scale = Math.min(Math.max(viewport.scale * factor, least), MOST);
  const ratio = scale / viewport.scale;
  return kept(
    { scale, x: px - (px - viewport.x) * ratio, y: py - (py - viewport.y) * ratio },
    stage,
    image,
  );
}

/**
 * @param {Viewport} viewport @param {number} dx @param {number} dy
 * @param {Size} stage @param {Size} image @returns {Viewport}
 */
export function panned(viewport, dx, dy, stage, image) {
  return kept({ ...viewport, x: viewport.x + dx, y: viewport.y + dy }, stage, image);
}

/**
 * A corner of the image always stays in sight.
 * @param {Viewport} viewport @param {Size} stage @param {Size} image @returns {Viewport}
 */
export function kept(viewport, stage, image) {
  const width = image.width * viewport.scale;
  const height = image.height * viewport.scale;
  return {
    scale: viewport.scale,
    x: Math.min(Math.max(viewport.x, KEEP - width), stage.width - KEEP),
    y: Math.min(Math.max(viewport.y, KEEP - height), stage.height - KEEP),
  };
}

/** @param {Viewport} viewport @param {Size} stage @param {Size} image */
export function isFitted(viewport, stage, image) {
  return Math.abs(viewport.scale / fit(stage, image).scale - 1) < 0.001;
}

/**
 * How an image lies on the screen: `scale` CSS pixels for one of its pixels, turned clockwise by
 * `rotation` degrees about its first corner, which stands at (x, y).
 * @typedef {{scale: number, rotation: number, x: number, y: number}} Pose
 * @typedef {{x: number, y: number}} Point
 */

/** @param {Size} image @param {number} rotation @returns {Size} as it stands on the screen */
export function turned(image, rotation) {
  return rotation % 180 === 0 ? image : { width: image.height, height: image.width };
}

/** @param {Viewport} viewport @param {number} rotation @param {Size} image @returns {Pose} */
export function poseOf({ scale, x, y }, rotation, image) {
  const [width, height] = [image.width * scale, image.height * scale];
  /** @type {Record<number, Point>} */
  const corners = {
    0: { x, y },
    90: { x: x + height, y },
    180: { x: x + width, y: y + height },
    270: { x, y: y + width },
  };
  return { scale, rotation, ...corners[rotation] };
}

/** @type {Record<number, [number, number]>} cosine and sine */
const TURNS = { 0: [1, 0], 90: [0, 1], 180: [-1, 0], 270: [0, -1] };

/** @param {Pose} pose @param {Point} point pixels of the image @returns {Point} CSS pixels */
export function toScreen({ scale, rotation, x, y }, point) {
  const [cos, sin] = TURNS[rotation];
  return {
    x: x + (point.x * cos - point.y * sin) * scale,
    y: y + (point.x * sin + point.y * cos) * scale,
  };
}

/** @param {Pose} pose @param {Point} point CSS pixels @returns {Point} pixels of the image */
export function toImage({ scale, rotation, x, y }, point) {
  const [cos, sin] = TURNS[rotation];
  const [dx, dy] = [(point.x - x) / scale, (point.y - y) / scale];
  return { x: dx * cos + dy * sin, y: dy * cos - dx * sin };
}

/**
 * The pose of another image that lies over the first in step: the same share of the width at the
 * same place of the screen.
 * @param {Pose} pose @param {Size} image @param {Size} other @returns {Pose}
 */
export function inStep(pose, image, other) {
  return { ...pose, scale: (pose.scale * image.width) / other.width };
}

/**
 * On whole pixels of the screen where image pixels are whole ones, so that they stay sharp.
 * @param {Viewport} viewport @param {number} density @returns {Viewport}
 */
export function snapped(viewport, density) {
  const pixels = viewport.scale * density;
  if (Math.abs(pixels - Math.round(pixels)) > 1e-6 || pixels < 0.5) {
    return viewport;
  }
  const snap = (/** @type {number} */ value) => Math.round(value * density) / density;
  return { scale: viewport.scale, x: snap(viewport.x), y: snap(viewport.y) };
}

/**
 * Box around a region, in image pixels.
 * @param {{box: number[]|null, polygon: number[][]|null}} region
 */
export function boundsOf(region) {
  if (region.box) {
    const [x, y, width, height] = region.box;
    return { x, y, width, height };
  }
  const points = region.polygon ?? [];
  if (points.length === 0) {
    return null;
  }
  const xs = points.map((point) => point[0]);
  const ys = points.map((point) => point[1]);
  const x = Math.min(...xs);
  const y = Math.min(...ys);
  return { x, y, width: Math.max(...xs) - x, height: Math.max(...ys) - y };
}
