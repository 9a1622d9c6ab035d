// New figures into a page somebody reads: elements stay where they are, focus and all.

/**
 * Bring `old` up to `fresh`, element by element.
 * @param {Element} old @param {Element} fresh
 * @param {(list: Element) => boolean} isInUse whether somebody is at work in a list: then its rows
 *   stay, the gone ones crossed out, and new ones wait
 */
export function patch(old, fresh, isInUse) {
  syncAttributes(old, fresh);
  if (old.matches("select, input, textarea")) {
    return;
  }
  if (isKeyed(old) || isKeyed(fresh)) {
    patchRows(old, fresh, isInUse);
  } else if (haveSameShape(old, fresh)) {
    [...old.childNodes].forEach((node, index) => patchNode(node, fresh.childNodes[index], isInUse));
  } else if (!old.contains(document.activeElement)) {
    replace(old, fresh);
  }
}

/** @param {Node} old @param {Node} fresh @param {(list: Element) => boolean} isInUse */
function patchNode(old, fresh, isInUse) {
  if (old instanceof Element && fresh instanceof Element) {
    patch(old, fresh, isInUse);
  } else if (old.nodeValue !== fresh.nodeValue) {
    old.nodeValue = fresh.nodeValue;
  }
}

/** @param {Element} old @param {Element} fresh @param {(list: Element) => boolean} isInUse */
function patchRows(old, fresh, isInUse) {
  const list = old.closest("[data-list]");
  const isStill = list !== null && isInUse(list);
  const known = new Map(rowsOf(old).map((row) => [row.dataset.key, row]));
  const wanted = rowsOf(fresh);
  for (const row of wanted) {
    const mine = known.get(row.dataset.key);
    if (mine) {
      revive(mine);
      patch(mine, row, isInUse);
    }
  }
  const gone = [...known.values()].filter((row) => !wanted.some((w) => w.dataset.key === row.dataset.key));
  const added = wanted.filter((row) => !known.has(row.dataset.key));
  if (isStill) {
    gone.forEach(cross);
  } else {
    gone.forEach((row) => row.remove());
    wanted.forEach((row, index) => place(old, known.get(row.dataset.key) ?? adopt(row), index));
  }
  const note = list?.querySelector("[data-held-back]");
  if (note) {
    note.textContent = isStill && added.length > 0 ? `+${added.length}` : "";
  }
}

/** @param {Element} parent @param {Element} row @param {number} index */
function place(parent, row, index) {
  const there = rowsOf(parent)[index];
  if (there !== row) {
    parent.insertBefore(row, there ?? null);
  }
}

/** @param {HTMLElement} row a task that is no longer in the list */
function cross(row) {
  row.dataset.gone = "";
  for (const each of row.querySelectorAll("button")) {
    each.setAttribute("aria-disabled", "true");
  }
}

/** @param {HTMLElement} row */
function revive(row) {
  delete row.dataset.gone;
}

/** @param {Element} old @param {Element} fresh */
function syncAttributes(old, fresh) {
  for (const { name } of [...old.attributes]) {
    // What htmx and the browser keep on an element is theirs.
    if (!fresh.hasAttribute(name) && !["open", "data-gone"].includes(name)) {
      old.removeAttribute(name);
    }
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) {
      old.setAttribute(name, value);
    }
  }
}

/** @param {Element} old @param {Element} fresh */
function haveSameShape(old, fresh) {
  return (
    old.childNodes.length === fresh.childNodes.length &&
    [...old.childNodes].every((node, index) => node.nodeName === fresh.childNodes[index].nodeName)
  );
}

/** @param {Element} old @param {Element} fresh */
function replace(old, fresh) {
  old.replaceChildren(...[...fresh.childNodes].map((node) => document.importNode(node, true)));
  wire(old);
}

/** @param {HTMLElement} row @returns {HTMLElement} */
function adopt(row) {
  const mine = document.importNode(row, true);
  wire(mine);
  return mine;
}

/** @param {Element} element its buttons are htmx's */
function wire(element) {
  /** @type {any} */ (globalThis).htmx?.process(element);
}

/** @param {Element} element @returns {HTMLElement[]} */
function rowsOf(element) {
  return /** @type {HTMLElement[]} */ ([...element.children]).filter((row) => row.dataset.key);
}

/** @param {Element} element */
function isKeyed(element) {
  return rowsOf(element).length > 0;
}
