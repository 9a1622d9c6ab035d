// An image whose tiles are still being cut is shown by its preview, and sharpens when they are there.
// One that has none is cut when somebody looks closer than its preview can show.

import { isPastPreview } from "../viewer/pyramid.js";

const ASK_EVERY_MS = 1500;

/**
 * @typedef {import("../context.js").Bench} Bench
 * @typedef {import("../types.js").View} View
 * @typedef {{preview: string, tiles: import("../types.js").Tiles|null, tiles_state: string}} About
 */

/** @param {Bench} bench */
export function install(bench) {
  const { stage } = bench;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  let timer;

  /** @param {import("../types.js").Held} held @param {number} index @param {string} [how] */
  async function ask(held, index, how = "") {
    const view = held.task.views[index];
    const about = await aboutOf(view, how);
    const isShown = bench.held() === held && bench.viewIndex() === index;
    view.tiles_state = about?.tiles_state ?? view.tiles_state;
    if (about?.tiles) {
      view.tiles = about.tiles;
      if (isShown) {
        stage.sharpen(about.tiles);
        bench.tell("view", held, index);
      }
    } else if (isShown && (about === null || isAwaited(about))) {
      timer = setTimeout(() => void ask(held, index, how), ASK_EVERY_MS);
    }
  }

  function lookCloser() {
    const held = bench.held();
    const view = held?.task.views[bench.viewIndex()];
    const { share } = stage.pane.tiles;
    const isWhole = share === 0 || share >= 1;
    if (!held || !view || view.tiles || view.tiles_state !== "NONE" || isWhole) {
      return;
    }
    if (isPastPreview(stage.imageScale, window.devicePixelRatio, share)) {
      view.tiles_state = "ASKED";
      void ask(held, bench.viewIndex(), "?sharper");
    }
  }

  stage.onMove(lookCloser);
  bench.on("view", (held, index) => {
    clearTimeout(timer);
    const view = held.task.views[index];
    if (!view.tiles && isAwaited(view)) {
      timer = setTimeout(() => void ask(held, index), ASK_EVERY_MS);
    }
  });
  bench.on("show", () => clearTimeout(timer));
}

/** @param {View|About} picture whether its tiles may still come */
function isAwaited(picture) {
  return picture.preview === "PENDING" || picture.tiles_state === "PENDING";
}

/** @param {View} view @param {string} how @returns {Promise<About|null>} null when no answer came */
async function aboutOf(view, how) {
  try {
    const response = await fetch(`${view.image_url}/about${how}`, { credentials: "same-origin" });
    return response.ok ? await response.json() : null;
  } catch {
    return null; // Asked again soon; the connection says what is wrong.
  }
}
