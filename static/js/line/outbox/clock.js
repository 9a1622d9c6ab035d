// How long ago something was, on a tablet whose clock may be wrong or set while it runs.

/** @typedef {import("./types.js").Mark} Mark */
/** @typedef {{offset_s: number, within_s: number, at: number}} Measured `at`: tablet's clock, ms */

/** The tablet's clock is told to be off from here on. */
export const SKEW_S = 5;
const STALE_MS = 600_000;

export class Clock {
  /**
   * @param {{wall?: () => number, mono?: () => number, epoch?: string,
   *   known?: Measured|null, onMeasured?: (measured: Measured) => void}} options
   */
  constructor({ wall, mono, epoch, known = null, onMeasured = () => {} } = {}) {
    this.wall = wall ?? (() => Date.now());
    this.mono = mono ?? (() => performance.now());
    /** Marks of one epoch can be compared by the clock that is never set. */
    this.epoch = epoch ?? `${performance.timeOrigin}/${Math.random()}`;
    this.measured = known;
    this.onMeasured = onMeasured;
  }

  /** @returns {Mark} */
  mark() {
    return {
      wall: this.wall(),
      mono: this.mono(),
      epoch: this.epoch,
      offset_s: this.offset_s,
    };
  }

  /** Server's clock minus the tablet's, as last measured. */
  get offset_s() {
    return this.measured ? this.measured.offset_s : null;
  }

  /** How far the tablet's clock is off, in seconds, when that is more than can be let pass. */
  get skew_s() {
    if (!this.measured) {
      return null;
    }
    const { offset_s: offset, within_s: within } = this.measured;
    return Math.abs(offset) - within > SKEW_S ? offset : null;
  }

  /**
   * The server told its time in an answer; it was somewhere between question and answer.
   * @param {string} serverTime ISO
   * @param {Mark} asked
   */
  heard(serverTime, asked) {
    const server = Date.parse(serverTime);
    const trip = this.mono() - asked.mono;
    if (Number.isNaN(server) || asked.epoch !== this.epoch || trip < 0) {
      return;
    }
    const now = this.wall();
    const measured = {
      offset_s: (server - (now - trip / 2)) / 1000,
      within_s: trip / 2000,
      at: now,
    };
    if (isBetter(measured, this.measured)) {
      this.measured = measured;
      this.onMeasured(measured);
    }
  }

  /**
   * Seconds since a mark. Across reloads, and where the tablet slept, the wall clocks must do.
   * @param {Mark} mark
   * @returns {{seconds: number, clock: "monotonic"|"wall"}}
   */
  since(mark) {
    const before = mark.offset_s ?? this.offset_s ?? 0;
    const now = this.offset_s ?? before;
    const byWall = Math.max(0, (this.wall() - mark.wall) / 1000 + now - before);
    if (mark.epoch !== this.epoch) {
      return { seconds: byWall, clock: "wall" };
    }
    const byMono = Math.max(0, (this.mono() - mark.mono) / 1000);
    // The clock that is never set may stand still while the tablet sleeps. The wall clocks tell
    // that only when both ends were compared with the server's.
    const isCompared = mark.offset_s !== null && this.offset_s !== null;
    const wasSet = Math.abs(now - before) > SKEW_S;
    const hasSlept = isCompared && !wasSet && byWall - byMono > SKEW_S && this.#isFresh(mark);
    return hasSlept
      ? { seconds: byWall, clock: "wall" }
      : { seconds: byMono, clock: "monotonic" };
  }

  /** Whether the server was asked after the mark was made. @param {Mark} mark */
  #isFresh(mark) {
    return this.measured !== null && this.measured.at > mark.wall;
  }
}

/**
 * The narrower measurement wins; an old one, or one that cannot be true any more, gives way.
 * @param {Measured} measured @param {Measured|null} before
 */
function isBetter(measured, before) {
  if (!before || measured.within_s <= before.within_s) {
    return true;
  }
  const apart = Math.abs(measured.offset_s - before.offset_s);
  return (
    apart > measured.within_s + before.within_s + 1 ||
    Math.abs(measured.at - before.at) > STALE_MS
  );
}
