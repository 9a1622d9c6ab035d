// The lot page's calls.

// A whole lot takes longer to decide than one part.
const TIMEOUT_MS = 60_000;

export class Calls {
  /** @param {import("../api.js").Api} api */
  constructor(api) {
    this.api = api;
  }

  /**
   * @param {number} lot @param {number} part @param {object} asked
   * @returns {Promise<{review: string, held_by_others: number,
   *   members: {task: import("../types.js").Task, is_sample: boolean}[]}>}
   */
  begin(lot, part, asked) {
    return this.#post(`/lots/${lot}/${part}`, asked);
  }

  /** @param {string} review @param {object} verdict @param {string} key */
  judge(review, verdict, key) {
    return this.#post(`/lots/${review}/sample`, verdict, { "Idempotency-Key": key });
  }

  /**
   * @param {string} review @param {string[]} excluded
   * @returns {Promise<{count: number, left_out: {serial: string, why: string}[],
   *   undo_seconds: number}>}
   */
  decide(review, excluded) {
    return this.#post(`/lots/${review}/decision`, { excluded });
  }

  /** @param {string} review @returns {Promise<{count: number}>} */
  undo(review) {
    return this.#post(`/lots/${review}/undo`, {});
  }

  /** @param {string} review @returns {Promise<{count: number}>} */
  keep(review) {
    return this.#post(`/lots/${review}/lease`, {});
  }

  /** @param {string} review */
  giveBack(review) {
    return this.#post(`/lots/${review}/release`, {});
  }

  /** Survives the page being closed. @param {string} review */
  release(review) {
    return this.api.parting(`/lots/${review}/release`, {});
  }

  /** @param {string} path @param {object} body @param {Record<string, string>} [headers] */
  #post(path, body, headers = {}) {
    return this.api.request("POST", path, body, headers, TIMEOUT_MS);
  }
}
