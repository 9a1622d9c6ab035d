// Where the tiles of a large or 16-bit image lie, and what becomes of one on its way to the screen.

import OpenSeadragon from "openseadragon";

import { levelsOf } from "./levels.js";

/**
 * @typedef {import("../types.js").Tiles} Tiles
 * @typedef {{levels: Uint16Array, lit: Uint8Array|null}} Grey what a 16-bit tile is painted from
 */

/** @type {WeakMap<CanvasRenderingContext2D, Grey>} */
const greys = new WeakMap();

/** @param {CanvasRenderingContext2D} context @returns {Grey|undefined} */
export function greyOf(context) {
  return greys.get(context);
}

/**
 * @param {import("../viewport.js").Size} image @param {Tiles} tiles @param {number} coarsest
 * the first level that is worth fetching
 */
export function tileSource(image, tiles, coarsest) {
  const source = new OpenSeadragon.TileSource(
    /** @type {any} */ ({
      width: image.width,
      height: image.height,
      tileSize: tiles.size,
      tileOverlap: 0,
      minLevel: coarsest,
      maxLevel: tiles.levels - 1,
      ready: true,
    }),
  );
  return Object.assign(source, {
    /** @param {number} level @param {number} column @param {number} row */
    getTileUrl: (level, column, row) => `${tiles.url}/${level}/${column}_${row}`,
    hasTransparency: () => false,
    /** @param {any} job */
    downloadTileStart: (job) => {
      job.userData.aborter = new AbortController();
      load(job.src, tiles.format, job.userData.aborter.signal).then(
        (context) => job.finish(context, null, "context2d"),
        (error) => job.fail(String(error), null),
      );
    },
    /** @param {any} job */
    downloadTileAbort: (job) => job.userData.aborter?.abort(),
  });
}

/** @param {string} url @param {"jpeg"|"grey16"} format @param {AbortSignal} signal */
async function load(url, format, signal) {
  const response = await fetch(url, { credentials: "same-origin", signal });
  if (!response.ok) {
    throw new Error(`${response.status} ${url}`);
  }
  // The bytes are levels, not colours: no profile may touch them.
  const bitmap = await createImageBitmap(await response.blob(), {
    colorSpaceConversion: "none",
    premultiplyAlpha: "none",
  });
  return format === "grey16" ? greyContext(bitmap) : contextOf(bitmap);
}

/** @param {ImageBitmap} bitmap */
function contextOf(bitmap) {
  const context = emptyContext(bitmap.width, bitmap.height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context;
}

/** @param {ImageBitmap} bitmap */
function greyContext(bitmap) {
  const { width, height } = bitmap;
  const reader = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!reader) {
    throw new Error("no canvas");
  }
  reader.drawImage(bitmap, 0, 0);
  bitmap.close();
  const context = emptyContext(width, height);
  greys.set(context, { levels: levelsOf(reader.getImageData(0, 0, width, height).data), lit: null });
  return context;
}

/** @param {number} width @param {number} height @returns {CanvasRenderingContext2D} */
function emptyContext(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
}
