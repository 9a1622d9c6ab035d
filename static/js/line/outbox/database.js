// What is on the tablet's disk. A write is done when the disk has it, not when it was asked for.

/** @typedef {import("./types.js").Row} Row */
/** @typedef {import("./types.js").Shelved} Shelved */
/** @typedef {import("./types.js").ConflictRow} ConflictRow */

const NAME = "loupe-line";
const VERSION = 1;
// A disk that takes longer is one on which nobody can rely.
const WITHIN_MS = 4_000;
const PROBE_EVERY_MS = 3_000;

/** The disk has not answered in time. */
export class DiskHangs extends DOMException {
  /** @param {Promise<any>|null} later what comes of it after all; null: nothing will */
  constructor(later) {
    super("the disk does not answer", "TimeoutError");
    this.later = later;
    later?.catch(() => {});
  }
}

export class Database {
  /**
   * @param {{indexedDB?: IDBFactory, version?: number, within?: number, probeEvery?: number,
   *   onHealth?: (isAnswering: boolean) => void}} options `onHealth`: told when the disk stops answering,
   *   and when it has written again
   */
  constructor({ indexedDB, version = VERSION, within = WITHIN_MS, probeEvery = PROBE_EVERY_MS, onHealth } = {}) {
    this.indexedDB = indexedDB ?? globalThis.indexedDB;
    this.version = version;
    this.within = within;
    this.probeEvery = probeEvery;
    this.onHealth = onHealth ?? (() => {});
    this.isAnswering = true;
    this.probing = 0;
    /** @type {Promise<IDBDatabase>|null} */
    this.opening = null;
  }

  /**
   * Change something, all of it or nothing.
   * @template T
   * @param {string[]} stores
   * @param {(tx: IDBTransaction) => () => T} act asks; what it returns reads the results afterwards
   * @returns {Promise<T>} once it is on the disk
   */
  write(stores, act) {
    return this.#transact(stores, "readwrite", act);
  }

  /**
   * @template T
   * @param {string[]} stores
   * @param {(tx: IDBTransaction) => () => T} act
   * @returns {Promise<T>}
   */
  read(stores, act) {
    return this.#transact(stores, "readonly", act);
  }

  /** @param {string} name @returns {Promise<any[]>} */
  all(name) {
    return this.read([name], (tx) => {
      const asked = tx.objectStore(name).getAll();
      return () => asked.result;
    });
  }

  /** @param {string} name @returns {Promise<any>} what was noted, or null */
  fact(name) {
    return this.read(["facts"], (tx) => {
      const asked = tx.objectStore("facts").get(name);
      return () => asked.result?.value ?? null;
    });
  }

  /** @param {string} name @param {any} value @returns {Promise<void>} */
  note(name, value) {
    return this.write(["facts"], (tx) => {
      tx.objectStore("facts").put({ name, value });
      return () => undefined;
    });
  }

  close() {
    clearTimeout(this.probing);
    const opened = this.opening;
    this.opening = null;
    opened?.then((db) => db.close()).catch(() => {});
  }

  /**
   * @template T
   * @param {string[]} stores @param {IDBTransactionMode} mode
   * @param {(tx: IDBTransaction) => () => T} act
   * @returns {Promise<T>}
   */
  async #transact(stores, mode, act) {
    const tx = await this.#begin(stores, mode);
    return this.#inTime(tx, this.#ended(tx, act));
  }

  /**
   * @template T
   * @param {IDBTransaction} tx @param {(tx: IDBTransaction) => () => T} act @returns {Promise<T>}
   */
  #ended(tx, act) {
    return new Promise((resolve, reject) => {
      tx.onabort = () => reject(tx.error ?? new DOMException("aborted", "AbortError"));
      try {
        const result = act(tx);
        tx.oncomplete = () => resolve(result());
      } catch (error) {
        reject(error);
        tx.abort();
      }
    });
  }

  /**
   * What the disk does not do in time is taken back, where it still can be. Only its end tells: some browsers that
   * have begun to write by themselves take an abort, and write on.
   * @template T
   * @param {IDBTransaction} tx @param {Promise<T>} ended @returns {Promise<T>}
   */
  #inTime(tx, ended) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        takeBack(tx);
        this.#hangs();
        reject(new DiskHangs(ended));
      }, this.within);
      ended.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }

  #hangs() {
    if (this.isAnswering) {
      this.isAnswering = false;
      this.onHealth(false);
      this.#probeLater();
    }
  }

  #probeLater() {
    clearTimeout(this.probing);
    this.probing = Number(setTimeout(() => void this.#probe(), this.probeEvery));
  }

  /** Only something written where the presses go shows that they can be kept again. */
  async #probe() {
    try {
      await this.write(["rows", "facts"], (tx) => {
        tx.objectStore("facts").put({ name: "probe", value: null });
        return () => undefined;
      });
      this.isAnswering = true;
      this.onHealth(true);
    } catch {
      this.#probeLater();
    }
  }

  /** @param {string[]} stores @param {IDBTransactionMode} mode */
  async #begin(stores, mode) {
    const options = { durability: /** @type {const} */ ("strict") };
    try {
      return (await this.#opened()).transaction(stores, mode, options);
    } catch (error) {
      if (/** @type {DOMException} */ (error).name !== "InvalidStateError") {
        throw error;
      }
      // The connection was closed under our hands: by a newer page, or by the browser.
      this.opening = null;
      return (await this.#opened()).transaction(stores, mode, options);
    }
  }

  /** @returns {Promise<IDBDatabase>} */
  #opened() {
    this.opening ??= this.#open(this.version).catch((error) => {
      this.opening = null;
      throw error;
    });
    return this.opening;
  }

  /** @param {number|undefined} version @returns {Promise<IDBDatabase>} */
  #open(version) {
    return new Promise((resolve, reject) => {
      const asked = this.indexedDB.open(NAME, version);
      let isLate = false;
      const timer = setTimeout(() => {
        isLate = true;
        reject(new DiskHangs(null));
        this.#hangs();
      }, this.within);
      asked.onupgradeneeded = () => build(asked.result);
      // A newer page has been here: what it added is left alone, the stores known here are there.
      asked.onerror = () => {
        clearTimeout(timer);
        const isOlder = asked.error?.name === "VersionError" && version !== undefined;
        return isOlder ? resolve(this.#open(undefined)) : reject(asked.error);
      };
      asked.onsuccess = () => {
        clearTimeout(timer);
        if (isLate) {
          asked.result.close();
        } else {
          resolve(this.#watched(asked.result));
        }
      };
    });
  }

  /** A newer page may change the database: nobody stands in its way. @param {IDBDatabase} db */
  #watched(db) {
    db.onversionchange = () => {
      db.close();
      this.opening = null;
    };
    db.onclose = () => {
      this.opening = null;
    };
    return db;
  }
}

/** @param {IDBTransaction} tx */
function takeBack(tx) {
  try {
    tx.abort();
  } catch {
    // It is being written, and may stand yet.
  }
}

/** The stores, as far as they are not there yet: rows outlive every version. @param {IDBDatabase} db */
function build(db) {
  const has = db.objectStoreNames;
  if (!has.contains("rows")) {
    const rows = db.createObjectStore("rows", { keyPath: "seq", autoIncrement: true });
    rows.createIndex("key", "key", { unique: true });
  }
  for (const [name, keyPath] of [["conflicts", "key"], ["tasks", "id"], ["facts", "name"]]) {
    if (!has.contains(name)) {
      db.createObjectStore(name, { keyPath });
    }
  }
}
