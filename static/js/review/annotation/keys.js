// The keys that draw, beside those with names of their own: arrows, Enter, Space, digits. Pure.

/**
 * @typedef {{code: string, key: string, shiftKey: boolean, ctrlKey: boolean, altKey: boolean,
 *   metaKey: boolean, repeat: boolean}} Press
 * @typedef {{what: "step", x: number, y: number, isOnePixel: boolean, isSize: boolean}
 *   | {what: "set"|"close"|"back"|"leave"|"remove"} | {what: "class", digit: number}} Meaning
 */

/** CSS pixels that the crosshair or a region goes with one press. */
export const STEP = 10;

/** @type {Record<string, [number, number]>} */
const ARROWS = {
  ArrowLeft: [-STEP, 0],
  ArrowRight: [STEP, 0],
  ArrowUp: [0, -STEP],
  ArrowDown: [0, STEP],
};

/**
 * Arrows move, with Shift by one image pixel, with Alt the size instead of the place.
 * @param {Press} press @param {{tool: "box"|"polygon"|null, hasCrosshair: boolean,
 *   hasSelected: boolean, isOpen: boolean}} now `isOpen`: something is begun and not finished
 * @returns {Meaning|null}
 */
export function meaningOf(press, now) {
  const isBusy = now.tool !== null || now.hasSelected;
  if (!isBusy || press.ctrlKey || press.metaKey) {
    return null;
  }
  const arrow = ARROWS[press.key];
  if (arrow && (!press.altKey || now.hasSelected)) {
    const [x, y] = arrow;
    return { what: "step", x, y, isOnePixel: press.shiftKey, isSize: press.altKey };
  }
  if (press.altKey || press.shiftKey || press.repeat) {
    return null;
  }
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(press.code);
  if (digit) {
    return { what: "class", digit: Number(digit[1]) };
  }
  if (press.code === "Backspace" && now.hasSelected && !now.isOpen) {
    return { what: "remove" };
  }
  return now.tool === null ? leaving(press) : drawing(press, now);
}

/** @param {Press} press @returns {Meaning|null} */
function leaving(press) {
  return press.code === "Escape" ? { what: "leave" } : null;
}

/** @param {Press} press @param {{tool: string|null, hasCrosshair: boolean, isOpen: boolean}} now @returns {Meaning|null} */
function drawing(press, now) {
  const isEnter = press.code === "Enter" || press.code === "NumpadEnter";
  if (isEnter && now.tool === "polygon" && now.isOpen) {
    return { what: "close" };
  }
  if ((isEnter || press.code === "Space") && now.hasCrosshair) {
    return { what: "set" };
  }
  if (press.code === "Backspace" && now.isOpen) {
    return { what: "back" };
  }
  return leaving(press);
}
