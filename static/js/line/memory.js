// The latest board, kept for a page that is opened without network.

const KEPT = "loupe-line-board";

/** @typedef {import("./types.js").BoardState} BoardState */

/** @param {Pick<Storage, "setItem">} store @param {string} station @param {BoardState} board */
export function remember(store, station, board) {
  try {
    store.setItem(KEPT, JSON.stringify({ station, board }));
  } catch {
    // Then the page waits for the network to know where it stands.
  }
}

/**
 * What the board said last; nobody is at it whose time is over.
 * @param {Pick<Storage, "getItem">} store @param {string} station @param {number} now milliseconds
 * @returns {BoardState|null}
 */
export function recall(store, station, now) {
  try {
    const kept = JSON.parse(store.getItem(KEPT) ?? "null");
    return kept?.station === station ? withoutThePast(kept.board, now) : null;
  } catch {
    return null;
  }
}

/** @param {BoardState} board @param {number} now milliseconds @returns {BoardState} */
export function withoutThePast(board, now) {
  const isOver = board.operator !== null && Date.parse(board.operator.until) <= now;
  return isOver ? { ...board, operator: null } : board;
}

/** @param {Pick<Storage, "removeItem">} store */
export function forget(store) {
  try {
    store.removeItem(KEPT);
  } catch {
    // It was not kept either.
  }
}

/** Whether somebody has read this note at this tablet. @param {Pick<Storage, "getItem">} store @param {string} note */
export function isRead(store, note) {
  try {
    return store.getItem(`loupe-line-read-${note}`) !== null;
  } catch {
    return false;
  }
}

/** @param {Pick<Storage, "setItem">} store @param {string} note */
export function wasRead(store, note) {
  try {
    store.setItem(`loupe-line-read-${note}`, "1");
  } catch {
    // Then it is told again when the page is opened.
  }
}
