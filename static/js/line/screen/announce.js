// What is to be heard of a note: politely, and where something has failed at once.

import { byId } from "../../review/dom.js";

const GAP_MS = 50;
const timers = { spoken: 0, alarmed: 0 };

/** @param {string} text @param {"quiet"|"warn"|"fault"} tone */
export function announce(text, tone) {
  const place = tone === "fault" ? "alarmed" : "spoken";
  const region = byId(place);
  // The same words again are told only where they were gone.
  region.textContent = "";
  clearTimeout(timers[place]);
  timers[place] = Number(setTimeout(() => (region.textContent = text), GAP_MS));
}
