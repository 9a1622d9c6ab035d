// The keys as this person has laid them: shown on every button, changed in the help.

import { fill } from "../clock.js";
import { byId, say } from "../dom.js";
import { changed, DEFAULTS, keyOf, labelOf, mapOf, ownOf } from "../keys.js";

/** @typedef {import("../context.js").Bench} Bench */

const NAME = "keys";

/** @param {Bench} bench */
export function install(bench) {
  const { strings, preferences } = bench;
  /** @type {Map<string, string>|null} */
  let layout = null;
  /** @type {HTMLElement|null} the button whose key is being chosen */
  let choosing = null;

  /** @param {import("../keys.js").KeyMap} map */
  function use(map) {
    bench.keys.map = map;
    show();
  }

  function show() {
    const { map } = bench.keys;
    for (const [act, key] of Object.entries(map)) {
      for (const hint of document.querySelectorAll(`[data-act="${act}"] > kbd, [data-key-hint="${act}"]`)) {
        hint.textContent = labelOf(key, layout);
      }
      const button = document.querySelector(`[data-key-of="${act}"]`);
      if (button && button !== choosing) {
        const label = labelOf(key, layout) || strings.key_none;
        button.replaceChildren(kbd(label));
        button.setAttribute("aria-label", fill(strings.key_of, { act: actName(act), key: label }));
      }
    }
    const labels = Object.entries(map).map(([act, key]) => [act, labelOf(key, layout) || strings.key_none]);
    for (const words of document.querySelectorAll("[data-key-words]")) {
      words.textContent = fill(words.getAttribute("data-key-words") ?? "", Object.fromEntries(labels));
    }
    say("comment-key", labelOf(map.comment, layout));
    byId("keys-reset").disabled = Object.keys(ownOf(map)).length === 0;
  }

  /** @param {HTMLElement} button */
  function begin(button) {
    end();
    choosing = button;
    button.replaceChildren(strings.press_a_key);
    say("keys-said", strings.press_a_key);
  }

  function end() {
    choosing = null;
    show();
  }

  /** @param {KeyboardEvent} event */
  function chosen(event) {
    if (!choosing || ["Shift", "Control", "Alt", "Meta", "AltGraph"].includes(event.key)) {
      return;
    }
    event.preventDefault();
    event.stopImmediatePropagation();
    if (event.code === "Escape") {
      say("keys-said", "");
      end();
      return;
    }
    const act = choosing.dataset.keyOf ?? "";
    const found = changed(bench.keys.map, act, event);
    const key = labelOf(keyOf(event), layout);
    if ("map" in found) {
      choosing = null;
      use(found.map);
      preferences?.set(NAME, ownOf(found.map));
      say("keys-said", fill(strings.key_is, { key, act: actName(act) }));
    } else if ("taken" in found) {
      say("keys-said", fill(strings.key_taken, { key, act: actName(found.taken) }));
    } else {
      say("keys-said", fill(strings.key_reserved, { key }));
    }
  }

  window.addEventListener("keydown", chosen, { capture: true });
  byId("help-form").addEventListener("click", (/** @type {MouseEvent} */ event) => {
    const button = /** @type {Element} */ (event.target).closest("[data-key-of]");
    if (button) {
      begin(/** @type {HTMLElement} */ (button));
    } else if (choosing) {
      end();
    }
  });
  byId("help-form").addEventListener("focusout", (/** @type {FocusEvent} */ event) => {
    if (choosing && event.target === choosing) {
      end();
    }
  });
  byId("keys-reset").addEventListener("click", () => {
    use({ ...DEFAULTS });
    preferences?.set(NAME, null);
    say("keys-said", strings.keys_reset);
  });

  use(mapOf(preferences?.get(NAME)));
  const { keyboard } = /** @type {any} */ (navigator);
  // Only some browsers tell; the place on the keyboard is right in every case.
  void keyboard?.getLayoutMap?.().then((/** @type {Map<string, string>} */ told) => {
    layout = told;
    show();
  }, () => {});
}

/** @param {string} act what the help calls it */
function actName(act) {
  return document.querySelector(`[data-key-name="${act}"]`)?.textContent ?? act;
}

/** @param {string} label */
function kbd(label) {
  const made = document.createElement("kbd");
  made.textContent = label;
  return made;
}
