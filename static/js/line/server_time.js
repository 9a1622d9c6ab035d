// What time it is at the server: its last answer, and since then a clock that nobody can set.

const KEPT = "loupe-line-time";
// An answer's header tells whole seconds only, and every answer has been on its way.
const NEAR_MS = 2_000;
const KEEP_EVERY_MS = 10_000;

/** @typedef {{server: number, wall: number, steady: number}} Anchor one moment by three clocks, milliseconds */

export class ServerTime {
  /**
   * @param {{store: Pick<Storage, "getItem"|"setItem">, wall?: () => number, steady?: () => number,
   *   offset?: () => number}} options `offset`: seconds between the server's clock and the tablet's, as far
   *   as was ever measured; `steady`: goes on across pages of one browser, whatever the clock is set to
   */
  constructor({ store, wall, steady, offset = () => 0 }) {
    this.store = store;
    this.wall = wall ?? (() => Date.now());
    this.steady = steady ?? (() => performance.timeOrigin + performance.now());
    this.offset = offset;
    this.anchor = this.#kept();
    this.keptAt = this.steady();
  }

  /** Milliseconds since 1970, as the server counts them. */
  now() {
    return this.anchor
      ? this.anchor.server + Math.max(0, this.steady() - this.anchor.steady)
      : this.wall() + this.offset() * 1000;
  }

  /** The server has just told its time. @param {string|null|undefined} told */
  heard(told) {
    const server = Date.parse(told ?? "");
    if (!Number.isNaN(server) && !(this.anchor && Math.abs(server - this.now()) < NEAR_MS)) {
      this.#stand(server);
    }
  }

  /** Now and then: for a page that is opened without network. */
  tick() {
    if (this.anchor && this.steady() - this.keptAt >= KEEP_EVERY_MS) {
      this.#stand(this.now());
    }
  }

  /** @param {number} server */
  #stand(server) {
    this.anchor = { server, wall: this.wall(), steady: this.steady() };
    this.keptAt = this.anchor.steady;
    try {
      this.store.setItem(KEPT, JSON.stringify(this.anchor));
    } catch {
      // Then the tablet's own clock has to do when the page is opened.
    }
  }

  /** @returns {Anchor|null} what another page knew, as of now */
  #kept() {
    try {
      const { server, wall, steady } = JSON.parse(this.store.getItem(KEPT) ?? "null");
      if (![server, wall, steady].every(Number.isFinite)) {
        return null;
      }
      const now = { wall: this.wall(), steady: this.steady() };
      return { server: server + passed(now.wall - wall, now.steady - steady), ...now };
    } catch {
      return null;
    }
  }
}

/**
 * A browser started anew takes its steady clock from the tablet's: of the two, the one that was set ahead
 * tells too much, and one that was set back less than nothing.
 * @param {number} byWall @param {number} bySteady milliseconds
 */
function passed(byWall, bySteady) {
  const possible = [byWall, bySteady].filter((each) => each >= 0);
  return possible.length > 0 ? Math.min(...possible) : 0;
}
