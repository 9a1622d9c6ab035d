// Views that come while their unit is on the screen join it: nothing drawn is lost, nothing moves.

import { fill } from "../clock.js";
import { isWhole } from "../verdict_rules.js";
import { viewsOf } from "./unit_verdict.js";

const ASK_EVERY_MS = 2500;

/**
 * @typedef {import("../context.js").Bench} Bench
 * @typedef {import("../types.js").Held} Held
 */

/** @param {Bench} bench @param {import("./views.js").Views} views */
export function install(bench, views) {
  let isAsking = false;

  /** Ask after a unit that waits for a view, or for one that is taken again. */
  async function look() {
    const held = bench.held();
    if (!held || isAsking || bench.session.isLost || document.hidden || !isWanting(held)) {
      return;
    }
    isAsking = true;
    try {
      const came = views.join(await bench.api.task(held.task));
      held.isBehind = false;
      if (came.length > 0) {
        const text = fill(bench.strings.view_came, { view: came.join(", ") });
        bench.notices.show(text, { name: "view_came", isFault: false });
      }
    } catch {
      return; // The next look comes soon; a lease that is lost is told by the heartbeat.
    } finally {
      isAsking = false;
    }
  }

  /** @param {Held} held */
  const isWanting = (held) => held.isBehind === true || !isWhole(viewsOf(held));

  bench.on("show", (held) => {
    bench.notices.hide("view_came");
    if (held) {
      void look();
    }
  });
  setInterval(() => void look(), ASK_EVERY_MS);
}
