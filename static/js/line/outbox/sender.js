// One pass over what waits: batch after batch, in order, until nothing is left or nothing goes.

import { BATCH, answersTo, nextBatch } from "./order.js";

/** @typedef {import("./types.js").Row} Row */
/** @typedef {import("./types.js").Reply} Reply */
/** @typedef {import("./types.js").Answer} Answer */
/** @typedef {import("./types.js").Message} Message */
/** @typedef {{all: () => Promise<Row[]>,
 *   settle: (batch: Row[], answers: Map<string, Answer>) => Promise<void>}} Kept */

const LOCK = "loupe-line-drain";
// Who has the lock for longer may be a tab that the browser has stopped.
const PATIENCE_MS = 180_000;
// Said of the whole call because of what one press says: the others are sent without it.
const ABOUT_CONTENT = new Set([400, 413, 422]);
// The server's own fault: with one press alone it may be that press, with a second one it is not.
const FAULT = 500;

export class Sender {
  /**
   * @param {{rows: Kept, clock: import("./clock.js").Clock,
   *   post: (body: {rows: Message[]}) => Promise<Reply>,
   *   onAnswers?: (answers: Answer[]) => void, locks?: LockManager, patience?: number}} options
   */
  constructor({ rows, clock, post, onAnswers = () => {}, locks, patience = PATIENCE_MS }) {
    this.rows = rows;
    this.clock = clock;
    this.post = post;
    this.onAnswers = onAnswers;
    this.locks = locks;
    this.patience = patience;
  }

  /**
   * One pass, while no other tab and no worker makes one.
   * @returns {Promise<{isDone: boolean, reply: Reply|null}>} whether all has gone, and what stopped it
   */
  async pass() {
    return this.locks ? this.#inTurn(this.locks) : this.#pass();
  }

  /**
   * The lock is taken from who does not give it back: should he go on, the server counts each press once.
   * @param {LockManager} locks
   */
  async #inTurn(locks) {
    const waited = new AbortController();
    const timer = setTimeout(() => waited.abort(), this.patience);
    const go = () => {
      clearTimeout(timer);
      return this.#pass();
    };
    try {
      return await locks.request(LOCK, { signal: waited.signal }, go);
    } catch (error) {
      if (!waited.signal.aborted) {
        throw error;
      }
      return await locks.request(LOCK, { steal: true }, go);
    } finally {
      clearTimeout(timer);
    }
  }

  async #pass() {
    const aside = new Set();
    let size = BATCH;
    let faults = 0;
    for (;;) {
      const batch = nextBatch(await this.rows.all(), { size, aside });
      if (batch.length === 0) {
        return { isDone: aside.size === 0, reply: null };
      }
      const reply = await this.post({ rows: batch.map((row) => message(row, this.clock)) });
      const named = reply.status === 200 ? answersTo(batch, reply.body) : null;
      if (named) {
        await this.#settle(batch, named, aside);
        size = BATCH;
      } else if (!ABOUT_CONTENT.has(reply.status) && reply.status !== FAULT) {
        return { isDone: false, reply };
      } else if (batch.length === 1) {
        faults += reply.status === FAULT ? 1 : 0;
        if (faults > 1) {
          return { isDone: false, reply };
        }
        aside.add(batch[0].key);
      } else {
        size = Math.ceil(batch.length / 2);
      }
    }
  }

  /** @param {Row[]} batch @param {Map<string, Answer>} named @param {Set<string>} aside */
  async #settle(batch, named, aside) {
    if (named.size > 0) {
      await this.rows.settle(batch, named);
      this.onAnswers([...named.values()]);
    }
    // What the server did not name stays, and does not stop the others in this pass.
    batch.filter((row) => !named.has(row.key)).forEach((row) => aside.add(row.key));
  }
}

/**
 * A press as it is sent now.
 * @param {Row} row @param {import("./clock.js").Clock} clock
 * @returns {Message}
 */
export function message(row, clock) {
  const { seconds, clock: by } = clock.since(row.mark);
  return {
    schema: row.schema,
    key: row.key,
    kind: row.kind,
    attendance: row.attendance,
    made_at: new Date(row.mark.wall).toISOString(),
    age_s: Math.round(seconds * 1000) / 1000,
    clock: by,
    offset_s: row.mark.offset_s ?? clock.offset_s,
    app: row.app,
    body: row.body,
  };
}
