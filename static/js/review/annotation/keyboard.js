// Drawing by keyboard alone: a crosshair that sets corners and points, arrows that move and resize.

import { affineOf, moved, onImage, onScreen, resized, snapped, stepOf } from "./geometry.js";
import { meaningOf } from "./keys.js";

/** @typedef {import("./drawing.js").Drawing} Drawing */

// CSS pixels that the crosshair keeps from the stage's edge.
const EDGE = 24;

export class Keyboard {
  /** @param {import("./desk.js").Desk} desk */
  constructor(desk) {
    this.desk = desk;
  }

  /** @param {KeyboardEvent} event @returns {boolean} whether it was ours */
  press(event) {
    const { desk } = this;
    const { drawing } = desk;
    if (!drawing || !desk.isOurs) {
      return false;
    }
    const tool = desk.tool && desk.tools[desk.tool];
    const meaning = meaningOf(event, {
      tool: desk.tool,
      hasCrosshair: desk.cursor !== null,
      hasSelected: drawing.selected !== null,
      isOpen: tool?.isOpen ?? false,
    });
    if (!meaning) {
      return false;
    }
    if (meaning.what === "step") {
      this.#go(drawing, meaning);
    } else if (meaning.what === "class") {
      this.#classify(drawing, meaning.digit);
    } else if (meaning.what === "set" && desk.cursor) {
      tool?.set(desk.cursor);
    } else if (meaning.what === "close") {
      desk.tools.polygon.close();
    } else if (meaning.what === "back") {
      tool?.back();
    } else if (meaning.what === "remove") {
      desk.remove();
    } else if (meaning.what === "leave") {
      this.#leave(drawing);
    }
    desk.refresh();
    return true;
  }

  /** @param {Drawing} drawing */
  #leave(drawing) {
    const { desk } = this;
    if (desk.tool) {
      desk.use(null);
      desk.say("tool_off");
    } else {
      drawing.select(null);
      desk.say("none_selected");
    }
  }

  /** @param {Drawing} drawing @param {{x: number, y: number, isOnePixel: boolean, isSize: boolean}} step */
  #go(drawing, step) {
    const { desk } = this;
    const { stage } = desk.bench;
    const { selected } = drawing;
    const way = affineOf((point) => stage.toScreen(point));
    const by = stepOf(way, step, step.isOnePixel);
    if (!selected || (desk.tool !== null && !step.isSize)) {
      this.#crosshair(way, by);
      return;
    }
    const shape = step.isSize
      ? resized(selected, sideOf(way, step), by.x, by.y, stage.image)
      : moved(selected, by.x, by.y, stage.image);
    if (shape) {
      drawing.reshape(selected.id, shape, step.isSize ? "size" : "place");
    }
    desk.say(shape ? "changed" : "crosses");
    desk.changed();
  }

  /** @param {import("./geometry.js").Affine} way @param {import("./geometry.js").Point} by */
  #crosshair(way, by) {
    const { desk } = this;
    const { stage } = desk.bench;
    const { width, height } = stage.size;
    if (desk.cursor === null) {
      desk.cursor = snapped(onImage(way, { x: width / 2, y: height / 2 }), stage.image);
    } else {
      desk.cursor = snapped({ x: desk.cursor.x + by.x, y: desk.cursor.y + by.y }, stage.image);
      const { x, y } = onScreen(way, desk.cursor);
      // The image follows a crosshair that would go out of sight.
      stage.pan(clamped(x, width) - x, clamped(y, height) - y);
    }
    if (desk.tool) {
      desk.tools[desk.tool].follow(desk.cursor);
    }
    desk.say("crosshair", { ...desk.cursor });
  }

  /** @param {Drawing} drawing @param {number} digit */
  #classify(drawing, digit) {
    const { desk } = this;
    const found = desk.bench.classesOf(desk.held)[digit - 1];
    if (!found) {
      return;
    }
    if (drawing.selected) {
      drawing.relabel(drawing.selected.id, found.code);
      desk.say("changed");
      desk.changed();
    } else {
      desk.pen = found.code;
      desk.say("pen", { name: found.name });
    }
  }
}

/**
 * The edge of a region that lies towards the right of the screen, or its bottom.
 * @param {import("./geometry.js").Affine} way @param {{x: number, y: number}} step
 * @returns {import("./geometry.js").Handle}
 */
function sideOf(way, step) {
  const { x, y } = stepOf(way, { x: Math.abs(step.x), y: Math.abs(step.y) }, false);
  const sign = (/** @type {number} */ far) => /** @type {-1|0|1} */ (Math.sign(far));
  return Math.abs(x) >= Math.abs(y) ? { x: sign(x), y: 0 } : { x: 0, y: sign(y) };
}

/** @param {number} place @param {number} length */
function clamped(place, length) {
  return Math.min(Math.max(place, EDGE), length - EDGE);
}
