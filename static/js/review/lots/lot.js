// One lot: keys, clicks and touches into what the page does.

import { byId, stopHeldPress } from "../dom.js";
import { LotPage } from "./page.js";

if (document.getElementById("lot")) {
  const config = JSON.parse(byId("lot-config").textContent ?? "{}");
  const page = new LotPage(config, JSON.parse(byId("lot-parts").textContent ?? "[]"));
  listenToKeys(page);
  listenToButtons(page);
  window.addEventListener("pagehide", () => page.giveBack());
  setInterval(() => page.keep(), config.keep_seconds * 1000);
}

/** @param {LotPage} page */
function listenToKeys(page) {
  window.addEventListener("keydown", stopHeldPress, { capture: true });
  document.addEventListener("keydown", (event) => {
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    const target = /** @type {Element} */ (event.target);
    const task = target.closest("[data-task]")?.getAttribute("data-task") ?? "";
    if (page.big.isOpen ? inDialog(page, event) : task !== "" && onCard(page, event, task)) {
      event.preventDefault();
    }
  });
}

/** @param {LotPage} page @param {KeyboardEvent} event @returns {boolean} */
function inDialog(page, event) {
  if (page.big.isJudging) {
    const given = { KeyA: "FALSE_CALL", KeyR: "CONFIRMED" }[event.code];
    if (!given || (given === "CONFIRMED" && !page.config.suspicion)) {
      return false;
    }
    void page.once(() => page.judge(given));
    return true;
  }
  if (event.code === "Space" && !(event.target instanceof HTMLButtonElement)) {
    page.toggleBig();
    return true;
  }
  return false;
}

/** @param {LotPage} page @param {KeyboardEvent} event @param {string} task @returns {boolean} */
function onCard(page, event, task) {
  if (event.code === "Space") {
    page.toggle(task);
    return true;
  }
  if (event.key === "Enter") {
    page.look(task);
    return true;
  }
  return page.move(event.key);
}

/** @param {LotPage} page */
function listenToButtons(page) {
  /** @type {HTMLElement} */ (byId("lot-grid")).addEventListener("click", (event) => {
    const found = /** @type {Element} */ (event.target).closest("[data-task]");
    if (found) {
      page.look(found.getAttribute("data-task") ?? "");
    }
  });
  each("[data-begin]", (given) => page.once(() => page.begin(given)), "data-begin");
  each("[data-judge]", (given) => page.once(() => page.judge(given)), "data-judge");
  each("#lot-toggle", () => page.toggleBig());
  each("#lot-close", () => page.big.close());
  each("#lot-decide", () => page.once(() => page.decide()));
  each("[data-leave]", () => page.once(() => page.leave()));
  each("#lot-undo", () => page.once(() => page.undo()));
  page.big.dialog.addEventListener("close", () => {
    page.card(page.grid.tasks[page.grid.focus])?.focus();
  });
}

/** @param {string} selector @param {(value: string) => unknown} act @param {string} [name] */
function each(selector, act, name = "id") {
  for (const button of document.querySelectorAll(selector)) {
    button.addEventListener("click", () => void act(button.getAttribute(name) ?? ""));
  }
}
