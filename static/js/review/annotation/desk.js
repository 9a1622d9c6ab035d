// Drawing on the unit at the bench: joins the tools to the stage, the keys, the list and the drafts.

import { fill } from "../clock.js";
import { byId, say } from "../dom.js";
import { Drafts } from "./drafts.js";
import { Drawing, told } from "./drawing.js";
import { boundsOf, within } from "./geometry.js";
import { Keyboard } from "./keyboard.js";
import { DrawnLayer } from "./layer.js";
import { RegionList, sizeOf } from "./list.js";
import { Shelf } from "./shelf.js";
import { BoxTool, EditTool, PolygonTool, TARGET } from "./tools.js";

/**
 * @typedef {import("../context.js").Bench} Bench
 * @typedef {import("../types.js").Held} Held
 * @typedef {import("./geometry.js").Point} Point
 * @typedef {import("./geometry.js").Shape} Shape
 * @typedef {import("./drawing.js").Drawn} Drawn
 */

const MOST_POINTS = 2000;
const MOST_REGIONS = 1000;

export class Desk {
  /** @param {Bench} bench */
  constructor(bench) {
    this.bench = bench;
    this.words = wordsOf("drawing-words");
    this.shelf = new Shelf(
      new Drafts({
        storage: ownStorage(),
        person: bench.config.person,
        now: Date.now,
        onTrouble: () => bench.notices.show(this.words.not_kept, { name: "not_kept" }),
      }),
    );
    /** @type {Held|null} the unit on the screen */
    this.held = null;
    this.view = "main";
    /** @type {"box"|"polygon"|null} */
    this.tool = null;
    /** @type {string|null} the class chosen by digit for what is drawn next */
    this.pen = null;
    /** @type {Point|null} */
    this.cursor = null;
    /** @type {Shape|null} */
    this.preview = null;
    this.handles = TARGET.mouse;
    /** @type {(() => void)[]} told when a region has been drawn */
    this.finishers = [];
    /** @type {(() => void)[]} told when another tool is taken up, or none */
    this.takers = [];
    const board = this.#board();
    this.tools = { box: new BoxTool(board), polygon: new PolygonTool(board) };
    this.edit = new EditTool(board);
    this.keyboard = new Keyboard(this);
    this.list = new RegionList(byId("drawn"), (region) => this.choose(region));
    this.layer = new DrawnLayer(byId("drawing"));
    /** @type {import("./layer.js").Marked[]} made once a change, not once a frame */
    this.marks = [];
    bench.stage.onMove(() => this.layer.draw(bench.stage, this.#scene()));
  }

  get drawing() {
    return this.shelf.of(this.held);
  }

  get isOurs() {
    return this.held !== null && !this.bench.session.isLost && !this.bench.session.isTakingBack;
  }

  /** @param {Held|null} held */
  show(held) {
    this.use(null);
    this.drawing?.select(null);
    this.held = held;
    this.pen = null;
    say("lost-drawing", "");
    if (held) {
      this.shelf.open(held).select(null);
    }
    this.refresh();
  }

  /** @param {Held} held @param {number} index */
  showView(held, index) {
    const selected = this.drawing?.selected;
    this.view = held.task.views[index]?.view ?? "main";
    if (selected && selected.view !== this.view) {
      this.drawing?.select(null);
    }
    this.#letGo();
    this.refresh();
  }

  /** What is under the hand belongs to the view it was taken up on. */
  #letGo() {
    this.tools.box.cancel();
    this.tools.polygon.cancel();
    this.edit.cancel();
    this.cursor = null;
    this.preview = null;
  }

  /** The hold on the unit is lost: what is drawn is offered when it comes again. */
  lose() {
    this.use(null);
    if (this.held && this.drawing && !this.drawing.isEmpty) {
      this.shelf.keep(this.held, true);
      say("lost-drawing", this.words.lost);
    }
  }

  /** @param {"box"|"polygon"|null} name */
  use(name) {
    this.#letGo();
    this.tool = this.isOurs ? name : null;
    this.bench.stage.setTool(this.tool && this.tools[this.tool]);
    this.takers.forEach((taker) => taker());
    if (this.tool) {
      this.bench.stage.root.focus({ preventScroll: true });
      this.say(`${this.tool}_tool`);
    }
    this.refresh();
  }

  /** @param {"box"|"polygon"} name */
  toggle(name) {
    this.use(this.tool === name ? null : name);
    if (this.tool === null) {
      this.say("tool_off");
    }
  }

  /** Take the model's proposals of the view as own regions; how many. */
  take() {
    const { held, drawing, bench } = this;
    if (!held || !drawing || !this.isOurs) {
      return 0;
    }
    const codes = new Set(bench.classesOf(held).map(({ code }) => code));
    const mine = new Set(drawing.of(this.view).map((region) => nameOf(region)));
    const taken = this.proposals()
      .map((proposal) => ({
        view: this.view,
        label: codes.has(proposal.label) ? proposal.label : null,
        ...within(ownShape(proposal), bench.stage.image),
      }))
      .filter((region) => "box" in region && !mine.has(nameOf(/** @type {Shape} */ (region))))
      .slice(0, Math.max(0, MOST_REGIONS - drawing.regions.length));
    drawing.add(.../** @type {Omit<Drawn, "id">[]} */ (taken));
    this.say(taken.length > 0 ? "taken" : "none_to_take", { n: taken.length });
    this.changed();
    return taken.length;
  }

  /** @param {1|-1} way */
  step(way) {
    const views = this.held?.task.views.map(({ view }) => view) ?? [];
    const next = this.drawing?.step(way, views);
    if (next) {
      this.choose(next);
    } else {
      this.say("nothing_drawn");
    }
  }

  /** Select a region, on its own view. @param {Drawn} region */
  choose(region) {
    const index = this.held?.task.views.findIndex(({ view }) => view === region.view) ?? -1;
    if (index >= 0 && region.view !== this.view) {
      this.bench.showView(index);
    }
    this.drawing?.select(region.id);
    this.say("selected");
    this.refresh();
  }

  remove() {
    const { drawing } = this;
    if (drawing?.selected && this.isOurs) {
      drawing.remove(drawing.selected.id);
      this.say("deleted");
      this.changed();
    }
  }

  /** @param {"undo"|"redo"} way */
  travel(way) {
    if (this.drawing && this.isOurs) {
      this.preview = null;
      this.tools.polygon.next = null;
      this.say(this.drawing[way]() ? `${way}_done` : `${way}_none`);
      this.changed();
    }
  }

  restore() {
    if (this.held && this.isOurs) {
      this.say("restored", { n: this.shelf.takeOffer(this.held) });
      this.refresh();
    }
  }

  /** What a verdict carries. @param {Held} held */
  regionsOf(held) {
    const drawing = this.shelf.of(held);
    return drawing ? told(drawing, held.choice.defectClass) : [];
  }

  /** A verdict has arrived. @param {string} task */
  settled(task) {
    this.shelf.drafts.remove(task);
  }

  /** @param {string} word @param {Record<string, string|number>} [facts] */
  say(word, facts = {}) {
    const selected = this.drawing?.selected;
    const { x = 0, y = 0 } = selected ? boundsOf(selected) : {};
    const region = selected ? `${this.#nameOf(selected)}, ${sizeOf(selected)}, ${x}, ${y}` : "";
    const texts = Object.entries({ region, view: selected?.view ?? "", ...facts });
    const words = fill(
      this.words[word] ?? "",
      Object.fromEntries(texts.map(([name, fact]) => [name, String(fact)])),
    );
    say("drawing-said", words.trim());
  }

  changed() {
    if (this.held) {
      this.shelf.keep(this.held);
    }
    this.refresh();
  }

  refresh() {
    const { drawing, held } = this;
    const names = (/** @type {Drawn} */ region) => this.#nameOf(region);
    const regions = drawing?.regions ?? [];
    this.list.show(regions, drawing?.selectedId ?? null, names);
    byId("drawn-none").hidden = regions.length > 0;
    byId("drawn-acts").hidden = regions.length === 0;
    byId("drawn-before").hidden = !this.shelf.offer || held === null;
    say("drawn-hint", this.tool ? this.words[`${this.tool}_hint`] : "");
    for (const name of /** @type {const} */ (["box", "polygon"])) {
      byId(`tool-${name}`).setAttribute("aria-pressed", String(this.tool === name));
    }
    byId("tool-undo").disabled = !drawing?.canUndo;
    byId("tool-redo").disabled = !drawing?.canRedo;
    this.marks = (drawing?.of(this.view) ?? []).map((region) => ({
      shape: region,
      words: names(region),
      isSelected: region.id === drawing?.selectedId,
    }));
    this.layer.canvas.dataset.drawn = String(this.marks.length);
    this.bench.stage.paintSoon();
  }

  /** What the model proposes on the view that is shown. */
  proposals() {
    return this.held?.task.views.findLast(({ view }) => view === this.view)?.regions ?? [];
  }

  /** @param {{label: string|null}} region */
  #nameOf({ label }) {
    const code = label ?? this.held?.choice.defectClass ?? null;
    return code === null ? this.words.no_class : this.bench.className(code);
  }

