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
   * @param {{base: string, csrf: string, site: string, person?: string,
   *   onContact: (reached: boolean) => void}} options
   */
  constructor({ base, csrf, site, person = "", onContact }) {
    this.base = base;
    this.csrf = csrf;
    this.site = site;
    this.onContact = onContact;
    this.person = person;
    /** Who else is logged in in this browser by now. */
    this.otherPerson = "";
    /** @type {() => string[]} tasks to go on with, where they are still to be had */
    this.preferred = () => [];
    /** @type {(tasks: import("./types.js").Task[]) => void} */
    this.onClaimed = () => {};
    /** Server clock minus ours, in milliseconds. */
    this.skew = 0;
  }

  /** @param {number} count @returns {Promise<import("./types.js").Task[]>} */
  async claim(count) {
    const asked = { site: this.site, count, prefer: this.preferred() };
    const { tasks } = await this.#call("POST", "/claims", asked);
    this.onClaimed(tasks);
    return tasks;
  }

  /** @param {import("./types.js").Message} message */
  send(message) {
    const path = `/tasks/${message.task}/${message.kind}`;
    /** @type {Record<string, string>} */
    const headers = message.kind === "decision" ? { "Idempotency-Key": message.key } : {};
    return this.#call("POST", path, { fence: message.fence, ...message.body }, headers);
  }

  /** @param {{id: string, fence: number}} task @returns {Promise<import("./types.js").Task>} as it is by now */
  async task({ id, fence }) {
    return (await this.#call("GET", `/tasks/${id}?fence=${fence}`)).task;
  }

  /** @param {string} decision @returns {Promise<import("./types.js").Task>} */
  async undo(decision) {
    return (await this.#call("POST", `/decisions/${decision}/undo`, {})).task;
  }

  /** @param {{task: string, fence: number}[]} leases @returns {Promise<{kept: string[], lost: string[]}>} */
  heartbeat(leases) {
    return this.#call("POST", "/heartbeat", { leases });
  }

  /** @returns {Promise<import("./types.js").Queue>} */
  queue() {
    return this.#call("GET", `/queue?site=${encodeURIComponent(this.site)}`);
  }

  /**
   * Any other call, below this API's address unless the path is whole.
   * @param {string} method @param {string} path @param {unknown} [body]
   * @param {Record<string, string>} [headers] @param {number} [timeout] milliseconds
   * @returns {Promise<any>}
   */
  request(method, path, body, headers = {}, timeout = TIMEOUT_MS) {
    return this.#call(method, path, body, headers, timeout);
  }

  /**
   * Give a task back; survives the page being closed and needs no answer.
   * @param {{id: string, fence: number}} task
   */
  release(task) {
    return this.parting(`/tasks/${task.id}/release`, { fence: task.fence });
  }

  /**
   * Said when the page may be gone before an answer comes.
   * @param {string} path @param {object} body
   */
  parting(path, body) {
    const options = this.#options("POST", body, {});
    return fetch(this.base + path, { ...options, keepalive: true }).catch(() => undefined);
  }

  /**
   * @param {string} method @param {string} path @param {unknown} [body]
   * @param {Record<string, string>} [headers] @param {number} [timeout] milliseconds
   * @returns {Promise<any>}
   */
  async #call(method, path, body, headers = {}, timeout = TIMEOUT_MS) {
    const response = await this.#fetch(method, path, body, headers, timeout);
    // Logging in again, in another tab too, makes every page's token a stale one.
    if (response.status === 403 && method !== "GET") {
      await this.#renewToken();
      return this.#answer(await this.#fetch(method, path, body, headers, timeout));
    }
    return this.#answer(response);
  }

  /** What is said here is said by the person this page was made for, or not at all. */
  async #renewToken() {
    const fresh = await this.#answer(await this.#fetch("GET", "/token", undefined, {}));
    if (this.person && fresh.person !== this.person) {
      this.otherPerson = fresh.person;
      throw new ApiError(401, "other_person", "");
    }
    this.otherPerson = "";
    this.csrf = fresh.token;
  }

  /**
   * @param {string} method @param {string} path @param {unknown} body
   * @param {Record<string, string>} headers @param {number} [timeout] milliseconds
   */
  async #fetch(method, path, body, headers, timeout = TIMEOUT_MS) {
    let response;
    try {
      response = await fetch(path.startsWith("/api/") ? path : this.base + path, {
        ...this.#options(method, body, headers),
        signal: AbortSignal.timeout(timeout),
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
    return response;
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
