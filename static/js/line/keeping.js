// What the tablet keeps on its disk: presses until they have arrived, tasks for a time without network.

import { Database } from "./outbox/database.js";
import { Outbox } from "./outbox/outbox.js";
import { Shelf } from "./outbox/shelf.js";

const REFILL_EVERY_MS = 60_000;

/** @typedef {{outbox: Outbox, shelf: Shelf}} Kept */

/**
 * Rejects where the browser lets the page keep nothing.
 * @param {import("./types.js").PageFacts} page
 * @param {{onHealth: (isAnswering: boolean) => void}} does `onHealth`: the disk has stopped answering, or
 *   writes again, also when it did not while this was opened
 * @returns {Promise<Kept>}
 */
export async function openKept(page, { onHealth }) {
  const outbox = await Outbox.open({ app: page.app, database: new Database({ onHealth }) });
  const shelf = new Shelf({ database: outbox.database, clock: outbox.clock, ahead: page.ahead });
  return { outbox, shelf };
}

/** Keeps the shelf full while somebody is at the tablet. */
export class Refilling {
  /**
   * @param {{shelf: Shelf, api: import("./api.js").Api, mayClaim: () => boolean,
   *   onFilled: () => Promise<unknown>, onRefused: () => void}} parts
   */
  constructor({ shelf, api, mayClaim, onFilled, onRefused }) {
    this.shelf = shelf;
    this.api = api;
    this.mayClaim = mayClaim;
    this.onFilled = onFilled;
    this.onRefused = onRefused;
    setInterval(() => void this.now(), REFILL_EVERY_MS);
  }

  async now() {
    try {
      if (this.mayClaim()) {
        await this.shelf.refill({
          claim: (have, count) => this.#claim(have, count),
          // A picture that is slow keeps no unit from the screen.
          onLeased: () => void this.#filled(),
        });
      }
    } catch (error) {
      // The disk refused for now; what lies there can be judged all the same.
      console.error(error);
    }
    // Also without network a lease comes to its end.
    await this.#filled();
  }

  async #filled() {
    try {
      await this.onFilled();
    } catch (error) {
      console.error(error);
    }
  }

  /** @param {string[]} have @param {number} count */
  async #claim(have, count) {
    try {
      return await this.api.claim({ have, count });
    } catch (error) {
      const { status } = /** @type {import("./api.js").LineError} */ (error);
      if (status === 401 || status === 403) {
        this.onRefused();
      }
      return null;
    }
  }
}
