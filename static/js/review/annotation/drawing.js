// What a person has drawn on one unit, over all its views; every step can be taken back. Pure.

/**
 * @typedef {import("./geometry.js").Shape} Shape
 * @typedef {Shape & {id: string, view: string, label: string|null}} Drawn `label` null: of the
 *   class that the verdict names
 * @typedef {{view: string, points: number[][]}} Pending a polygon not closed yet
 * @typedef {{regions: readonly Drawn[], selected: string|null}} Moment
 */

export class Drawing {
  /** @param {readonly Drawn[]} [regions] @param {Pending|null} [pending] */
  constructor(regions = [], pending = null) {
    /** @type {readonly Drawn[]} */
    this.regions = regions;
    this.pending = pending;
    /** @type {string|null} */
    this.selectedId = null;
    /** @type {Moment[]} */
    this.past = [];
    /** @type {Moment[]} */
    this.future = [];
    this.token = "";
    this.count = regions.reduce((most, { id }) => Math.max(most, Number(id) || 0), 0);
  }

  get selected() {
    return this.regions.find(({ id }) => id === this.selectedId) ?? null;
  }

  get isEmpty() {
    return this.regions.length === 0 && this.pending === null;
  }

  get canUndo() {
    return this.past.length > 0 || this.pending !== null;
  }

  get canRedo() {
    return this.future.length > 0;
  }

  /** @param {string} view */
  of(view) {
    return this.regions.filter((region) => region.view === view);
  }

  /** @param {string|null} id */
  select(id) {
    this.selectedId = this.regions.some((region) => region.id === id) ? id : null;
    this.token = "";
  }

  /**
   * Add shapes as one step; the last is selected.
   * @param {(Shape & {view: string, label: string|null})[]} shapes
   */
  add(...shapes) {
    if (shapes.length === 0) {
      return;
    }
    this.#remember("");
    const made = shapes.map(({ view, label, box, polygon }) => {
      this.count += 1;
      return { id: String(this.count), view, label, box, polygon };
    });
    this.regions = [...this.regions, ...made];
    this.selectedId = made[made.length - 1].id;
  }

  /**
   * Give a region another shape.
   * @param {string} id @param {Shape} shape
   * @param {string} [token] steps of the same token, one after the other, are taken back as one
   */
  reshape(id, { box, polygon }, token = "") {
    this.#change(id, { box, polygon }, token && `${token}/${id}`);
  }

  /** @param {string} id @param {string|null} label */
  relabel(id, label) {
    this.#change(id, { label }, "");
  }

  /** @param {string} id */
  remove(id) {
    const index = this.regions.findIndex((region) => region.id === id);
    if (index < 0) {
      return;
    }
    const { view } = this.regions[index];
    this.#remember("");
    this.regions = this.regions.filter((region) => region.id !== id);
    const left = this.regions.slice(index).concat(this.regions.slice(0, index));
    this.selectedId = left.find((region) => region.view === view)?.id ?? null;
  }

  /** The point drawn last of the open polygon, or else the last step. */
  undo() {
    if (this.pending) {
      this.takePoint();
      return true;
    }
    return this.#travel(this.past, this.future);
  }

  redo() {
    return this.pending === null && this.#travel(this.future, this.past);
  }

  /** @param {string} view @param {number[]} point */
  addPoint(view, point) {
    const points = this.pending?.view === view ? this.pending.points : [];
    this.pending = { view, points: [...points, point] };
  }

  takePoint() {
    const { view = "", points = [] } = this.pending ?? {};
    this.pending = points.length > 1 ? { view, points: points.slice(0, -1) } : null;
  }

  /** @param {string|null} label makes a region of the open polygon */
  close(label) {
    if (this.pending) {
      const { view, points } = this.pending;
      this.pending = null;
      this.add({ view, label, box: null, polygon: points });
    }
  }

  /**
   * The region after the selected one, or before it.
   * @param {number} way 1 or -1 @param {string[]} views in the order of the unit's views
   */
  step(way, views) {
    const all = views.flatMap((view) => this.of(view));
    const at = all.findIndex(({ id }) => id === this.selectedId);
    const first = way > 0 ? 0 : all.length - 1;
    const next = all.length ? all[at < 0 ? first : (at + way + all.length) % all.length] : null;
    this.select(next?.id ?? null);
    return next;
  }

  /** @param {string} id @param {Partial<Drawn>} fields @param {string} token */
  #change(id, fields, token) {
    this.#remember(token);
    this.regions = this.regions.map((each) => (each.id === id ? { ...each, ...fields } : each));
  }

  /** @param {string} token */
  #remember(token) {
    if (!token || token !== this.token) {
      this.past.push({ regions: this.regions, selected: this.selectedId });
    }
    this.future = [];
    this.token = token;
  }

  /** @param {Moment[]} from @param {Moment[]} to */
  #travel(from, to) {
    const moment = from.pop();
    if (!moment) {
      return false;
    }
    to.push({ regions: this.regions, selected: this.selectedId });
    this.regions = moment.regions;
    this.select(moment.selected);
    return true;
  }
}

/**
 * What is sent with a verdict.
 * @param {Drawing} drawing @param {string|null} defectClass that the verdict names
 * @returns {{view: string, label: string, box?: number[], polygon?: number[][]}[]}
 */
export function told(drawing, defectClass) {
  return drawing.regions.map(({ view, label, box, polygon }) => ({
    view,
    label: label ?? defectClass ?? "",
    ...(box ? { box } : { polygon: polygon ?? [] }),
  }));
}
