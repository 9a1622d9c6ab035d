// Small ways to build and find elements; text always as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

/** @param {string} id @returns {any} the element, of whatever kind the page made it */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) {
    throw new Error(`The page has no #${id}`);
  }
  return found;
}

/**
 * @param {string} tag @param {Record<string, string>} [attributes] @param {(Node|string)[]} children
 * @returns {HTMLElement}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** @param {string} tag @param {Record<string, string|number>} [attributes] @returns {SVGElement} */
export function shape(tag, attributes = {}) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    made.setAttribute(name, String(value));
  }
  return made;
}

// What takes no text: letters pressed there are meant for the bench.
const NO_TEXT = new Set(["range", "checkbox", "radio", "button", "submit", "reset"]);

/** @param {Element} target whether a press there is text, or chooses from a list */
export function isTyping(target) {
  const isField = target.matches("input, textarea, select");
  return isField && !NO_TEXT.has(/** @type {HTMLInputElement} */ (target).type);
}

/**
 * Enter held down presses a button again and again: only the first press is one.
 * @param {KeyboardEvent} event
 */
export function stopHeldPress(event) {
  const isPress = ["Enter", "NumpadEnter", "Space"].includes(event.code);
  if (event.repeat && isPress && /** @type {Element} */ (event.target).closest?.("button, a, summary")) {
    event.preventDefault();
  }
}

/** @param {string} id @param {string} text */
export function say(id, text) {
  const found = byId(id);
  if (found.textContent !== text) {
    found.textContent = text;
  }
}
