// The pictures of the tasks on the shelf, for a time without network. They never take the outbox's room.

import { within } from "../patience.js";

/** @typedef {import("./types.js").View} View */

export const CACHE = "loupe-line-images";
const KEPT_FREE = 32 * 1024 * 1024;
const WITHIN_MS = 30_000;

/** @param {string} capture */
const place = (capture) => `/line/images/${capture}`;

export class Images {
  /**
   * @param {{caches?: CacheStorage, fetch?: typeof globalThis.fetch,
   *   storage?: Partial<StorageManager>, estimate?: () => Promise<StorageEstimate>}} options
   */
  constructor({ caches, fetch, storage, estimate } = {}) {
    this.caches = caches ?? globalThis.caches;
    this.fetch = fetch ?? globalThis.fetch.bind(globalThis);
    const disk = storage ?? globalThis.navigator?.storage;
    // Who does not tell how much room there is refuses by itself what has none.
    this.estimate = estimate ?? (async () => (await disk?.estimate?.()) ?? { quota: Infinity });
    /** @type {Map<string, string>} */
    this.urls = new Map();
  }

  /** The captures whose pictures are on the tablet. @returns {Promise<Set<string>>} */
  async captures() {
    try {
      const kept = (await (await this.caches?.open(CACHE))?.keys()) ?? [];
      return new Set(kept.map(({ url }) => new URL(url).pathname.slice(place("").length)));
    } catch {
      return new Set();
    }
  }

  /**
   * Fetch a picture that is not on the tablet.
   * @param {View} view
   * @returns {Promise<"kept"|"failed"|"full">} "full": there is no room for any other either
   */
  async keep(view) {
    if (!this.caches) {
      return "full";
    }
    try {
      const signal = within(WITHIN_MS);
      const answer = await this.fetch(view.image_url, { credentials: "same-origin", signal });
      if (!answer.ok) {
        return "failed";
      }
      if (!(await this.#fits(answer))) {
        return "full";
      }
      await (await this.caches.open(CACHE)).put(place(view.capture), answer);
      return "kept";
    } catch (error) {
      return /** @type {DOMException} */ (error).name === "QuotaExceededError" ? "full" : "failed";
    }
  }

  /** @param {Response} answer */
  async #fits(answer) {
    const { quota = 0, usage = 0 } = await this.estimate();
    const size = Number(answer.headers.get("Content-Length")) || 0;
    return quota - usage - size > KEPT_FREE;
  }

  /** @param {View} view @returns {Promise<string|null>} an address that needs no network */
  async url(view) {
    const known = this.urls.get(view.capture);
    if (known || !this.caches) {
      return known ?? null;
    }
    const picture = await this.#picture(view);
    // Asked for twice at once it has one address: a second one would never be given back.
    const made = this.urls.get(view.capture) ?? (picture && URL.createObjectURL(picture));
    if (made) {
      this.urls.set(view.capture, made);
    }
    return made;
  }

  /** @param {View} view @returns {Promise<Blob|null>} null: not here, or the browser's cache has failed */
  async #picture(view) {
    try {
      const found = await (await this.caches.open(CACHE)).match(place(view.capture));
      return found ? await found.blob() : null;
    } catch {
      return null;
    }
  }

  /** Leave only these. @param {Set<string>} captures */
  async keepOnly(captures) {
    if (!this.caches) {
      return;
    }
    const cache = await this.caches.open(CACHE);
    for (const capture of new Set([...(await this.captures()), ...this.urls.keys()])) {
      if (!captures.has(capture)) {
        await cache.delete(place(capture));
        this.#forget(capture);
      }
    }
  }

  /** Take it away again. @param {View} view */
  async drop({ capture }) {
    await (await this.caches.open(CACHE)).delete(place(capture));
    this.#forget(capture);
  }

  async empty() {
    [...this.urls.keys()].forEach((capture) => this.#forget(capture));
    await this.caches?.delete(CACHE);
  }

  /** @param {string} capture */
  #forget(capture) {
    const url = this.urls.get(capture);
    if (url) {
      URL.revokeObjectURL(url);
      this.urls.delete(capture);
    }
  }
}
