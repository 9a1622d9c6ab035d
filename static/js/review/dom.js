// Small ways to build and find elements; text always as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

/** @template {HTMLElement} T @param {string} id @returns {T} */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) {
    throw new Error(`The page has no #${id}`);
  }
  return /** @type {T} */ (found);
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

/** @param {string} id @param {string} text */
export function say(id, text) {
  const found = byId(id);
  if (found.textContent !== text) {
    found.textContent = text;
  }
}
