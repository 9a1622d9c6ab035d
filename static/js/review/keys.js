// Keys by physical position, so that they lie in the same place on every keyboard. Pure.

/** @type {Record<string, string>} */
const PLAIN = {
  KeyA: "accept",
  KeyR: "reject",
  KeyS: "skip",
  KeyE: "escalate",
  KeyU: "undo",
  KeyM: "model",
  Digit0: "fit",
  Numpad0: "fit",
  Digit1: "actual",
  Numpad1: "actual",
  Tab: "view",
  Escape: "close",
};

/** @type {Record<string, string>} */
const REJECT_AS = { KeyW: "REWORK", KeyX: "SCRAP", KeyH: "HOLD" };

/**
 * @typedef {{code: string, key: string, shiftKey: boolean, ctrlKey: boolean, altKey: boolean,
 *   metaKey: boolean, repeat: boolean}} Press
 */

/**
 * What a press means on the open bench: an intent, or null.
 * @param {Press} press @returns {{name: string, digit?: number}|null}
 */
export function intentOf(press) {
  if (press.repeat || press.ctrlKey || press.altKey || press.metaKey) {
    return null;
  }
  if (press.key === "?") {
    return { name: "help" };
  }
  if (press.shiftKey) {
    if (press.code === "KeyR") {
      return { name: "choose" };
    }
    const digit = digitOf(press);
    return digit === null || digit === 0 ? null : { name: "class", digit };
  }
  const name = PLAIN[press.code];
  return name ? { name } : null;
}

/**
 * What a press means while the reject choice is open.
 * @param {Press} press @returns {{name: string, digit?: number, disposition?: string}|null}
 */
export function choiceIntentOf(press) {
  if (press.repeat || press.ctrlKey || press.altKey || press.metaKey) {
    return null;
  }
  const digit = digitOf(press);
  if (digit !== null && digit > 0) {
    return { name: "class", digit };
  }
  if (press.code in REJECT_AS) {
    return { name: "reject-as", disposition: REJECT_AS[press.code] };
  }
  /** @type {Record<string, string>} */
  const others = { KeyR: "reject", KeyI: "inconclusive", Escape: "close" };
  return others[press.code] ? { name: others[press.code] } : null;
}

/** @param {Press} press @returns {number|null} */
export function digitOf(press) {
  const match = /^(?:Digit|Numpad)(\d)$/.exec(press.code);
  return match ? Number(match[1]) : null;
}
