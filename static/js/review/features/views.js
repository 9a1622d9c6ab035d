// The unit on the stage: which of its views is shown, and since when it can be seen.

import { byId, say } from "../dom.js";
import { SETTLE_MS } from "../guard.js";
import { Picture } from "../pictures.js";
import { duePictures, firstToSee, isOlder } from "./due_pictures.js";

/**
 * @typedef {import("../context.js").Bench} Bench
 * @typedef {import("../types.js").Held} Held
 */

export class Views {
  /** @param {Bench} bench */
  constructor(bench) {
    this.bench = bench;
    this.index = 0;
    /** When the unit on the screen was first seen; 0 before. */
    this.firstSeen = 0;
    this.isOpinionShown = true;
    /** @type {WeakSet<Held>} what was on the screen before */
    this.known = new WeakSet();
  }

  /**
   * A claimed task with its pictures on their way.
   * @param {import("../types.js").Task} task @param {Held} [earlier] @returns {Held}
   */
  prepare(task, earlier) {
    const pictures = task.views.map((view) => {
      const kept = earlier?.pictures.find((_, index) => earlier.task.views[index].capture === view.capture);
      return kept && kept.state !== "failed" ? kept : this.#picture(view);
    });
    const classes = this.bench.config.classes[task.station.site] ?? [];
    const known = classes.some((/** @type {{code: string}} */ c) => c.code === task.defect_class);
    const defectClass = known ? task.defect_class : null;
    return { task, pictures, choice: { defectClass, disposition: null, comment: "" } };
  }

  /** @param {Held|null} held */
  show(held) {
    const began = performance.now();
    const { bench } = this;
    bench.popovers.close();
    byId("bench").dataset.state = held ? "task" : "empty";
    byId("empty").hidden = held !== null;
    byId("rail-task").hidden = held === null;
    byId("stage").dataset.task = held?.task.id ?? "";
    bench.notices.hide("lost");
    this.firstSeen = 0;
    if (held) {
      this.#askAgain(held);
      bench.rail.show(held.task, bench.classesOf(held));
      byId("comment").value = held.choice.comment;
      bench.strip.show(held.task.views, held.pictures, held.task.views_expected);
      bench.tell("show", held);
      this.showView(firstToSee(held));
    } else {
      bench.stage.clear();
      bench.strip.show([], []);
      bench.tell("show", null);
    }
    performance.measure("loupe:show", { start: began });
  }

  /** @param {number} index */
  showView(index) {
    const { bench } = this;
    const held = bench.held();
    const view = held?.task.views[index];
    if (!held || !view) {
      return;
    }
    this.index = index;
    const picture = held.pictures[index];
    bench.stage.show(view, picture.state === "ready" ? picture.element : null);
    bench.strip.mark(index);
    bench.tell("view", held, index);
    this.#seen(picture);
    bench.refresh();
  }

  /**
   * Views that have come since the unit was claimed go behind those that are here, so that what was
   * drawn stays where it was.
   * @param {import("../types.js").Task} task the unit as it is by now
   * @returns {string[]} the names of those that came
   */
  join(task) {
    const { bench } = this;
    const held = bench.held();
    if (held?.task.id !== task.id || held.task.fence !== task.fence) {
      return [];
    }
    const known = new Set(held.task.views.map((view) => view.capture));
    const came = task.views.filter((view) => !known.has(view.capture));
    if (came.length > 0) {
      held.task = { ...task, views: [...held.task.views, ...came] };
      held.pictures = [...held.pictures, ...came.map((view) => this.#picture(view))];
      bench.strip.show(held.task.views, held.pictures, task.views_expected);
      bench.strip.mark(this.index);
      bench.rail.show(held.task, bench.classesOf(held));
      bench.refresh();
    }
    return came.map((view) => view.view);
  }

  /** A unit that comes back asks once more for what could not be shown. @param {Held} held */
  #askAgain(held) {
    if (this.known.has(held)) {
      held.pictures = held.pictures.map((picture, index) => {
        if (picture.state !== "failed") {
          return picture;
        }
        picture.discard();
        return this.#picture(held.task.views[index]);
      });
    }
    this.known.add(held);
  }

  /** @param {import("../types.js").View} view */
  #picture(view) {
    const picture = new Picture(view.image_url, (arrived) => this.arrived(arrived));
    void picture.load();
    return picture;
  }

  /** @param {1|-1} step */
  turn(step) {
    const count = Math.max(1, this.bench.held()?.task.views.length ?? 0);
    this.showView((this.index + step + count) % count);
  }

  get picture() {
    return this.bench.held()?.pictures[this.index] ?? null;
  }

  toggleOpinion() {
    this.isOpinionShown = !this.isOpinionShown;
    this.bench.stage.showOpinion(this.isOpinionShown);
    byId("model-toggle").setAttribute("aria-pressed", String(this.isOpinionShown));
    this.bench.preferences?.set("opinion_shown", this.isOpinionShown);
  }

  /** @param {Picture} picture */
  arrived(picture) {
    const { bench } = this;
    const held = bench.held();
    if (!held?.pictures.includes(picture)) {
      return;
    }
    bench.strip.arrive(held.pictures.indexOf(picture), picture);
    const isShown = held.pictures[this.index] === picture;
    if (isShown && picture.state === "ready") {
      bench.stage.arrive(picture.element);
    }
    if (isShown) {
      this.#seen(picture);
    }
    if (picture.state === "ready") {
      this.#settle(held, isShown);
    }
    bench.refresh();
  }

  /** Who was told to wait for a picture is not taken at his word in the moment it comes. @param {Held} held @param {boolean} isShown */
  #settle(held, isShown) {
    const { bench } = this;
    const isLast = duePictures(bench.strings, held) === null;
    if (isShown || isLast) {
      bench.session.pictureCame(isLast);
    }
    if (bench.session.isSettling) {
      setTimeout(bench.refresh, SETTLE_MS);
    }
  }

  /** @param {Picture} picture */
  #seen(picture) {
    byId("picture-wait").hidden = picture.state !== "loading";
    byId("picture-failed").hidden = picture.state !== "failed";
    const held = this.bench.held();
    const isTakenAgain = held !== null && isOlder(held, this.index);
    byId("picture-lost").hidden = isTakenAgain;
    byId("picture-hold").hidden = isTakenAgain;
    byId("picture-older").hidden = !isTakenAgain;
    say("picture-why", picture.detail);
    if (picture.state !== "ready") {
      return;
    }
    this.bench.strip.see(this.index);
    if (this.firstSeen === 0) {
      this.firstSeen = performance.now();
    }
  }
}
