// The image of the unit with the model's marks; a tap hides them, a double tap looks closer.

import { fill } from "../../review/clock.js";
import { byId, say, shape } from "../../review/dom.js";

const DOUBLE_TAP_MS = 280;
const FIRST_PAUSE_MS = 1500;
const LONGEST_PAUSE_MS = 30_000;
const GROWTH = 1.5;
/** So often a picture may be late before it is said that it does not come. */
const TOLD_AFTER = 2;
/** So long nothing is said while it is on its way. */
const SLOW_MS = 1000;
/** What comes within this was there with its unit, as far as an eye can tell. */
const AT_ONCE_MS = 100;

/** How long after so many failures it is asked for again. @param {number} failures @returns {number} milliseconds */
export function pauseAfter(failures) {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * GROWTH ** Math.max(0, failures - 1));
}

export class Picture {
  /**
   * @param {import("../types.js").Words} words
   * @param {{onLate: () => void}} does `onLate`: what is to be judged had been asked about before its
   *   picture came
   */
  constructor(words, { onLate }) {
    this.words = words;
    this.onLate = onLate;
    this.box = byId("sight");
    this.press = byId("sight-press");
    this.image = byId("sight-image");
    // It is painted in the same frame as the serial it belongs to.
    this.image.decoding = "sync";
    this.marks = byId("sight-marks");
    this.next = byId("sight-next");
    /** @type {import("../types.js").Sight[]} */
    this.sights = [];
    this.index = 0;
    this.meaning = "";
    /** @type {Set<number>} views that were looked at: their picture was on the screen */
    this.seen = new Set();
    this.tap = 0;
    /** The address that is to be shown, whatever is tried meanwhile. */
    this.wanted = "";
    /** The server's address of the same. */
    this.shown = "";
    this.tries = 0;
    this.again = 0;
    this.slow = 0;
    this.drawnAt = 0;
    /** @type {Map<string, HTMLImageElement>} pictures that wait for their turn, by address */
    this.ahead = new Map();
    /** Whether it is on its way for longer than it should. */
    this.isSlow = false;
    /** Whether it is to be seen. */
    this.isHere = false;
    /** Whether the unit is to be judged. */
    this.isAsked = false;
    this.#listen();
  }

  /** @param {import("../types.js").Scene} scene */
  show(scene) {
    const isOther = scene.meaning !== this.meaning;
    this.sights = scene.sights;
    this.noImage = scene.noImage;
    this.isAsked = scene.task !== null;
    if (isOther) {
      this.meaning = scene.meaning;
      this.index = 0;
      this.seen.clear();
      this.#marks(true);
      this.#zoom(null);
    }
    this.image.alt = scene.alt;
    this.#draw();
    this.#tell();
  }

  /**
   * Have these ready to be painted at once.
   * @param {Iterable<string>} addresses on the tablet
   */
  prepare(addresses) {
    const wanted = new Set(addresses);
    for (const address of this.ahead.keys()) {
      if (!wanted.has(address)) {
        this.ahead.delete(address);
      }
    }
    for (const address of wanted) {
      if (!this.ahead.has(address)) {
        const image = new Image();
        image.src = address;
        this.ahead.set(address, image);
      }
    }
  }