  #scene() {
    const { points, next } = this.tools.polygon;
    return {
      drawn: this.marks,
      preview: this.preview,
      line: points,
      next: this.tool === "polygon" ? next : null,
      cursor: this.cursor,
      handles: this.isOurs ? this.handles : 0,
    };
  }

  /** @returns {import("./tools.js").Board} */
  #board() {
    const { stage } = this.bench;
    return {
      drawing: () => this.drawing ?? new Drawing(),
      view: () => this.view,
      image: () => stage.image,
      scale: () => stage.imageScale,
      label: () => this.pen,
      preview: (shape) => {
        this.preview = shape;
        stage.paintSoon();
      },
      changed: () => this.changed(),
      finished: () => this.finishers.forEach((finisher) => finisher()),
      say: (word) => this.say(word),
    };
  }
}

/** @param {import("../types.js").Region} proposal @returns {Shape} the outline where there is one */
function ownShape({ box, polygon }) {
  if (polygon && polygon.length >= 3 && polygon.length <= MOST_POINTS) {
    return { box: null, polygon };
  }
  const { x, y, width, height } = boundsOf({ box, polygon });
  return { box: box ?? [x, y, width, height], polygon: null };
}

/** @param {Shape} shape */
function nameOf({ box, polygon }) {
  return JSON.stringify([box, polygon]);
}

/** @param {string} id @returns {Record<string, string>} */
function wordsOf(id) {
  const words = [...byId(id).querySelectorAll("[data-word]")];
  return Object.fromEntries(
    words.map((each) => [each.getAttribute("data-word") ?? "", each.textContent ?? ""]),
  );
}

/** @returns {Storage|null} null where the browser forbids it */
function ownStorage() {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}
