// One image with all that draws it: the decoded preview, the tiles over it, and the light on both.

import { shape } from "../dom.js";
import { EVEN, autoWindow, isAuto, isStraight, lineOfTone, lineOfWindow } from "./light.js";
import { Sheet } from "./sheet.js";
import { Tiles } from "./tiles.js";

/**
 * @typedef {import("../viewport.js").Size} Size
 * @typedef {import("./light.js").Tone|import("./light.js").Window} Light
 * @typedef {{width: number, height: number, tiles?: import("../types.js").Tiles|null}} Shown
 */

let count = 0;

export class Pane {
  /** @param {HTMLElement} root holds a sheet and a place for tiles */
  constructor(root) {
    this.root = root;
    this.sheet = new Sheet(/** @type {HTMLElement} */ (root.querySelector(".sheet")));
    this.tiles = new Tiles(/** @type {HTMLElement} */ (root.querySelector(".tiles")));
    /** @type {Shown} */
    this.shown = { width: 1, height: 1 };
    /** @type {Light} */
    this.light = EVEN;
    this.filter = new LightFilter(root);
  }

  /** @returns {import("./light.js").Range|null} what a window chooses from; null for 8 bits */
  get range() {
    const { tiles } = this.shown;
    return tiles?.format === "grey16" ? tiles : null;
  }

  /** @param {Shown} shown @param {HTMLImageElement|null} picture decoded */
  show(shown, picture) {
    this.shown = shown;
    this.sheet.show(shown, picture);
    this.tiles.show(shown, shown.tiles ?? null, shareOf(shown, picture));
    this.setLight(this.range ? autoWindow(this.range) : EVEN);
  }

  /** @param {HTMLImageElement} picture of what is shown already */
  arrive(picture) {
    this.sheet.show(this.shown, picture);
    this.tiles.share = shareOf(this.shown, picture);
  }

  /** @param {import("../types.js").Tiles} tiles of what is shown already, made in the meantime */
  sharpen(tiles) {
    const share = this.tiles.share;
    this.shown = { ...this.shown, tiles };
    this.tiles.show(this.shown, tiles, share);
    this.setLight(this.range ? autoWindow(this.range) : this.light);
  }

  clear() {
    this.sheet.clear();
    this.tiles.clear();
  }

  /** @param {Light} light of the kind that fits the image; another is left aside */
  setLight(light) {
    const { range } = this;
    if (range && "window" in light) {
      this.tiles.setWindow(light, isAuto(range, light));
      this.filter.set(this.sheet.element, lineOfWindow(light, range));
      this.light = light;
    } else if (!range && "contrast" in light) {
      this.filter.set(this.root, lineOfTone(light));
      this.light = light;
    }
  }

  /** @param {import("../viewport.js").Pose} pose @param {Size} size of the stage */
  place(pose, size) {
    this.sheet.place(pose);
    this.tiles.place(pose, size);
  }
}

/** @param {Size} shown @param {HTMLImageElement|null} picture */
function shareOf(shown, picture) {
  return picture ? picture.naturalWidth / shown.width : 0;
}

/** A straight line from brightness in to brightness out, laid over an element. */
class LightFilter {
  /** @param {HTMLElement} root */
  constructor(root) {
    count += 1;
    this.id = `light-${count}`;
    this.channels = ["feFuncR", "feFuncG", "feFuncB"].map((name) => shape(name, { type: "linear" }));
    const transfer = shape("feComponentTransfer");
    transfer.append(...this.channels);
    const space = { x: 0, y: 0, width: 1, height: 1, "color-interpolation-filters": "sRGB" };
    const filter = shape("filter", { id: this.id, ...space });
    filter.append(transfer);
    const holder = shape("svg", { width: 0, height: 0, class: "light-filter", "aria-hidden": "true" });
    holder.append(filter);
    root.after(holder);
    /** @type {HTMLElement|null} */
    this.on = null;
  }

  /** @param {HTMLElement} element @param {import("./light.js").Line} line */
  set(element, line) {
    if (this.on && this.on !== element) {
      this.on.style.filter = "";
    }
    this.on = element;
    for (const channel of this.channels) {
      channel.setAttribute("slope", String(line.slope));
      channel.setAttribute("intercept", String(line.intercept));
    }
    element.style.filter = isStraight(line) ? "" : `url("#${this.id}")`;
  }
}
