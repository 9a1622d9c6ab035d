// The tablet's calls to the server. A failure is a LineError; `status` 0 means that no answer came.

import { within } from "./patience.js";

const TIMEOUT_MS = 15_000;

export class LineError extends Error {
  /** @param {number} status @param {string} code @param {string} detail */
  constructor(status, code, detail) {
    super(detail || code);
    this.status = status;
    this.code = code;
    this.detail = detail;
  }
}

export class Api {
  /** @param {{base: string, fetch?: typeof fetch}} options */
  constructor({ base, fetch: ask = (...asked) => fetch(...asked) }) {
    this.base = base;
    this.ask = ask;
  }

  /**
   * @param {{have: string[], count: number}} wanted
   * @returns {Promise<{tasks: import("./outbox/types.js").Task[], lost: string[]}>}
   */
  claim(wanted) {
    return this.#call("POST", "/claim", wanted);
  }

  /** @param {string} badge @param {string} [pin] @returns {Promise<{operator: import("./types.js").Operator}>} */
  signIn(badge, pin) {
    return this.#call("POST", "/sign-in", pin === undefined ? { badge } : { badge, pin });
  }

  signOut() {
    return this.#call("POST", "/sign-out", {});
  }

  /** @param {number} pxPerMm */
  calibrate(pxPerMm) {
    return this.#call("PUT", "/calibration", { px_per_mm: pxPerMm });
  }

  /** @param {string} method @param {string} path @param {unknown} body @returns {Promise<any>} */
  async #call(method, path, body) {
    let response;
    try {
      response = await this.ask(this.base + path, {
        method,
        headers: { "Content-Type": "application/json", Accept: "application/json", "X-Loupe-Line": "1" },
        body: JSON.stringify(body),
        credentials: "same-origin",
        redirect: "error",
        signal: within(TIMEOUT_MS),
      });
    } catch {
      throw new LineError(0, "unreachable", "");
    }
    const answer = response.status === 204 ? {} : await response.json().catch(() => null);
    if (!response.ok || answer === null) {
      throw new LineError(response.status || 502, answer?.code ?? "unreadable", answer?.detail ?? "");
    }
    return answer;
  }
}
