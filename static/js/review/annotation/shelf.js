// The drawing of each unit at the bench: made when the unit is first shown, kept while its verdict
// can still be taken back, and drafted on this computer until the verdict has arrived.

import { Drawing } from "./drawing.js";

/**
 * @typedef {import("../types.js").Held} Held
 * @typedef {import("./drafts.js").Drafts} Drafts
 * @typedef {import("./drawing.js").Drawn} Drawn
 */

const MOST = 60;

export class Shelf {
  /** @param {Drafts} drafts */
  constructor(drafts) {
    this.drafts = drafts;
    /** @type {Map<string, Drawing>} */
    this.drawings = new Map();
    /** @type {{task: string, regions: Drawn[]}|null} drawn before the hold on the unit was lost */
    this.offer = null;
  }

  /** The drawing of a unit that comes on the screen. @param {Held} held */
  open(held) {
    const { id, views } = held.task;
    const draft = this.drafts.load(id);
    const isLost = draft?.isLost ?? false;
    const drawing =
      (isLost ? null : this.drawings.get(id)) ??
      new Drawing(isLost ? [] : draft?.regions, isLost ? null : draft?.pending);
    this.drawings.delete(id);
    this.drawings.set(id, drawing);
    if (this.drawings.size > MOST) {
      this.drawings.delete([...this.drawings.keys()][0]);
    }
    const before = isLost
      ? { task: id, draft }
      : this.drafts.sameImages(id, views.map(({ capture }) => capture));
    const names = new Set(views.map(({ view }) => view));
    const regions = (before?.draft?.regions ?? []).filter(({ view }) => names.has(view));
    this.offer = before && regions.length > 0 ? { task: before.task, regions } : null;
    this.keep(held);
    return drawing;
  }

  /** @param {Held|null} held */
  of(held) {
    return (held && this.drawings.get(held.task.id)) ?? null;
  }

  /** Draft the drawing as it is now. @param {Held} held @param {boolean} [isLost] */
  keep(held, isLost = false) {
    const drawing = this.of(held);
    const { id, views } = held.task;
    if (drawing && !drawing.isEmpty) {
      const captures = Object.fromEntries(views.map(({ view, capture }) => [view, capture]));
      const { regions, pending } = drawing;
      this.drafts.save(id, { captures, regions: [...regions], pending, isLost });
    } else if (drawing && this.offer?.task !== id) {
      this.drafts.remove(id);
    }
  }

  /** Put back what was drawn before; how many regions. @param {Held} held */
  takeOffer(held) {
    const { offer } = this;
    this.offer = null;
    if (!offer) {
      return 0;
    }
    this.of(held)?.add(...offer.regions);
    if (offer.task !== held.task.id) {
      this.drafts.remove(offer.task);
    }
    this.keep(held);
    return offer.regions.length;
  }
}
