// What one pointer, or the crosshair of the keyboard, does on the image: draw a box, draw a
// polygon, or take hold of what is drawn. Knows nothing of the page.

import { isSimple, wouldCross } from "./crossing.js";
import {
  bent,
  boundsOf,
  boxBetween,
  handlesOf,
  hit,
  moved,
  resized,
  snapped,
} from "./geometry.js";

/**
 * @typedef {import("./geometry.js").Point} Point
 * @typedef {import("./geometry.js").Shape} Shape
 * @typedef {import("./drawing.js").Drawing} Drawing
 * @typedef {import("./drawing.js").Drawn} Drawn
 * @typedef {{pointerType: string, timeStamp: number}} Touch of a pointer: what kind, and when
 * @typedef {{
 *   drawing: () => Drawing,
 *   view: () => string,
 *   image: () => import("./geometry.js").Size,
 *   scale: () => number,
 *   label: () => string|null,
 *   preview: (shape: Shape|null) => void,
 *   changed: () => void,
 *   finished: () => void,
 *   say: (word: string) => void,
 * }} Board what the tools work on; `scale`: CSS pixels for an image pixel, `label`: the class of
 *   what is drawn next, `finished`: a new region is there
 */

export const TARGET = { mouse: 24, touch: 44 };
const SLIP = { mouse: 4, touch: 10 };
const DOUBLE_MS = 400;
const CLICK_REACH = 4;

/** @param {{pointerType: string}} event */
function kindOf(event) {
  return event.pointerType === "touch" ? "touch" : "mouse";
}

/** Select, move, resize, bend. */
export class EditTool {
  /** @param {Board} board */
  constructor(board) {
    this.board = board;
    /** @type {{region: Drawn, from: Point, change: (dx: number, dy: number) => Shape|null}|null} */
    this.held = null;
    /** @type {Shape|null} */
    this.shape = null;
  }

  /**
   * Take hold of the selected region if the point is on one of its handles, or on itself.
   * @param {Point} point @param {Touch} event @returns {boolean}
   */
  grab(point, event) {
    const region = this.board.drawing().selected;
    this.held = null;
    if (!region || region.view !== this.board.view()) {
      return false;
    }
    const target = TARGET[kindOf(event)] / this.board.scale();
    const change = this.#changeAt(region, point, target);
    this.held = change && { region, from: point, change };
    this.shape = null;
    return this.held !== null;
  }

  /** @param {Drawn} region @param {Point} point @param {number} target */
  #changeAt(region, point, target) {
    const { board } = this;
    const spots = region.box ? handlesOf(boundsOf(region), target) : cornersAsSpots(region);
    const isNear = (/** @type {Point} */ spot) =>
      Math.max(Math.abs(spot.x - point.x), Math.abs(spot.y - point.y)) <= target / 2;
    const far = (/** @type {Point} */ spot) => Math.hypot(spot.x - point.x, spot.y - point.y);
    const [spot] = spots.filter(isNear).sort((one, other) => far(one) - far(other));
    if (spot && "handle" in spot) {
      const { handle } = spot;
      return (/** @type {number} */ dx, /** @type {number} */ dy) =>
        resized(region, handle, dx, dy, board.image());
    }
    if (spot) {
      const { index } = spot;
      return (/** @type {number} */ dx, /** @type {number} */ dy) =>
        bent(region, index, dx, dy, board.image());
    }
    if (hit([region], point, CLICK_REACH / board.scale())) {
      return (/** @type {number} */ dx, /** @type {number} */ dy) => moved(region, dx, dy, board.image());
    }
    return null;
  }

  /** Select the region at the point, or none. @param {Point} point @param {Touch} event */
  pick(point, event) {
    const { board } = this;
    const reach = SLIP[kindOf(event)] / board.scale();
    const region = hit(board.drawing().of(board.view()), point, reach);
    if (region || board.drawing().selected) {
      board.drawing().select(region?.id ?? null);
      board.say(region ? "selected" : "none_selected");
      board.changed();
    }
    return region !== null;
  }

  /** @param {Point} point */
  move(point) {
    if (this.held) {
      const { region, from, change } = this.held;
      const shape = change(point.x - from.x, point.y - from.y);
      this.shape = shape ?? this.shape;
      this.board.preview(this.shape ?? region);
    }
  }

  /** @param {Point} point */
  up(point) {
    this.move(point);
    const { held, shape } = this;
    this.cancel();
    if (held && shape && JSON.stringify(shape) !== JSON.stringify(plain(held.region))) {
      this.board.drawing().reshape(held.region.id, shape);
      this.board.say("changed");
      this.board.changed();
    }
  }

  cancel() {
    this.held = null;
    this.shape = null;
    this.board.preview(null);
  }
}

/** @param {Shape} shape */
function plain({ box, polygon }) {
  return { box, polygon };
}

/** @param {Drawn} region */
function cornersAsSpots(region) {
  return (region.polygon ?? []).map(([x, y], index) => ({ x, y, index }));
}

/** One drag, or two corners set by keyboard. */
export class BoxTool {
  /** @param {Board} board */
  constructor(board) {
    this.board = board;
    this.edit = new EditTool(board);
    /** @type {{point: Point, slip: number, isDrag: boolean}|null} */
    this.start = null;
    /** @type {Point|null} the first corner, by keyboard */
    this.anchor = null;
  }

