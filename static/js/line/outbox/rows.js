// The presses on the disk, together with what a press does to its task on the shelf.

import { DiskHangs } from "./database.js";
import { CACHE } from "./images.js";
import { subjectOf } from "./order.js";

/** @typedef {import("./types.js").Row} Row */
/** @typedef {import("./types.js").Answer} Answer */
/** @typedef {import("./types.js").ConflictRow} ConflictRow */
/** @typedef {import("./types.js").Shelved} Shelved */
/** @typedef {import("./database.js").Database} Database */

/** The task was decided on this tablet before, perhaps in another tab. Nothing was kept. */
export class DecidedHere extends Error {}

export class Rows {
  /** @param {Database} database @param {() => Promise<unknown>} makeRoom on a full disk */
  constructor(database, makeRoom = async () => globalThis.caches?.delete(CACHE)) {
    this.database = database;
    this.makeRoom = makeRoom;
  }

  /**
   * Pictures give way to what is written here.
   * @template T
   * @param {string[]} stores @param {(tx: IDBTransaction) => () => T} act
   * @returns {Promise<T>}
   */
  async #write(stores, act) {
    try {
      return await this.database.write(stores, act);
    } catch (error) {
      if (/** @type {DOMException} */ (error).name !== "QuotaExceededError") {
        throw error;
      }
      await this.makeRoom();
      return this.database.write(stores, act);
    }
  }

  /**
   * Rejects with DecidedHere where a verdict on the task stands already.
   * @param {Omit<Row, "seq">} row
   * @returns {Promise<Row>} once it is on the disk
   */
  async add(row) {
    let isDecided = false;
    const adding = this.#write(["rows", "tasks"], (tx) => {
      const asked = tx.objectStore("rows").add(row);
      change(tx, row.body.task, (shelved) => {
        isDecided = isStale(shelved, row);
        if (isDecided) {
          tx.abort();
          return undefined;
        }
        return pressed(shelved, row);
      });
      return () => /** @type {number} */ (asked.result);
    });
    const kept = (/** @type {number} */ seq) => ({ ...row, seq });
    const seq = await adding.catch((error) => {
      if (error instanceof DiskHangs && error.later) {
        throw new DiskHangs(error.later.then(kept));
      }
      throw isDecided ? new DecidedHere(row.body.task) : error;
    });
    return kept(seq);
  }

  /** @returns {Promise<Row[]>} in the order of the presses */
  all() {
    return this.database.all("rows");
  }

  /** @returns {Promise<ConflictRow[]>} */
  conflicts() {
    return this.database.all("conflicts");
  }

  /** Somebody has read it. @param {string} key @returns {Promise<void>} */
  acknowledge(key) {
    return this.database.write(["conflicts"], (tx) => {
      tx.objectStore("conflicts").delete(key);
      return () => undefined;
    });
  }

  /**
   * The server named these: they leave, and a conflict is kept for people to see.
   * @param {Row[]} batch @param {Map<string, Answer>} answers
   * @returns {Promise<void>}
   */
  settle(batch, answers) {
    return this.#write(["rows", "conflicts", "tasks"], (tx) => {
      for (const row of batch) {
        const answer = answers.get(row.key);
        if (answer) {
          letGo(tx, row, answer);
        }
      }
      return () => undefined;
    });
  }
}

/** @param {IDBTransaction} tx @param {Row} row @param {Answer} answer */
function letGo(tx, row, answer) {
  tx.objectStore("rows").delete(row.seq);
  if (answer.state === "conflict") {
    tx.objectStore("conflicts").put({
      key: row.key,
      kind: row.kind,
      body: row.body,
      made_at: new Date(row.mark.wall).toISOString(),
      sentence: typeof answer.sentence === "string" ? answer.sentence : "",
    });
  }
  if (answer.state !== "applied") {
    // Others have the task, unless it was leased to this tablet anew since.
    const last = row.body.fence + 1;
    change(tx, row.body.task, (shelved) => (shelved.task.fence <= last ? null : shelved));
  }
}

/**
 * @param {IDBTransaction} tx @param {string|undefined} task
 * @param {(shelved: Shelved) => Shelved|null|undefined} how null takes it off the shelf,
 *   undefined leaves it
 */
function change(tx, task, how) {
  if (!task) {
    return;
  }
  const tasks = tx.objectStore("tasks");
  const asked = tasks.get(task);
  asked.onsuccess = () => {
    const changed = asked.result && how(asked.result);
    if (changed) {
      tasks.put(changed);
    } else if (changed === null) {
      tasks.delete(task);
    }
  };
}

/**
 * Whether a verdict was pressed on a screen that is behind: the task is decided, or was taken back.
 * @param {Shelved} shelved @param {Omit<Row, "seq">} row
 */
export function isStale(shelved, row) {
  return row.kind !== "undo" && (shelved.decided !== null || shelved.task.fence !== row.body.fence);
}

/**
 * What a press makes of the task on the shelf.
 * @param {Shelved} shelved @param {Omit<Row, "seq">} row
 * @returns {Shelved}
 */
export function pressed(shelved, row) {
  if (row.kind === "undo") {
    const isIts = shelved.decided === row.body.decision_key;
    const task = { ...shelved.task, fence: row.body.fence + 1 };
    return isIts ? { ...shelved, task, decided: null } : shelved;
  }
  return { ...shelved, decided: row.key };
}

/**
 * The tasks on which the last word said here is a verdict or a refusal of one.
 * @param {Row[]} rows
 */
export function decidedIn(rows) {
  const decided = new Map();
  for (const row of rows) {
    if (row.body.task) {
      decided.set(subjectOf(row), row.kind === "undo" ? null : row.body.task);
    }
  }
  return new Set([...decided.values()].filter(Boolean));
}
