// What makes the page open without network: the worker, and a place on the disk that is not cleared.

const PATH = "/line/worker.js";
const SCOPE = "/line/";
const LOOK_EVERY_MS = 3_600_000;
const AGAIN_MS = 30_000;

/**
 * @typedef {{isSecure: boolean, worker: "none"|"ready"|"failed", isPersistent: boolean|null,
 *   isUpdateWaiting: boolean}} Installed `isPersistent` null: the browser cannot say
 */

export class Install {
  /**
   * @param {{onChange?: (state: Installed) => void, onTakenOver?: () => void,
   *   navigator?: Navigator}} options `onTakenOver`: another version of the worker is at work
   */
  constructor({ onChange = () => {}, onTakenOver = () => {}, navigator } = {}) {
    this.navigator = navigator ?? globalThis.navigator;
    this.onChange = onChange;
    this.onTakenOver = onTakenOver;
    /** @type {ServiceWorkerRegistration|null} */
    this.registration = null;
    this.again = 0;
    /** @type {Installed} */
    this.state = {
      isSecure: globalThis.isSecureContext ?? false,
      worker: "none",
      isPersistent: null,
      isUpdateWaiting: false,
    };
  }

  async begin() {
    // Some browsers ask a person first, who may never answer.
    void this.#persist().then((isPersistent) => this.#tell({ isPersistent }));
    const workers = this.navigator.serviceWorker;
    if (!workers) {
      return;
    }
    let hadOne = workers.controller !== null;
    workers.addEventListener("controllerchange", () => {
      if (hadOne) {
        this.onTakenOver();
      }
      hadOne = true;
    });
    void workers.ready.then(() => this.#tell({ worker: "ready" }));
    const look = () => void this.registration?.update().catch(() => {});
    setInterval(look, LOOK_EVERY_MS);
    addEventListener("online", look);
    await this.#register(workers);
  }

  /** A server that was away for a moment is asked again. @param {ServiceWorkerContainer} workers */
  async #register(workers) {
    const again = () => {
      this.#tell({ worker: "failed" });
      clearTimeout(this.again);
      this.again = Number(setTimeout(() => void this.#register(workers), AGAIN_MS));
    };
    try {
      this.#follow(await workers.register(PATH, { scope: SCOPE, updateViaCache: "none" }), again);
    } catch {
      again();
    }
  }

  /** The waiting version takes over where nothing is unsent; it looks for itself once more. */
  takeOver() {
    this.registration?.waiting?.postMessage({ kind: "take-over" });
  }

  /** Let the browser send for us when the page is gone, where it can. */
  async askForSync() {
    const registration = /** @type {any} */ (this.registration);
    try {
      await registration?.sync?.register("loupe-line-outbox");
    } catch {
      // Not allowed here: the page sends by itself.
    }
  }

  /** @param {ServiceWorkerRegistration} registration @param {() => void} onFailed its first worker did not come */
  #follow(registration, onFailed) {
    const isKnown = this.registration === registration;
    this.registration = registration;
    const look = () => this.#tell({ isUpdateWaiting: registration.waiting !== null });
    const watch = () => {
      const made = registration.installing;
      made?.addEventListener("statechange", () => {
        look();
        if (made.state === "redundant" && !registration.active) {
          onFailed();
        }
      });
    };
    if (!isKnown) {
      registration.addEventListener("updatefound", watch);
    }
    // Another tab may have begun it.
    watch();
    look();
  }

  async #persist() {
    const storage = this.navigator.storage;
    try {
      return storage?.persist ? (await storage.persisted()) || (await storage.persist()) : null;
    } catch {
      return null;
    }
  }

  /** @param {Partial<Installed>} changed */
  #tell(changed) {
    this.state = { ...this.state, ...changed };
    this.onChange(this.state);
  }
}
