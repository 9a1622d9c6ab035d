// The tasks this tablet was leased ahead, ready for a time without network.

import { Images } from "./images.js";
import { decidedIn } from "./rows.js";

/** @typedef {import("./types.js").Task} Task */
/** @typedef {import("./types.js").View} View */
/** @typedef {import("./types.js").Row} Row */
/** @typedef {import("./types.js").Shelved} Shelved */
/** @typedef {{tasks: Task[], lost: string[]}} Claimed `lost`: had, but no longer the tablet's */
/** @typedef {(have: string[], count: number) => Promise<Claimed|null>} Claim null: no answer */

// The leases of what lies ready are renewed, so that it is good for long when the network goes.
const RENEW_AFTER_S = 120;
// The server reads no more.
const MOST_NAMED = 240;

export class Shelf {
  /**
   * @param {{database: import("./database.js").Database, clock: import("./clock.js").Clock,
   *   images?: Images, ahead?: number}} options `ahead`: how many are kept ready
   */
  constructor({ database, clock, images = new Images(), ahead = 20 }) {
    this.database = database;
    this.clock = clock;
    this.images = images;
    this.ahead = ahead;
    /** @type {Promise<void>|null} */
    this.filling = null;
    /** What was asked for before the shelf was emptied does not come onto it. */
    this.emptied = 0;
  }

  /**
   * What can be judged now, in the order it was leased.
   * @param {{isReached?: boolean}} how not reached: only what has all its pictures here
   * @returns {Promise<Task[]>}
   */
  async tasks({ isReached = true } = {}) {
    const [shelved, rows] = await this.#all();
    const tasks = open(shelved, rows, this.clock).map(({ task }) => task);
    if (isReached || !this.images.caches) {
      return tasks;
    }
    const kept = await this.images.captures();
    return tasks.filter(({ views }) => views.every(({ capture }) => kept.has(capture)));
  }

