// What can be laid over or beside the image at the bench: golden image, heat map, zones; and turning.

import { byId } from "../dom.js";
import { Compare } from "../viewer/compare.js";
import { Sheet } from "../viewer/sheet.js";
import { install as installLight } from "./light.js";

/**
 * @typedef {import("../context.js").Bench} Bench
 * @typedef {import("../types.js").View} View
 */

/** @param {Bench} bench */
export function install(bench) {
  const { stage, acts } = bench;
  acts["rotate-left"] = () => stage.rotate(-90);
  acts["zoom-in"] = () => stage.zoomMiddle(1.25);
  acts["zoom-out"] = () => stage.zoomMiddle(0.8);
  acts["rotate-right"] = () => stage.rotate(90);
  installLight(bench);
  const parts = [golden(bench), heatMap(bench), zones(bench)];
  bench.on("view", (held, index) => parts.forEach((part) => part(held.task.views[index])));
  bench.on("show", (held) => held || parts.forEach((part) => part(null)));
}

/**
 * A button that is there only when the view has what it shows, and stays as it was chosen.
 * @param {Bench} bench @param {string} act @param {boolean} isOn
 * @param {(view: View|null, isOn: boolean) => boolean} show answers whether the view has it
 * @returns {(view: View|null) => void}
 */
function switchable(bench, act, isOn, show) {
  const button = byId(`${act}-toggle`);
  /** @type {View|null} */
  let current = null;
  function refresh() {
    button.hidden = !show(current, isOn);
    button.setAttribute("aria-pressed", String(isOn));
  }
  bench.acts[act] = () => {
    if (!button.hidden) {
      isOn = !isOn;
      refresh();
    }
  };
  return (view) => {
    current = view;
    refresh();
  };
}

/** @param {Bench} bench */
function golden(bench) {
  const compare = new Compare(byId("golden"), bench.stage);
  return switchable(bench, "golden", false, (view, isOn) => {
    if (view?.golden && isOn) {
      compare.show(view.golden);
    } else {
      compare.hide();
    }
    return Boolean(view?.golden);
  });
}

/** The heat map is the model's opinion: it hides with it. @param {Bench} bench */
function heatMap(bench) {
  const { stage } = bench;
  const sheet = new Sheet(byId("heat"));
  let shown = "";
  stage.onMove(() => {
    sheet.element.hidden = shown === "" || stage.overlay.hidden;
    sheet.place(stage.pose);
  });
  return switchable(bench, "heatmap", false, (view, isOn) => {
    const url = view?.heatmap_url ?? "";
    const wanted = isOn ? url : "";
    if (view && wanted && wanted !== shown) {
      const picture = new Image();
      picture.alt = "";
      picture.draggable = false;
      picture.addEventListener("error", () => {
        if (shown === wanted) {
          bench.notices.show(bench.strings.heatmap_failed, { name: "heatmap" });
        }
      });
      picture.src = wanted;
      sheet.show(view, picture);
    } else if (!wanted) {
      sheet.clear();
    }
    shown = wanted;
    if (isOn && url && stage.overlay.hidden) {
      bench.acts.model?.({});
    }
    stage.paintSoon();
    return url !== "";
  });
}

/** @param {Bench} bench */
function zones(bench) {
  return switchable(bench, "zones", true, (view, isOn) => {
    bench.stage.showZones(isOn);
    return (view?.zones ?? []).length > 0;
  });
}
