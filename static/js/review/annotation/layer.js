// What a person draws, on a canvas over the image. Lines and letters keep their size on the screen;
// what is out of sight costs nothing.

import { Layer, rem, token } from "../viewer/layer.js";
import { affineOf, boundsOf, handlesOf, onScreen } from "./geometry.js";
import { isClear, plateOf } from "./labels.js";

/**
 * @typedef {import("./geometry.js").Affine} Affine
 * @typedef {import("./geometry.js").Shape} Shape
 * @typedef {import("./geometry.js").Point} Point
 * @typedef {import("./geometry.js").Size} Size
 * @typedef {{shape: Shape, words: string, isSelected: boolean}} Marked
 * @typedef {{
 *   drawn: Marked[],
 *   preview: Shape|null,
 *   line: number[][],
 *   next: Point|null,
 *   cursor: Point|null,
 *   handles: number,
 * }} Scene `line`: the open polygon, `next`: where its next point would lie, `cursor`: the
 *   crosshair of the keyboard, `handles`: CSS pixels of a handle's target, 0 for none
 */

// In rem.
const LABEL = { height: 1.25, edge: 0.375, letters: 0.8125 };
const KNOB = 5;
const LINE = { drawn: 2.5, selected: 3, open: 2, crosshair: 1 };

export class DrawnLayer extends Layer {
  /** @type {Map<string, number>} */
  widths = new Map();
  font = "";

  /** @param {import("../viewer/layer.js").Ground} ground @param {Scene} scene */
  draw(ground, scene) {
    const { drawn, preview, line, cursor } = scene;
    if (!this.wants(drawn.length + line.length + Number(Boolean(preview ?? cursor)))) {
      return;
    }
    const pen = this.begin(ground);
    const way = affineOf((point) => ground.toScreen(point));
    const seen = drawn.filter(({ shape }) => isInSight(way, shape, ground.size));
    const others = seen.filter(({ isSelected }) => !isSelected);
    const selected = seen.filter(({ isSelected }) => isSelected);
    pen.lineJoin = "round";
    stroke(pen, outlines(way, others), LINE.drawn);
    fill(pen, outlines(way, selected), LINE.selected);
    this.#labels(way, [...selected, ...others], ground.size);
    if (scene.handles > 0) {
      selected.forEach(({ shape }) => knobs(pen, way, shape, scene.handles));
    }
    unfinished(pen, way, scene, ground.size);
  }

  /** @param {Affine} way @param {Marked[]} marked @param {Size} stage */
  #labels(way, marked, stage) {
    const pen = this.context;
    const unit = rem();
    const font = `${LABEL.letters * unit}px ${getComputedStyle(document.body).fontFamily}`;
    if (font !== this.font) {
      this.font = font;
      this.widths.clear();
    }
    pen.font = font;
    pen.textBaseline = "middle";
    // The other way round than the model's: whose a region is must not hang on its colour.
    const [plate, ink] = [token("--region"), token("--region-halo")];
    /** @type {import("./labels.js").Plate[]} */
    const taken = [];
    for (const { shape, words } of marked) {
      const size = { width: this.#widthOf(words, unit), height: LABEL.height * unit };
      const at = plateOf(way, shape, size, stage);
      if (isClear(at, taken)) {
        taken.push(at);
        pen.fillStyle = plate;
        pen.fillRect(at.x, at.y, at.width, at.height);
        pen.fillStyle = ink;
        pen.fillText(words, at.x + LABEL.edge * unit, at.y + at.height / 2);
      }
    }
  }

  /** @param {string} words @param {number} unit */
  #widthOf(words, unit) {
    const known = this.widths.get(words);
    const width = known ?? this.context.measureText(words).width + 2 * LABEL.edge * unit;
    this.widths.set(words, width);
    return width;
  }
}

/** @param {Affine} way @param {Shape} shape @param {Size} stage */
function isInSight(way, shape, stage) {
  const { x, y, width, height } = boundsOf(shape);
  const middle = onScreen(way, { x: x + width / 2, y: y + height / 2 });
  const reach = (Math.hypot(way.a, way.b) * Math.hypot(width, height)) / 2 + 4;
  return (
    middle.x > -reach &&
    middle.y > -reach &&
    middle.x < stage.width + reach &&
    middle.y < stage.height + reach
  );
}

