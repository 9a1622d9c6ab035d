// OpenSeadragon draws the tiles of a large or 16-bit image over its preview. The stage decides
// where they lie; OpenSeadragon fetches, keeps and paints what is in sight.

import { lutFor, paint } from "./light.js";
import { coarsestWorthFetching, isPastPreview } from "./pyramid.js";
import { toImage } from "../viewport.js";

/**
 * @typedef {import("../viewport.js").Size} Size
 * @typedef {import("../types.js").Tiles} TileAddress
 */

export class Tiles {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    /** @type {typeof import("./tile_drawing.js")|null} fetched when an image has tiles */
    this.drawing = null;
    /** @type {any} made when the first tiles are needed; its types lag behind its options */
    this.viewer = null;
    /** @type {Size} */
    this.image = { width: 1, height: 1 };
    /** @type {TileAddress|null} */
    this.address = null;
    /** @type {any} */
    this.item = null;
    this.share = 0;
    this.isAlwaysNeeded = false;
    /** @type {Uint8Array|null} */
    this.lut = null;
    /** Counts views: tiles of an earlier one that come late are dropped. */
    this.turn = 0;
    this.retry = () => {};
  }

  /**
   * @param {Size} image @param {TileAddress|null} address
   * @param {number} share width of the preview below divided by that of the image; 0 while it is
   * on its way
   */
  show(image, address, share) {
    this.clear();
    this.image = image;
    this.address = address;
    this.share = share;
    if (address) {
      void this.#prepare();
    }
  }

  /** Most images need no tiles: what draws them comes with the first that does. */
  async #prepare() {
    this.drawing ??= await import("./tile_drawing.js");
    this.retry();
  }

  clear() {
    this.turn += 1;
    this.address = null;
    this.item = null;
    this.lut = null;
    this.isAlwaysNeeded = false;
    this.viewer?.world.removeAll();
    this.root.hidden = true;
  }

  /**
   * The window of levels to show. Other than the preview's own it needs the tiles themselves.
   * @param {import("./light.js").Window} window @param {boolean} isAuto
   */
  setWindow(window, isAuto) {
    this.lut = lutFor(window);
    this.isAlwaysNeeded = !isAuto;
    this.viewer?.forceRedraw();
  }

  /** @param {import("../viewport.js").Pose} pose @param {Size} size of the stage */
  place(pose, size) {
    const { address } = this;
    const density = window.devicePixelRatio;
    const isNeeded =
      address !== null &&
      this.share > 0 &&
      (this.isAlwaysNeeded || isPastPreview(pose.scale, density, this.share));
    this.root.hidden = !isNeeded;
    this.retry = () => this.place(pose, size);
    if (!address || !isNeeded || size.width === 0 || !this.drawing) {
      return;
    }
    this.#add(address, this.drawing);
    this.#follow(pose, size, this.drawing);
  }

  /** @param {TileAddress} address @param {typeof import("./tile_drawing.js")} drawing */
  #add(address, drawing) {
    this.viewer ??= drawing.viewerIn(this.root, (context, grey) => this.#light(context, grey));
    if (this.item) {
      return;
    }
    const { turn } = this;
    const share = address.format === "grey16" ? 0 : this.share;
    const source = drawing.tileSource(this.image, address, coarsestWorthFetching(address.levels, share));
    this.item = "coming";
    this.viewer.addTiledImage({
      tileSource: source,
      width: 1,
      success: (/** @type {any} */ { item }) => {
        if (turn === this.turn) {
          this.item = item;
          this.retry();
        } else {
          this.viewer.world.removeItem(item);
        }
      },
    });
  }

  /**
   * Draw at once, in the frame that moves the rest.
   * @param {import("../viewport.js").Pose} pose @param {Size} size
   * @param {typeof import("./tile_drawing.js")} drawing
   */
  #follow(pose, size, { point }) {
    const { viewer } = this;
    const { viewport, world } = viewer;
    const container = viewport.getContainerSize();
    if (container.x !== size.width || container.y !== size.height) {
      viewport.resize(point(size.width, size.height), false);
    }
    const middle = toImage(pose, { x: size.width / 2, y: size.height / 2 });
    const { width } = this.image;
    viewport.setRotation(pose.rotation, true);
    viewport.zoomTo((pose.scale * width) / size.width, null, true);
    viewport.panTo(point(middle.x / width, middle.y / width), true);
    viewer.drawer.setImageSmoothingEnabled(pose.scale * window.devicePixelRatio <= 2);
    viewport.update();
    world.update(true);
    viewer.imageLoader.clear();
    world.draw();
  }

  /**
   * Paint a 16-bit tile by the window in force, unless it is so already.
   * @param {CanvasRenderingContext2D} context @param {import("./tile_source.js").Grey} grey
   */
  #light(context, grey) {
    const { lut } = this;
    if (lut && grey.lit !== lut) {
      const { width, height } = context.canvas;
      const image = context.createImageData(width, height);
      paint(grey.levels, lut, image.data);
      context.putImageData(image, 0, 0);
      grey.lit = lut;
    }
  }
}
