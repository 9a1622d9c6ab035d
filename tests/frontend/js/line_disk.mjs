// A disk in memory that acts as IndexedDB does: one transaction after the other, all of it or nothing.

/** What a browser says when the disk has no room. */
export function full() {
  return new DOMException("no room", "QuotaExceededError");
}

export class Disk {
  constructor() {
    this.stores = new Map();
    this.last = 0;
    this.turn = Promise.resolve();
    /** Asked before each transaction is complete; what it returns stands against it. */
    this.refuses = (_mode, _stores) => null;
    /** Hung while this is a promise: nothing comes to its end before. @type {Promise<void>|null} */
    this.hangs = null;
    /** Whether what hangs is past taking back. */
    this.isCommitting = false;
    /** Whether it says so: some browsers that began to write by themselves take an abort and write on. */
    this.isSilent = false;
  }

  open() {
    const request = {};
    queueMicrotask(() => {
      request.result = this.#connection();
      request.onupgradeneeded?.();
      request.onsuccess?.();
    });
    return request;
  }

  #connection() {
    const { stores } = this;
    return {
      objectStoreNames: { contains: (name) => stores.has(name) },
      createObjectStore: (name, { keyPath }) => {
        stores.set(name, { keyPath, kept: new Map() });
        return { createIndex: () => {} };
      },
      transaction: (names, mode) => this.#transaction(names, mode),
      close: () => {},
    };
  }

  #transaction(names, mode) {
    const asked = [];
    const tx = { error: null, isAborted: false };
    const ask = (act) => {
      const request = {};
      asked.push({ request, act });
      return request;
    };
    tx.abort = () => {
      if (tx.isEnding && this.isSilent) {
        return;
      }
      if (tx.isEnding) {
        throw new DOMException("it is being written", "InvalidStateError");
      }
      tx.isAborted = true;
    };
    tx.objectStore = (name) => this.#store(this.stores.get(name), ask);
    this.turn = this.turn.then(async () => {
      if (!this.isCommitting) {
        await this.hangs;
      }
      const before = new Map([...this.stores].map(([name, { kept }]) => [name, new Map(kept)]));
      await Promise.resolve();
      while (asked.length > 0 && !tx.isAborted) {
        const { request, act } = asked.shift();
        request.result = act();
        request.onsuccess?.();
      }
      tx.isEnding = this.isCommitting;
      await this.hangs;
      tx.error = this.refuses(mode, names);
      if (tx.isAborted || tx.error) {
        before.forEach((kept, name) => (this.stores.get(name).kept = kept));
        tx.onabort?.();
      } else {
        tx.oncomplete?.();
      }
    });
    return tx;
  }

  #store(store, ask) {
    const copy = (value) => (value === undefined ? undefined : structuredClone(value));
    return {
      getAll: () => ask(() => [...store.kept.values()].map(copy)),
      get: (key) => ask(() => copy(store.kept.get(key))),
      put: (value) => ask(() => void store.kept.set(value[store.keyPath], copy(value))),
      delete: (key) => ask(() => void store.kept.delete(key)),
      clear: () => ask(() => store.kept.clear()),
      add: (value) =>
        ask(() => {
          this.last += 1;
          store.kept.set(this.last, { ...copy(value), [store.keyPath]: this.last });
          return this.last;
        }),
    };
  }
}
