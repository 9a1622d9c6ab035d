// Images fetched and decoded before they are needed; one that is not made yet is asked for again.

const PATIENCE = 40;

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
    this.element = new Image();
    this.element.alt = "";
    this.element.draggable = false;
    this.element.decoding = "sync";
    this.aborter = new AbortController();
    this.address = "";
  }

  /** Fetch until it is there, decode it, and keep it decoded. */
  async load() {
    for (let attempt = 1; attempt <= PATIENCE; attempt += 1) {
      const wait = await this.#attempt();
      if (wait === null) {
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, wait * 1000));
    }
    this.#become("failed");
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
    try {
      const response = await fetch(this.url, {
        credentials: "same-origin",
        headers: { Accept: "application/json, image/*" },
        signal,
      });
      if (response.ok) {
        await this.#decode(await response.blob());
        return null;
      }
      if (response.status >= 500 || response.status === 429) {
        return Number.parseFloat(response.headers.get("Retry-After") ?? "") || 1;
      }
      this.detail = (await response.json().catch(() => null))?.detail ?? "";
      this.#become("failed");
      return null;
    } catch {
      return signal.aborted || this.state === "failed" ? null : 2;
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
      this.#become("failed");
      return;
    }
    this.#become("ready");
  }

  /** @param {PictureState} state */
  #become(state) {
    if (!this.aborter.signal.aborted) {
      this.state = state;
      this.onChange(this);
    }
  }
}
