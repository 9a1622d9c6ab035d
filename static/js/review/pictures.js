// Images fetched and decoded before they are needed; one that is not made yet is asked for again.

const PATIENCE = 40;
// A connection that says nothing for so long is let go, and the picture asked for again.
const HANGS_MS = 30_000;
const LATE_MS = 90_000;
// Then it is said that it does not come; it may yet, when the network is back.
const SLOWLY_S = 10;

/**
 * @typedef {"loading"|"ready"|"failed"} PictureState
 */

export class Picture {
  /** @param {string} url @param {(picture: Picture) => void} onChange */
  constructor(url, onChange) {
    this.url = url;
    this.onChange = onChange;
    /** @type {PictureState} */
    this.state = "loading";
    this.detail = "";
    /** Whether asking again is of no use. */
    this.isOver = false;
    this.element = new Image();
    this.element.alt = "";
    this.element.draggable = false;
    this.element.decoding = "sync";
    this.aborter = new AbortController();
    this.address = "";
  }

  /** Fetch until it is there, decode it, and keep it decoded. */
  async load() {
    const began = performance.now();
    for (let attempt = 1; ; attempt += 1) {
      const wait = await this.#attempt();
      if (wait === null) {
        return;
      }
      const isLate = attempt >= PATIENCE || performance.now() - began >= LATE_MS;
      if (isLate && this.state === "loading") {
        this.#become("failed");
      }
      const seconds = isLate ? SLOWLY_S : wait;
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    }
  }

  /** Free what it holds. */
  discard() {
    this.aborter.abort();
    if (this.address) {
      URL.revokeObjectURL(this.address);
      this.address = "";
    }
  }

  /** @returns {Promise<number|null>} seconds to wait, or null when there is nothing more to do */
  async #attempt() {
    const { signal } = this.aborter;
    if (signal.aborted) {
      return null;
    }
    // By hand: AbortSignal.any is missing in older browsers.
    const waiting = new AbortController();
    const end = () => waiting.abort();
    const timer = setTimeout(end, HANGS_MS);
    signal.addEventListener("abort", end);
    try {
      const response = await fetch(this.url, {
        credentials: "same-origin",
        headers: { Accept: "application/json, image/*" },
        signal: waiting.signal,
      });
      if (response.ok) {
        await this.#decode(await response.blob());
        return null;
      }
      if (response.status >= 500 || response.status === 429) {
        return Number.parseFloat(response.headers.get("Retry-After") ?? "") || 1;
      }
      this.detail = (await response.json().catch(() => null))?.detail ?? "";
      this.#end("failed");
      return null;
    } catch {
      return signal.aborted || this.isOver ? null : 2;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
    }
  }

  /** @param {Blob} blob */
  async #decode(blob) {
    if (this.aborter.signal.aborted) {
      return;
    }
    this.address = URL.createObjectURL(blob);
    this.element.src = this.address;
    try {
      await this.element.decode();
    } catch {
      this.#end("failed");
      return;
    }
    this.#end("ready");
  }

  /** @param {PictureState} state */
  #end(state) {
    this.isOver = true;
    this.#become(state);
  }

  /** @param {PictureState} state */
  #become(state) {
    if (!this.aborter.signal.aborted) {
      this.state = state;
      this.onChange(this);
    }
  }
}
