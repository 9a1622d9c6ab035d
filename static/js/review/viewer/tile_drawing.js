// OpenSeadragon as the stage needs it: it listens to nothing and shows no buttons.

import OpenSeadragon from "openseadragon";

import { greyOf } from "./tile_source.js";

export { tileSource } from "./tile_source.js";

const OPTIONS = {
  drawer: "canvas",
  autoResize: false,
  preserveViewport: true,
  mouseNavEnabled: false,
  keyboardNavEnabled: false,
  showNavigationControl: false,
  showSequenceControl: false,
  tabIndex: "",
  animationTime: 0,
  springStiffness: 1,
  visibilityRatio: 0,
  minZoomImageRatio: 0,
  maxZoomPixelRatio: Infinity,
  immediateRender: true,
  maxTilesPerFrame: 8,
  imageLoaderLimit: 6,
  maxImageCacheCount: 160,
  tileRetryMax: 3,
  tileRetryDelay: 1000,
  smoothTileEdgesMinZoom: Infinity,
  subPixelRoundingForTransparency: "never",
};

/**
 * @param {HTMLElement} root
 * @param {(context: CanvasRenderingContext2D, grey: import("./tile_source.js").Grey) => void} onGrey
 * called for each 16-bit tile before it is drawn
 */
export function viewerIn(root, onGrey) {
  // OpenSeadragon puts a style block into the page, which its policy refuses, unless it finds an
  // element of that name; one that is not HTML styles nothing and offends nobody.
  if (!document.querySelector("style[data-openseadragon-mobile-css]")) {
    const mark = document.createElementNS("urn:loupe", "style");
    mark.setAttribute("data-openseadragon-mobile-css", "");
    document.head.append(mark);
  }
  const viewer = new OpenSeadragon.Viewer(
    /** @type {any} */ ({ ...OPTIONS, element: root, id: `tiles-${crypto.randomUUID()}` }),
  );
  viewer.addHandler("tile-drawing", (/** @type {any} */ { rendered }) => {
    const grey = greyOf(rendered);
    if (grey) {
      onGrey(rendered, grey);
    }
  });
  return viewer;
}

/** @param {number} x @param {number} y */
export function point(x, y) {
  return new OpenSeadragon.Point(x, y);
}
