// How long to wait before the next attempt. Pure.

const FIRST_S = 1;
const LONGEST_S = 30;
const LONGEST_ASKED_S = 120;

/**
 * Seconds: doubled with every failure, and spread so that a plant's tablets do not come together.
 * @param {number} failures in a row
 * @param {number|null} asked what the server asked for
 * @param {() => number} random 0 to 1
 */
export function waitFor(failures, asked = null, random = Math.random) {
  const own = Math.min(LONGEST_S, FIRST_S * 2 ** Math.max(0, failures - 1));
  const spread = FIRST_S + (own - FIRST_S) * (0.5 + random() / 2);
  return Math.max(spread, Math.min(asked ?? 0, LONGEST_ASKED_S));
}
