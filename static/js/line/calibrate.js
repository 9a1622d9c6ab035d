// How many CSS pixels a millimetre has on this screen: what a bank card held to it tells.

export const CARD_MM = { width: 85.6, height: 53.98 };
export const LEAST = 1;
export const MOST = 30;
// No tablet at hand has a finer CSS pixel; what is too large can still be pressed.
const SAFE_TOUCH = 6.3;
const SAFE_MOUSE = 4.2;
const KEPT = "loupe-px-per-mm";

/** @param {number} pxPerMm */
export function clamp(pxPerMm) {
  return Math.min(MOST, Math.max(LEAST, pxPerMm));
}

/** What to draw with while nobody has measured. @param {boolean} isTouch */
export function guess(isTouch) {
  return isTouch ? SAFE_TOUCH : SAFE_MOUSE;
}

/** The largest scale at which the card's outline is wholly on the screen. @param {number} width @param {number} height CSS pixels */
export function largestFor(width, height) {
  return clamp(Math.min(width / CARD_MM.width, height / CARD_MM.height));
}

/** Two fingers spread. @param {number} scale @param {number} from their distance before @param {number} to @returns {number} */
export function pinched(scale, from, to) {
  return from > 0 ? clamp((scale * to) / from) : scale;
}

/**
 * The free corner drawn along by a finger.
 * @param {number} scale @param {number} dx CSS pixels @param {number} dy @param {boolean} isUpright
 */
export function dragged(scale, dx, dy, isUpright) {
  const [wide, high] = isUpright ? [CARD_MM.height, CARD_MM.width] : [CARD_MM.width, CARD_MM.height];
  return clamp(scale + (dx / wide + dy / high) / 2);
}

/** One step finer or coarser, so that the card's edge moves by half a pixel. @param {number} scale @param {number} steps */
export function stepped(scale, steps) {
  return clamp(scale + steps / CARD_MM.width);
}

/** @param {Pick<Storage, "getItem">} store @returns {number|null} */
export function kept(store) {
  try {
    const read = Number.parseFloat(store.getItem(KEPT) ?? "");
    return read >= LEAST && read <= MOST ? read : null;
  } catch {
    return null;
  }
}

/** @param {Pick<Storage, "setItem"|"removeItem">} store @param {number|null} pxPerMm */
export function keep(store, pxPerMm) {
  try {
    if (pxPerMm === null) {
      store.removeItem(KEPT);
    } else {
      store.setItem(KEPT, String(pxPerMm));
    }
  } catch {
    // Without storage the server's figure holds from the first board on.
  }
}
