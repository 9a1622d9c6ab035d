// The light panel at the bench: opened by its key, remembered for each person and defect class.

import { byId } from "../dom.js";
import { LightPanel } from "../viewer/light_panel.js";

/**
 * @typedef {import("../context.js").Bench} Bench
 * @typedef {import("../viewer/pane.js").Light} Light
 */

const MOST_LETTERS = 70;

/** @param {Bench} bench */
export function install(bench) {
  const { stage } = bench;
  const panel = new LightPanel(byId("light-panel"), { onChange: choose, onClose: close });

  /** @param {Light} light */
  function choose(light) {
    stage.setLight(light);
    panel.show(stage.light, stage.pane.range);
    bench.preferences?.set(name(), panel.isChanged ? stage.light : null);
    mark();
  }

  function close() {
    panel.close();
    byId("light-toggle").setAttribute("aria-expanded", "false");
    stage.root.focus({ preventScroll: true });
  }

  function toggle() {
    if (panel.isOpen) {
      close();
    } else if (bench.held()) {
      panel.open();
      byId("light-toggle").setAttribute("aria-expanded", "true");
    }
  }

  /** A setting for each class and kind of image: two tabs do not undo each other's. */
  function name() {
    const kind = stage.pane.range ? "window" : "tone";
    const code = (bench.held()?.task.defect_class ?? "").replaceAll(/[^\w.:-]/g, "_");
    return `light:${kind}/${code}`.slice(0, MOST_LETTERS);
  }

  function mark() {
    byId("light-changed").hidden = !panel.isChanged;
  }

  bench.acts.light = toggle;
  bench.acts.invert = () => bench.held() && choose({ ...stage.light, invert: !stage.light.invert });
  bench.on("view", () => {
    const light = bench.preferences?.get(name());
    if (light) {
      stage.setLight(light);
    }
    panel.show(stage.light, stage.pane.range);
    mark();
  });
  bench.on("show", (held) => {
    if (!held && panel.isOpen) {
      close();
    }
  });
}
