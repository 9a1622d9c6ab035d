// The bench's calls. Every failure is an ApiError; `status` 0 means that no answer came.

export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} code
   * @param {string} detail
   * @param {number|null} retryAfter seconds
   */
  constructor(status, code, detail, retryAfter = null) {
    super(detail || code);
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.retryAfter = retryAfter;
  }

  /** Whether the same call may succeed later. */
  get isPassing() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }

  /** Whether the person has to log in again. */
  get isSignedOut() {
    return this.status === 401 || this.status === 403;
  }
}

const TIMEOUT_MS = 15_000;

export class Api {
  /**
   * @param {{base: string, csrf: string, site: string, onContact: (reached: boolean) => void}} options
   */
  constructor({ base, csrf, site, onContact }) {
    this.base = base;
    this.csrf = csrf;
    this.site = site;
    this.onContact = onContact;
    /** Server clock minus ours, in milliseconds. */
    this.skew = 0;
  }

  /** @param {number} count @returns {Promise<import("./types.js").Task[]>} */
  async claim(count) {
    return (await this.#call("POST", "/claims", { site: this.site, count })).tasks;
  }

  /** @param {import("./types.js").Message} message */
  send(message) {
    const path = `/tasks/${message.task}/${message.kind}`;
    /** @type {Record<string, string>} */
    const headers = message.kind === "decision" ? { "Idempotency-Key": message.key } : {};
    return this.#call("POST", path, { fence: message.fence, ...message.body }, headers);
  }

  /** @param {string} decision @returns {Promise<import("./types.js").Task>} */
  async undo(decision) {
    return (await this.#call("POST", `/decisions/${decision}/undo`, {})).task;
  }

  /** @param {{task: string, fence: number}[]} leases @returns {Promise<{kept: string[], lost: string[]}>} */
  heartbeat(leases) {
    return this.#call("POST", "/heartbeat", { leases });
  }

  /** @returns {Promise<{waiting: number, oldest_deadline: string|null, oldest_opened_at: string|null, decided_today: number}>} */
  queue() {
    return this.#call("GET", `/queue?site=${encodeURIComponent(this.site)}`);
  }

  /**
   * Give a task back; survives the page being closed and needs no answer.
   * @param {{id: string, fence: number}} task
   */
  release(task) {
    return fetch(`${this.base}/tasks/${task.id}/release`, {
      ...this.#options("POST", { fence: task.fence }, {}),
      keepalive: true,
    }).catch(() => undefined);
  }

  /**
   * @param {string} method @param {string} path @param {unknown} [body]
   * @param {Record<string, string>} [headers] @returns {Promise<any>}
   */
  async #call(method, path, body, headers = {}) {
    let response;
    try {
      response = await fetch(this.base + path, {
        ...this.#options(method, body, headers),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
    } catch {
      this.onContact(false);
      throw new ApiError(0, "unreachable", "");
    }
    this.onContact(response.status < 502 || response.status > 504);
    const date = Date.parse(response.headers.get("Date") ?? "");
    if (!Number.isNaN(date)) {
      this.skew = Math.abs(date - Date.now()) < 1500 ? 0 : date - Date.now();
    }
    return this.#answer(response);
  }

  /** @param {Response} response */
  async #answer(response) {
    if (response.status === 204) {
      return null;
    }
    const answer = await response.json().catch(() => null);
    if (response.ok && answer !== null) {
      return answer;
    }
    const wait = Number.parseFloat(response.headers.get("Retry-After") ?? "");
    throw new ApiError(
      response.ok ? 502 : response.status,
      answer?.code ?? "unreadable",
      answer?.detail ?? "",
      Number.isNaN(wait) ? null : wait,
    );
  }

  /** @param {string} method @param {unknown} body @param {Record<string, string>} headers @returns {RequestInit} */
  #options(method, body, headers) {
    return {
      method,
      credentials: "same-origin",
      redirect: "error",
      headers: {
        Accept: "application/json",
        "Content-Type": "application/json",
        "X-CSRFToken": this.csrf,
        ...headers,
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    };
  }
}
