// The model's opinion over the image: outlines in image pixels, lines and letters in screen pixels.

import { shape } from "./dom.js";
import { boundsOf } from "./viewport.js";

// In rem, as the letters are.
const LABEL_HEIGHT = 1.25;
const LABEL_CHAR = 0.45;
const LABEL_EDGE = 0.375;
const BASELINE = 0.9;

export class Regions {
  /** @param {SVGElement} svg @param {(code: string) => string} nameOf */
  constructor(svg, nameOf) {
    this.svg = svg;
    this.nameOf = nameOf;
    this.outlines = shape("g");
    this.labels = shape("g");
    svg.replaceChildren(this.outlines, this.labels);
    /** @type {{tag: SVGElement, x: number, y: number, width: number}[]} */
    this.placed = [];
  }

  /** @param {import("./types.js").Region[]} regions */
  show(regions) {
    this.placed = [];
    this.outlines.replaceChildren();
    this.labels.replaceChildren();
    for (const region of regions) {
      const bounds = boundsOf(region);
      if (bounds) {
        this.outlines.append(outline(region, "region__halo"), outline(region, "region__line"));
        this.#label(region, bounds);
      }
    }
  }

  /** @param {import("./viewport.js").Viewport} viewport @param {{width: number, height: number}} stage */
  place(viewport, stage) {
    const { scale, x, y } = viewport;
    this.outlines.setAttribute("transform", `translate(${x} ${y}) scale(${scale})`);
    const height = LABEL_HEIGHT * rem();
    for (const label of this.placed) {
      const left = Math.min(Math.max(label.x * scale + x, 0), stage.width - label.width);
      const above = label.y * scale + y - height - 3;
      const top = Math.min(Math.max(above, 0), stage.height - height);
      label.tag.setAttribute("transform", `translate(${left} ${top})`);
    }
  }

  /** @param {import("./types.js").Region} region @param {{x: number, y: number}} bounds */
  #label(region, bounds) {
    const text = `${this.nameOf(region.label)} ${region.score.toFixed(2)}`;
    const unit = rem();
    const width = (text.length * LABEL_CHAR + 2 * LABEL_EDGE) * unit;
    const height = LABEL_HEIGHT * unit;
    const tag = shape("g");
    const plate = shape("rect", { width, height, rx: 2, class: "region__plate" });
    const at = { x: LABEL_EDGE * unit, y: BASELINE * unit };
    const words = shape("text", { ...at, class: "region__text" });
    words.textContent = text;
    tag.append(plate, words);
    this.labels.append(tag);
    this.placed.push({ tag, x: bounds.x, y: bounds.y, width });
  }
}

/** Pixels of one rem. */
function rem() {
  return Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
}

/** @param {import("./types.js").Region} region @param {string} name */
function outline(region, name) {
  if (region.box) {
    const [x, y, width, height] = region.box;
    return shape("rect", { x, y, width, height, class: name });
  }
  const points = (region.polygon ?? []).map((point) => point.join(",")).join(" ");
  return shape("polygon", { points, class: name });
}
