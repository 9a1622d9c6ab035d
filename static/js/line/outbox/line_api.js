// The calls of a tablet. Nothing is thrown: what did not come back has status 0.

import { within } from "../patience.js";

/** @typedef {import("./types.js").Reply} Reply */

const TIMEOUT_MS = 30_000;

export class LineApi {
  /**
   * @param {{fetch?: typeof globalThis.fetch, base?: string, clock?: import("./clock.js").Clock,
   *   timeout?: number}} options
   */
  constructor({ fetch, base = "/api/v1/line/", clock, timeout = TIMEOUT_MS } = {}) {
    this.fetch = fetch ?? globalThis.fetch.bind(globalThis);
    this.base = base;
    this.clock = clock;
    this.timeout = timeout;
  }

  /** @param {string} path @param {unknown} body @returns {Promise<Reply>} */
  async post(path, body) {
    const asked = this.clock?.mark();
    try {
      const answer = await this.fetch(this.base + path, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Loupe-Line": "1" },
        body: JSON.stringify(body),
        credentials: "same-origin",
        cache: "no-store",
        // A login page somewhere else is no answer.
        redirect: "error",
        signal: within(this.timeout),
      });
      const said = await content(answer);
      if (asked && typeof said?.server_time === "string") {
        this.clock?.heard(said.server_time, asked);
      }
      return {
        status: answer.status,
        body: said,
        code: typeof said?.code === "string" ? said.code : "",
        retryAfter: seconds(answer.headers.get("Retry-After")),
      };
    } catch {
      return { status: 0, body: null, code: "", retryAfter: null };
    }
  }
}

/** What was said, or null where it is not JSON. @param {Response} answer @returns {Promise<any>} */
async function content(answer) {
  const text = await answer.text();
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** @param {string|null} header */
function seconds(header) {
  const value = Number(header);
  return header !== null && Number.isFinite(value) ? value : null;
}
