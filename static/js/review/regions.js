// The model's opinion over the image: thin outlines with a halo, class and score beside them.

import { isClear } from "./annotation/labels.js";
import { scoreWords } from "./numbers.js";
import { Layer, rem, token } from "./viewer/layer.js";
import { boundsOf } from "./viewport.js";

// In rem.
const LABEL = { height: 1.25, edge: 0.375, letters: 0.8125 };
const GAP = 3;

/**
 * @typedef {import("./types.js").Region} Region
 * @typedef {import("./viewport.js").Point} Point
 * @typedef {{region: Region, corners: Point[], bounds: {x: number, y: number, width: number,
 *   height: number}, text: string, width: number}} Placed
 */

export class Regions extends Layer {
  /** @param {HTMLCanvasElement} canvas @param {(code: string) => string} nameOf */
  constructor(canvas, nameOf) {
    super(canvas);
    this.nameOf = nameOf;
    /** @type {Placed[]} */
    this.placed = [];
  }

  /** @param {Region[]} regions */
  show(regions) {
    this.placed = regions.flatMap((region) => {
      const bounds = boundsOf(region);
      const score = region.score === null || region.score === undefined ? "" : ` ${scoreWords(region.score)}`;
      const text = `${this.nameOf(region.label)}${score}`;
      return bounds ? [{ region, corners: cornersOf(region), bounds, text, width: 0 }] : [];
    });
    this.canvas.dataset.regions = String(this.placed.length);
    this.canvas.dataset.labels = this.placed.map(({ text }) => text).join("; ");
  }

  /** @param {import("./viewer/layer.js").Ground} ground */
  draw(ground) {
    if (!this.wants(this.placed.length)) {
      return;
    }
    const context = this.begin(ground);
    const seen = this.placed
      .map((placed) => ({ placed, points: placed.corners.map((corner) => ground.toScreen(corner)) }))
      .filter(({ points }) => isInSight(points, ground.size));
    this.#outlines(context, seen);
    this.#labels(context, seen, ground.size);
  }

  /** All halos, then all lines: two strokes however many there are. @param {CanvasRenderingContext2D} context @param {{points: Point[]}[]} seen */
  #outlines(context, seen) {
    const path = new Path2D();
    for (const { points } of seen) {
      points.forEach(({ x, y }, index) => (index === 0 ? path.moveTo(x, y) : path.lineTo(x, y)));
      path.closePath();
    }
    context.lineJoin = "round";
    context.globalAlpha = 0.55;
    context.strokeStyle = token("--region-halo");
    context.lineWidth = 3.5;
    context.stroke(path);
    context.globalAlpha = 1;
    context.strokeStyle = token("--region");
    context.lineWidth = 1.5;
    context.stroke(path);
  }

  /** @param {CanvasRenderingContext2D} context @param {{placed: Placed, points: Point[]}[]} seen @param {import("./viewport.js").Size} size */
  #labels(context, seen, size) {
    const unit = rem();
    const [height, edge] = [LABEL.height * unit, LABEL.edge * unit];
    context.font = `${LABEL.letters * unit}px ${getComputedStyle(document.body).fontFamily}`;
    context.textBaseline = "middle";
    const [plate, ink] = [token("--region-plate"), token("--region")];
    /** @type {import("./annotation/labels.js").Plate[]} */
    const taken = [];
    for (const { placed, points } of seen) {
      placed.width ||= context.measureText(placed.text).width + 2 * edge;
      const left = Math.min(...points.map(({ x }) => x));
      const top = Math.min(...points.map(({ y }) => y)) - height - GAP;
      const x = Math.min(Math.max(left, 0), size.width - placed.width);
      const y = Math.min(Math.max(top, 0), size.height - height);
      const place = { x, y, width: placed.width, height };
      if (!isClear(place, taken)) {
        continue;
      }
      taken.push(place);
      context.fillStyle = plate;
      context.fillRect(x, y, placed.width, height);
      context.fillStyle = ink;
      context.fillText(placed.text, x + edge, y + height / 2);
    }
  }
}

/** @param {Region} region @returns {Point[]} */
function cornersOf(region) {
  if (region.box) {
    const [x, y, width, height] = region.box;
    return [
      { x, y },
      { x: x + width, y },
      { x: x + width, y: y + height },
      { x, y: y + height },
    ];
  }
  return (region.polygon ?? []).map(([x, y]) => ({ x, y }));
}

/** @param {Point[]} points @param {import("./viewport.js").Size} size */
function isInSight(points, size) {
  const xs = points.map(({ x }) => x);
  const ys = points.map(({ y }) => y);
  return (
    Math.max(...xs) >= 0 && Math.min(...xs) <= size.width &&
    Math.max(...ys) >= 0 && Math.min(...ys) <= size.height
  );
}