  /**
   * Lease up to the number kept ready, and fetch their pictures.
   * @param {{claim: Claim, onLeased?: () => unknown}} options `onLeased`: what came can be judged,
   *   its pictures are still on their way onto the tablet
   */
  refill({ claim, onLeased = () => {} }) {
    if (!this.filling) {
      const filling = this.#refill(claim, onLeased).finally(() => {
        this.filling = this.filling === filling ? null : this.filling;
      });
      this.filling = filling;
    }
    return this.filling;
  }

  /** @param {Claim} claim @param {() => unknown} onLeased */
  async #refill(claim, onLeased) {
    const { emptied } = this;
    await this.#sweep();
    const [shelved, rows] = await this.#all();
    const ready = open(shelved, rows, this.clock);
    const count = this.ahead - ready.length;
    const isOld = ready.some(({ leased }) => this.clock.since(leased).seconds > RENEW_AFTER_S);
    if (count > 0 || isOld) {
      const leased = this.clock.mark();
      // What was decided here and is on its way is not to be given out again.
      const known = [...new Set([...ready.map(({ id }) => id), ...decidedIn(rows)])];
      const have = new Set(known.slice(0, MOST_NAMED));
      const claimed = await claim([...have], Math.max(0, count));
      if (claimed && emptied === this.emptied) {
        // What was taken back and is on its way is not lost, though the server may not know yet.
        const pressed = new Set(rows.map(({ body }) => body.task));
        const sure = ready.filter(({ id }) => !pressed.has(id));
        const fences = new Map(sure.map(({ id, task }) => [id, task.fence]));
        await this.#put(claimed, have, fences, leased);
        onLeased();
      }
    }
    await this.#fetchPictures(emptied);
  }

  /**
   * @param {Claimed} claimed @param {Set<string>} had what was asked to be renewed
   * @param {Map<string, number>} fences of what may be lost, as they were then
   * @param {import("./types.js").Mark} leased before the question: the lease cannot be shorter
   * @returns {Promise<void>}
   */
  #put({ tasks, lost }, had, fences, leased) {
    return this.database.write(["rows", "tasks"], (tx) => {
      const kept = tx.objectStore("tasks");
      const shelved = kept.getAll();
      const rows = tx.objectStore("rows").getAll();
      rows.onsuccess = () => {
        // Asked for before, answered after it was decided here: it stays decided.
        const decided = decidedIn(rows.result);
        const gone = new Set(lost);
        for (const one of shelved.result) {
          const isAsBefore = one.decided === null && fences.get(one.id) === one.task.fence;
          if (gone.has(one.id) && isAsBefore) {
            kept.delete(one.id);
          } else if (had.has(one.id)) {
            kept.put({ ...one, leased });
          }
        }
        newlyShelved(tasks, shelved.result, decided).forEach((one) => kept.put({ ...one, leased }));
      };
      return () => undefined;
    });
  }

  /** @param {number} emptied how often, when it was begun */
  async #fetchPictures(emptied) {
    const kept = await this.images.captures();
    const views = (await this.tasks()).flatMap((task) => task.views);
    for (const view of views.filter(({ capture }) => !kept.has(capture))) {
      if (emptied !== this.emptied) {
        return;
      }
      const said = await this.images.keep(view);
      if (emptied !== this.emptied) {
        await this.images.drop(view);
      }
      if (said === "full") {
        return;
      }
    }
  }

  /** @param {Task} _task @param {View} view @returns {Promise<string>} */
  async imageUrl(_task, view) {
    return (await this.images.url(view)) ?? view.image_url;
  }

  /** Nobody is at the tablet any more: nothing to be seen stays. */
  async empty() {
    this.emptied += 1;
    this.filling = null;
    await this.database.write(["tasks"], (tx) => {
      tx.objectStore("tasks").clear();
      return () => undefined;
    });
    await this.images.empty();
  }

  /** Drop what its lease has outlived, and pictures that belong to nothing. */
  async #sweep() {
    const [shelved, rows] = await this.#all();
    const decided = decidedIn(rows);
    const gone = shelved.filter((one) => isOver(one, this.clock) && !decided.has(one.id));
    await this.database.write(["tasks"], (tx) => {
      gone.forEach(({ id }) => tx.objectStore("tasks").delete(id));
      return () => undefined;
    });
    const left = open(shelved, rows, this.clock).flatMap(({ task }) => task.views);
    await this.images.keepOnly(new Set(left.map(({ capture }) => capture)));
  }

  /** @returns {Promise<[Shelved[], Row[]]>} */
  #all() {
    return this.database.read(["tasks", "rows"], (tx) => {
      const tasks = tx.objectStore("tasks").getAll();
      const rows = tx.objectStore("rows").getAll();
      return () => [tasks.result, rows.result];
    });
  }
}

/**
 * What comes onto the shelf of the tasks leased now. An answer may be older than a verdict here:
 * what is decided stays decided.
 * @param {Task[]} tasks @param {Shelved[]} shelved @param {Set<string>} decided
 */
export function newlyShelved(tasks, shelved, decided) {
  const known = new Map(shelved.map((one) => [one.id, one]));
  const last = Math.max(0, ...shelved.map(({ place }) => place));
  return tasks.flatMap((task, number) => {
    const before = known.get(task.id);
    const least = before ? before.task.fence + (before.decided === null ? 0 : 1) : 0;
    const place = before?.place ?? last + 1 + number;
    return task.fence < least || decided.has(task.id) ? [] : [{ id: task.id, task, place, decided: null }];
  });
}

/** @param {Shelved} shelved @param {import("./clock.js").Clock} clock */
function isOver({ task, leased }, clock) {
  return clock.since(leased).seconds >= task.lease_s;
}

/**
 * What is leased and not decided here, first come first.
 * @param {Shelved[]} shelved @param {Row[]} rows @param {import("./clock.js").Clock} clock
 */
export function open(shelved, rows, clock) {
  const decided = decidedIn(rows);
  return shelved
    .filter((one) => one.decided === null && !decided.has(one.id) && !isOver(one, clock))
    .sort((one, other) => one.place - other.place);
}
