// Where the station's script does not come, the page is loaded anew as soon as the server has it.

import { within } from "./patience.js";

const FIRST_MS = 6_000;
const LONGEST_MS = 60_000;
const ANSWER_WITHIN_MS = 30_000;
const KEPT = "loupe-line-starts";

const hasStarted = () => document.getElementById("line")?.dataset.contact !== "";

/** @returns {number} how often this tab was loaded anew in vain */
function vain() {
  try {
    return Number(sessionStorage.getItem(KEPT)) || 0;
  } catch {
    return 0;
  }
}

/** @param {number} times */
function remember(times) {
  try {
    sessionStorage.setItem(KEPT, String(times));
  } catch {
    // Then the pauses do not grow.
  }
}

/** @param {string} url @returns {Promise<boolean>} */
async function isThere(url) {
  try {
    const signal = within(ANSWER_WITHIN_MS);
    return (await fetch(url, { cache: "reload", credentials: "same-origin", signal })).ok;
  } catch {
    return false;
  }
}

async function look() {
  const script = /** @type {HTMLScriptElement|null} */ (document.getElementById("station-script"));
  const isServed = !hasStarted() && (await isThere(script?.src ?? "")) && (await isThere(location.href));
  if (hasStarted()) {
    remember(0);
  } else if (isServed) {
    remember(vain() + 1);
    location.reload();
  } else {
    setTimeout(() => void look(), FIRST_MS);
  }
}

setTimeout(() => void look(), Math.min(LONGEST_MS, FIRST_MS * 2 ** vain()));