  get isOpen() {
    return this.anchor !== null;
  }

  /** @param {Point} point @param {Touch} event */
  down(point, event) {
    if (!this.edit.grab(point, event)) {
      this.start = { point, slip: SLIP[kindOf(event)] / this.board.scale(), isDrag: false };
    }
  }

  /** @param {Point} point */
  move(point) {
    const { start } = this;
    if (!start) {
      this.edit.move(point);
      return;
    }
    start.isDrag ||= Math.hypot(point.x - start.point.x, point.y - start.point.y) >= start.slip;
    if (start.isDrag) {
      this.#preview(start.point, point);
    }
  }

  /** @param {Point} point @param {Touch} event */
  up(point, event) {
    const { start } = this;
    if (!start) {
      this.edit.up(point);
      return;
    }
    this.move(point);
    this.cancel();
    if (start.isDrag) {
      this.#add(start.point, point);
    } else {
      this.edit.pick(point, event);
    }
  }

  /** A corner by keyboard. @param {Point} point */
  set(point) {
    if (this.anchor) {
      const from = this.anchor;
      this.cancel();
      this.#add(from, point);
    } else {
      this.anchor = point;
      this.#preview(point, point);
      this.board.say("corner_set");
    }
  }

  /** The crosshair has moved. @param {Point} point */
  follow(point) {
    if (this.anchor) {
      this.#preview(this.anchor, point);
    }
  }

  /** Give up the first corner; false when there is none. */
  back() {
    const isOpen = this.isOpen;
    this.cancel();
    return isOpen;
  }

  cancel() {
    this.start = null;
    this.anchor = null;
    this.edit.cancel();
  }

  /** @param {Point} from @param {Point} to */
  #preview(from, to) {
    this.board.preview({ box: boxBetween(from, to, this.board.image()), polygon: null });
  }

  /** @param {Point} from @param {Point} to */
  #add(from, to) {
    const { board } = this;
    const box = boxBetween(from, to, board.image());
    board.drawing().add({ view: board.view(), label: board.label(), box, polygon: null });
    board.say("box_drawn");
    board.changed();
    board.finished();
  }
}

/** Points one after the other, by clicks or by keyboard. */
export class PolygonTool {
  /** @param {Board} board */
  constructor(board) {
    this.board = board;
    this.edit = new EditTool(board);
    /** @type {Point|null} */
    this.pressed = null;
    /** @type {{point: Point, at: number}|null} */
    this.last = null;
    /** @type {Point|null} where the next point would lie */
    this.next = null;
  }

  get points() {
    const { pending } = this.board.drawing();
    return pending?.view === this.board.view() ? pending.points : [];
  }

  get isOpen() {
    return this.points.length > 0;
  }

  /** @param {Point} point @param {Touch} event */
  down(point, event) {
    this.pressed = this.isOpen || !this.edit.grab(point, event) ? point : null;
  }

  /** @param {Point} point */
  move(point) {
    if (this.pressed) {
      this.follow(point);
    } else {
      this.edit.move(point);
    }
  }

  /** @param {Point} point @param {Touch} event */
  up(point, event) {
    if (!this.pressed) {
      this.edit.up(point);
      return;
    }
    this.pressed = null;
    const kind = kindOf(event);
    const near = (/** @type {Point} */ other, /** @type {number} */ reach) =>
      Math.hypot(other.x - point.x, other.y - point.y) * this.board.scale() <= reach;
    const [first] = this.points;
    const isFirst = this.points.length >= 3 && near({ x: first[0], y: first[1] }, TARGET[kind] / 2);
    const isDouble =
      this.last !== null && event.timeStamp - this.last.at < DOUBLE_MS && near(this.last.point, SLIP[kind]);
    this.last = { point, at: event.timeStamp };
    if (isFirst || (isDouble && this.points.length >= 3)) {
      this.close();
    } else if (!isDouble) {
      this.set(point);
    }
  }

  /** @param {Point} point */
  hover(point) {
    this.follow(point);
  }

  /** @param {Point} point */
  follow(point) {
    this.next = this.isOpen ? snapped(point, this.board.image()) : null;
    this.board.preview(null);
  }

  /** @param {Point} point */
  set(point) {
    const { board } = this;
    const { x, y } = snapped(point, board.image());
    const last = this.points.at(-1);
    if (last && last[0] === x && last[1] === y) {
      return;
    }
    if (wouldCross(this.points, [x, y])) {
      board.say("crosses");
      return;
    }
    board.drawing().addPoint(board.view(), [x, y]);
    board.say("point_set");
    board.changed();
  }

  close() {
    const { board } = this;
    if (this.points.length < 3) {
      board.say("three_points");
      return;
    }
    if (!isSimple(this.points)) {
      board.say("crosses");
      return;
    }
    this.next = null;
    board.drawing().close(board.label());
    board.say("polygon_drawn");
    board.changed();
    board.finished();
  }

  /** Take the last point back; false when there is none. */
  back() {
    if (!this.isOpen) {
      return false;
    }
    this.board.drawing().takePoint();
    this.next = null;
    this.board.changed();
    return true;
  }

  cancel() {
    this.pressed = null;
    this.next = null;
    this.edit.cancel();
  }
}