  #draw() {
    const sight = this.sights[this.index] ?? this.sights[0];
    const count = this.sights.length;
    this.next.hidden = count < 2;
    if (count > 1) {
      say("sight-next", fill(this.words.view_next, { n: this.index + 1, count }));
    }
    this.#picture(sight);
    this.#regions(sight);
    this.press.disabled = !sight;
    this.#look();
  }

  /** The view that is shown is looked at once its picture is there. */
  #look() {
    const count = this.sights.length;
    if (this.isHere && count > 0) {
      this.seen.add(this.index);
    }
    this.next.classList.toggle("button--primary", this.isAsked && this.seen.size < count);
  }

  /**
   * Show a view that nobody has looked at yet.
   * @returns {{word: string, n: number, count: number}|null} which it is, and the word that says what
   *   to do about it; null: all were looked at
   */
  showUnseen() {
    const count = this.sights.length;
    const unseen = this.sights.findIndex((_sight, index) => !this.seen.has(index));
    if (unseen < 0 && count > 0) {
      return null;
    }
    const isShown = unseen === this.index || count === 0;
    this.index = Math.max(0, unseen);
    this.#draw();
    const waits = this.tries > TOLD_AFTER || count === 0 ? "look_failed" : "look_wait";
    return { word: isShown ? waits : "look_first", n: unseen + 1, count };
  }

  /** @param {import("../types.js").Sight|undefined} sight */
  #picture(sight) {
    if (sight && this.isHere && sight.away === this.shown) {
      // It has come onto the tablet meanwhile: what is on the screen stays.
      this.wanted = sight.url;
      return;
    }
    const isOther = this.wanted !== (sight?.url ?? "");
    if (isOther) {
      this.#clear(sight);
    }
    if (!sight) {
      say("sight-none", this.noImage ?? "");
    } else if (isOther) {
      say("sight-none", "");
      this.slow = Number(setTimeout(() => this.#isLate(), SLOW_MS));
      this.image.src = sight.url;
      this.#arrived();
    }
  }

  /** What was there is not to be seen under the name of what comes. @param {import("../types.js").Sight|undefined} next */
  #clear(next) {
    if (this.shown !== (next?.away ?? "")) {
      this.drawnAt = performance.now();
    }
    this.wanted = next?.url ?? "";
    this.shown = next?.away ?? "";
    this.isHere = false;
    this.tries = 0;
    this.isSlow = false;
    clearTimeout(this.again);
    clearTimeout(this.slow);
    this.image.hidden = true;
    this.image.removeAttribute("src");
  }

  #arrived() {
    if (this.isHere || !this.image.complete || this.image.naturalWidth === 0) {
      return; // What has loaded is the view before: another one is asked for by now.
    }
    this.isHere = true;
    clearTimeout(this.again);
    clearTimeout(this.slow);
    this.image.hidden = false;
    say("sight-none", "");
    this.#look();
    if (this.isAsked && performance.now() - this.drawnAt > AT_ONCE_MS) {
      this.onLate();
    }
  }

  /** A part that has just come by may have no preview yet: it is asked for again. */
  #failed() {
    this.image.hidden = true;
    this.tries += 1;
    this.#tell();
    clearTimeout(this.again);
    this.again = Number(setTimeout(() => this.askAgain(), pauseAfter(this.tries)));
  }

  #isLate() {
    this.isSlow = true;
    this.#tell();
  }

  /** That it does not come: what there is to do about it depends on whether it is to be judged. */
  #tell() {
    if (this.isHere || !this.wanted) {
      return;
    }
    if (this.tries > TOLD_AFTER) {
      say("sight-none", this.isAsked ? this.words.image_failed : (this.noImage ?? ""));
    } else if (this.isSlow && this.isAsked) {
      say("sight-none", this.words.image_coming);
    }
  }

  /** Ask for what is not there, now: the network is back, or somebody wants to see it. */
  askAgain() {
    const sight = this.sights[this.index] ?? this.sights[0];
    if (!sight || this.isHere) {
      return;
    }
    clearTimeout(this.again);
    // What the tablet kept may be damaged: the server has it too.
    const separator = sight.away.includes("?") ? "&" : "?";
    this.image.src = `${sight.away}${separator}again=${this.tries}`;
  }

  /** @param {import("../types.js").Sight|undefined} sight */
  #regions(sight) {
    this.marks.replaceChildren();
    if (!sight?.width) {
      return;
    }
    this.marks.setAttribute("viewBox", `0 0 ${sight.width} ${sight.height}`);
    for (const halo of ["halo", ""]) {
      this.marks.append(...sight.regions.map((region) => outline(region, halo)));
    }
  }

  #listen() {
    this.image.addEventListener("error", () => {
      if (this.image.hasAttribute("src")) {
        this.#failed();
      }
    });
    this.image.addEventListener("load", () => this.#arrived());
    this.press.addEventListener("click", (/** @type {MouseEvent} */ event) => this.#tapped(event));
    this.press.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "+" || event.key === "-") {
        this.#zoom(event.key === "+" ? { x: 0.5, y: 0.5 } : null);
      }
    });
    this.next.addEventListener("click", () => {
      this.index = (this.index + 1) % Math.max(1, this.sights.length);
      this.#draw();
    });
  }

  /** @param {MouseEvent} event */
  #tapped(event) {
    if (!this.isHere) {
      this.askAgain();
      return;
    }
    const { left, top, width, height } = this.press.getBoundingClientRect();
    const place = { x: (event.clientX - left) / width, y: (event.clientY - top) / height };
    if (this.tap) {
      clearTimeout(this.tap);
      this.tap = 0;
      this.#zoom(this.box.dataset.zoom === "2" ? null : place);
    } else {
      this.tap = Number(
        setTimeout(() => {
          this.tap = 0;
          this.#marks(this.box.dataset.marks === "hidden");
        }, event.detail === 0 ? 0 : DOUBLE_TAP_MS),
      );
    }
  }

  /** @param {boolean} isShown */
  #marks(isShown) {
    this.box.dataset.marks = isShown ? "shown" : "hidden";
    this.press.setAttribute("aria-pressed", String(isShown));
  }

  /** @param {{x: number, y: number}|null} place in the image's box that stays under the finger; null: whole */
  #zoom(place) {
    this.box.dataset.zoom = place ? "2" : "1";
    const { clientWidth: width, clientHeight: height } = this.press;
    this.press.scrollTo({ left: (place?.x ?? 0) * width, top: (place?.y ?? 0) * height, behavior: "instant" });
  }
}

/** @param {import("../types.js").Region} region @param {string} kind */
function outline({ box, polygon }, kind) {
  if (box) {
    const [x, y, width, height] = box;
    return shape("rect", { x, y, width, height, class: kind });
  }
  return shape("polygon", { points: (polygon ?? []).map((point) => point.join(",")).join(" "), class: kind });
}
