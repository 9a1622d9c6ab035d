// The pictures a verdict waits for: what nobody could see, nobody accepts.

import { fill } from "../clock.js";

/** @typedef {import("../types.js").Held} Held */

// The API takes so much of a comment.
const LONGEST = 1000;

/** @param {Held} held the views whose picture is not here; one taken again counts as its latest image */
function due(held) {
  const latest = new Map(held.task.views.map((view, index) => [view.view, held.pictures[index]]));
  const named = (/** @type {string} */ state) =>
    [...latest].filter(([, picture]) => picture.state === state).map(([name]) => name);
  return { coming: named("loading"), failed: named("failed") };
}

/**
 * What stands against accepting the unit, for the button and as a sentence; null when every view of
 * it can be seen.
 * @param {Record<string, string>} strings @param {Held} held
 * @returns {{button: string, sentence: string, views: string}|null}
 */
export function duePictures(strings, held) {
  const { coming, failed } = due(held);
  if (failed.length > 0) {
    const views = failed.join(", ");
    return { button: strings.picture_failed, sentence: fill(strings.pictures_failed, { views }), views };
  }
  if (coming.length > 0) {
    const views = coming.join(", ");
    return { button: strings.picture_coming, sentence: fill(strings.pictures_coming, { views }), views };
  }
  return null;
}

/**
 * The same where the picture on the stage cannot be seen and is none the verdict waits for: its view
 * was taken again.
 * @param {Record<string, string>} strings @param {Held} held @param {number} index which is shown
 * @returns {{button: string, sentence: string, views: string}|null}
 */
export function standsAgainst(strings, held, index) {
  const due = duePictures(strings, held);
  const { view } = held.task.views[index] ?? {};
  if (due || view === undefined || held.pictures[index].state === "ready") {
    return due;
  }
  return { button: strings.picture_older, sentence: fill(strings.pictures_older, { view }), views: "" };
}

/** @param {Held} held @param {number} index @returns {boolean} whether its view was taken again since */
export function isOlder({ task: { views } }, index) {
  return views.findLastIndex((each) => each.view === views[index]?.view) > index;
}

/**
 * Which view is looked at first: the worst that can be shown, of one taken again its latest image.
 * @param {Held} held @returns {number}
 */
export function firstToSee(held) {
  const { views } = held.task;
  const latest = [...views.keys()].filter((index) => !isOlder(held, index));
  const shown = latest.filter((index) => held.pictures[index].state !== "failed");
  const scoreOf = (/** @type {number} */ index) => views[index].score ?? 0;
  const from = shown.length > 0 ? shown : latest;
  return from.reduce((worst, index) => (scoreOf(index) > scoreOf(worst) ? index : worst), from[0] ?? 0);
}

/**
 * What is said of the unit, and that a view of it was not seen: the latter whole, however much of
 * the former is left.
 * @param {string} comment @param {string} unseen
 */
export function withUnseen(comment, unseen) {
  if (comment === "" || unseen === "") {
    return comment || unseen;
  }
  const end = ` · ${unseen}`;
  // By whole characters: half a one is none the API can read.
  return [...comment].slice(0, Math.max(0, LONGEST - end.length)).join("") + end;
}

/** @param {import("../context.js").Bench} bench */
export function install(bench) {
  const name = "pictures_due";
  const found = () => {
    const held = bench.held();
    return held && standsAgainst(bench.strings, held, bench.viewIndex());
  };

  bench.sayWhatIsDue = () => {
    const due = found();
    if (due) {
      bench.session.toldToWait();
      bench.notices.show(due.sentence, { name, isFault: false });
    }
  };
  bench.on("show", () => bench.notices.hide(name));
  bench.on("change", () => found() || bench.notices.hide(name));
}
