// The golden image beside the unit's own: moved, turned and lit in step with it, from either side.

import { Gestures } from "./gestures.js";
import { Pane } from "./pane.js";
import { Picture } from "../pictures.js";
import { inStep } from "../viewport.js";

/** @typedef {import("../types.js").Golden} Golden */

const KEPT = 4;
// Narrower stages have it below instead of beside.
const BESIDE_FROM = 640;

export class Compare {
  /** @param {HTMLElement} root @param {import("../stage.js").Stage} stage */
  constructor(root, stage) {
    this.root = root;
    this.stage = stage;
    this.pane = new Pane(/** @type {HTMLElement} */ (root.querySelector(".picture")));
    this.word = /** @type {HTMLElement} */ (root.querySelector("[data-golden-wait]"));
    this.fault = /** @type {HTMLElement} */ (root.querySelector("[data-golden-failed]"));
    /** @type {Golden|null} */
    this.golden = null;
    /** @type {Map<string, Picture>} */
    this.pictures = new Map();
    /** @type {object|null} */
    this.lit = null;
    this.gestures = new Gestures(root, stage);
    stage.onMove(() => this.#follow());
  }

  /** @param {Golden} golden */
  show(golden) {
    this.golden = golden;
    const picture = this.#pictureOf(golden);
    this.pane.show(golden, picture.state === "ready" ? picture.element : null);
    this.lit = null;
    this.#say(picture);
    this.root.hidden = false;
    this.stage.give((room) =>
      room.width >= BESIDE_FROM
        ? { width: Math.floor(room.width / 2), height: 0 }
        : { width: 0, height: Math.floor(room.height / 2) },
    );
  }

  hide() {
    if (this.golden) {
      this.golden = null;
      this.root.hidden = true;
      this.pane.clear();
      this.stage.give(() => ({ width: 0, height: 0 }));
    }
  }

  #follow() {
    const { stage, golden, root } = this;
    if (!golden) {
      return;
    }
    const [beside, below] = [stage.taken.width > 0, stage.taken.height > 0];
    const size = {
      width: beside ? stage.taken.width : stage.size.width,
      height: below ? stage.taken.height : stage.size.height,
    };
    root.classList.toggle("golden--below", below);
    root.style.width = `${size.width}px`;
    root.style.height = `${size.height}px`;
    if (this.lit !== stage.light) {
      this.lit = stage.light;
      this.pane.setLight(stage.light);
    }
    this.pane.place(inStep(stage.pose, stage.image, golden), size);
  }

  /** @param {Golden} golden */
  #pictureOf(golden) {
    let picture = this.pictures.get(golden.image_url);
    if (!picture) {
      picture = new Picture(golden.image_url, (arrived) => this.#arrived(arrived));
      this.pictures.set(golden.image_url, picture);
      void picture.load();
      for (const [url, old] of [...this.pictures].slice(0, -KEPT)) {
        old.discard();
        this.pictures.delete(url);
      }
    }
    return picture;
  }

  /** @param {Picture} picture */
  #arrived(picture) {
    if (picture.url === this.golden?.image_url) {
      if (picture.state === "ready") {
        this.pane.arrive(picture.element);
        this.stage.paintSoon();
      }
      this.#say(picture);
    }
  }

  /** @param {Picture} picture */
  #say(picture) {
    this.word.hidden = picture.state !== "loading";
    this.fault.hidden = picture.state !== "failed";
  }
}
