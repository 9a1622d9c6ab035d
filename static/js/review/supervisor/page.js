// The supervisor's page: what htmx brings is patched in, so that nothing moves under the hand.

import { patch } from "./patch.js";

const REST_MS = 4000;

/** @type {WeakMap<Element, number>} when a list was last touched */
const touched = new WeakMap();

for (const name of ["pointermove", "pointerdown", "focusin", "keydown"]) {
  document.addEventListener(name, (event) => {
    const list = /** @type {Element} */ (event.target).closest?.("[data-list]");
    if (list) {
      touched.set(list, performance.now());
    }
  }, { passive: true });
}

/** Somebody has the focus in it, or pointed into it a moment ago. @param {Element} list */
function isInUse(list) {
  const before = touched.get(list) ?? Number.NEGATIVE_INFINITY;
  const isPointedAt = list.matches(":hover") && performance.now() - before < REST_MS;
  return isPointedAt || list.querySelector("td :focus") !== null;
}

document.addEventListener("htmx:beforeSwap", (event) => {
  const { detail } = /** @type {CustomEvent} */ (event);
  const live = document.getElementById("queue-live");
  if (!live || detail.target !== live || detail.xhr.status !== 200) {
    return;
  }
  detail.shouldSwap = false;
  const fresh = new DOMParser().parseFromString(detail.serverResponse, "text/html").body;
  const holder = document.createElement("div");
  holder.append(...fresh.childNodes);
  if (detail.requestConfig.verb === "get") {
    // What was said of the last act stays until the next.
    holder.querySelector("#queue-said")?.replaceWith(live.children[0].cloneNode(true));
  }
  patchChildren(live, holder);
  const stale = document.getElementById("queue-stale");
  if (stale) {
    stale.hidden = true;
  }
});

// A crossed-out row's button does nothing.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (/** @type {Element} */ (event.target).getAttribute("aria-disabled") === "true") {
    event.preventDefault();
  }
});

/** @param {Element} live @param {Element} fresh */
function patchChildren(live, fresh) {
  const mine = [...live.children];
  [...fresh.children].forEach((part, index) => {
    if (mine[index]) {
      patch(mine[index], part, isInUse);
    }
  });
}