/** @param {Affine} way @param {Marked[]} marked */
function outlines(way, marked) {
  const path = new Path2D();
  marked.forEach(({ shape }) => trace(path, way, shape));
  return path;
}

/** @param {CanvasRenderingContext2D} pen @param {Path2D} path @param {number} width */
function stroke(pen, path, width) {
  pen.globalAlpha = 0.55;
  pen.strokeStyle = token("--region-halo");
  pen.lineWidth = width + 2;
  pen.stroke(path);
  pen.globalAlpha = 1;
  pen.strokeStyle = token("--region");
  pen.lineWidth = width;
  pen.stroke(path);
}

/** @param {CanvasRenderingContext2D} pen @param {Path2D} path @param {number} width */
function fill(pen, path, width) {
  pen.globalAlpha = 0.12;
  pen.fillStyle = token("--region");
  pen.fill(path);
  stroke(pen, path, width);
}

/** @param {CanvasRenderingContext2D} pen @param {Affine} way @param {Shape} shape @param {number} target */
function knobs(pen, way, shape, target) {
  const scale = Math.hypot(way.a, way.b);
  const spots = shape.box
    ? handlesOf(boundsOf(shape), target / scale)
    : (shape.polygon ?? []).map(([x, y]) => ({ x, y }));
  const [halo, colour] = [token("--region-halo"), token("--region")];
  for (const spot of spots) {
    const { x, y } = onScreen(way, spot);
    pen.fillStyle = halo;
    pen.fillRect(x - KNOB - 1, y - KNOB - 1, 2 * KNOB + 2, 2 * KNOB + 2);
    pen.fillStyle = colour;
    pen.fillRect(x - KNOB, y - KNOB, 2 * KNOB, 2 * KNOB);
  }
}

/** @param {CanvasRenderingContext2D} pen @param {Affine} way @param {Scene} scene @param {Size} stage */
function unfinished(pen, way, { preview, line, next, cursor }, stage) {
  if (preview) {
    fill(pen, outlines(way, [{ shape: preview, words: "", isSelected: false }]), LINE.open);
  }
  if (line.length > 0) {
    const path = new Path2D();
    const points = next ? [...line, [next.x, next.y]] : line;
    points.forEach(([x, y], n) => {
      const at = onScreen(way, { x, y });
      path[n === 0 ? "moveTo" : "lineTo"](at.x, at.y);
    });
    stroke(pen, path, LINE.open);
    knobs(pen, way, { box: null, polygon: line }, 0);
  }
  if (cursor) {
    const { x, y } = onScreen(way, cursor);
    const path = new Path2D();
    path.moveTo(x, 0);
    path.lineTo(x, stage.height);
    path.moveTo(0, y);
    path.lineTo(stage.width, y);
    stroke(pen, path, LINE.crosshair);
  }
}

/** Points closer than a pixel of the screen are left out. @param {Path2D} path @param {Affine} way @param {Shape} shape */
function trace(path, way, { box, polygon }) {
  const { a, b, c, d, e, f } = way;
  if (box) {
    const [x, y, width, height] = box;
    const [left, top] = [a * x + c * y + e, b * x + d * y + f];
    path.moveTo(left, top);
    path.lineTo(left + a * width, top + b * width);
    path.lineTo(left + a * width + c * height, top + b * width + d * height);
    path.lineTo(left + c * height, top + d * height);
    path.closePath();
    return;
  }
  let [lastX, lastY] = [Infinity, Infinity];
  for (const [x, y] of polygon ?? []) {
    const [left, top] = [a * x + c * y + e, b * x + d * y + f];
    if (lastX === Infinity) {
      path.moveTo(left, top);
    } else if (Math.abs(left - lastX) + Math.abs(top - lastY) < 1) {
      continue;
    } else {
      path.lineTo(left, top);
    }
    [lastX, lastY] = [left, top];
  }
  path.closePath();
}
