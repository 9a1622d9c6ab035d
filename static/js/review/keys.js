// Keys by physical position, so that they lie in the same place on every keyboard, and what each
// means: as it comes, or as a person has laid them. Pure.

/**
 * @typedef {{code: string, key: string, shiftKey: boolean, ctrlKey: boolean, altKey: boolean,
 *   metaKey: boolean, repeat: boolean}} Press
 * @typedef {Record<string, string>} KeyMap a key ("KeyA", "Shift+KeyR", "" for none) by act
 * @typedef {{name: string, digit?: number, disposition?: string}} Intent
 */

/** What can be laid on another key, in the order of the help. @type {Readonly<KeyMap>} */
export const DEFAULTS = Object.freeze({
  accept: "KeyA",
  reject: "KeyR",
  choose: "Shift+KeyR",
  skip: "KeyS",
  escalate: "KeyE",
  undo: "KeyU",
  comment: "KeyC",
  model: "KeyM",
  golden: "KeyG",
  heatmap: "KeyH",
  zones: "KeyZ",
  light: "KeyL",
  invert: "KeyI",
  "rotate-left": "BracketLeft",
  "rotate-right": "BracketRight",
  box: "KeyB",
  polygon: "KeyP",
  proposals: "KeyT",
  "next-region": "KeyN",
  "previous-region": "Shift+KeyN",
  "delete-region": "Delete",
  answers: "KeyQ",
  calls: "KeyY",
});

/** What always means the same. @type {Record<string, string>} */
const FIXED = {
  Digit0: "fit",
  Numpad0: "fit",
  Digit1: "actual",
  Numpad1: "actual",
  Tab: "view",
  "Shift+Tab": "view-back",
  Escape: "close",
};

/** Of the drawing, by letter as everywhere else. @type {Record<string, string>} */
const WITH_CONTROL = { z: "undo-drawing", "shift+z": "redo-drawing", y: "redo-drawing" };

/** @type {Record<string, string>} */
const REJECT_AS = { KeyW: "REWORK", KeyX: "SCRAP", KeyH: "HOLD" };
const TELL_NOT = "KeyI";
const CONCEDE = "KeyC";

/** By sign, and by place where the sign is another act's or needs Shift. @type {Record<string, string>} */
const ZOOM = { "+": "zoom-in", "-": "zoom-out", Equal: "zoom-in", Minus: "zoom-out" };

// Digits choose classes, arrows move, the rest is the browser's or the system's own.
const RESERVED =
  /^(Escape|Tab|Enter|NumpadEnter|Space|Backspace|Digit\d|Numpad\d|Arrow\w+|(Shift|Control|Alt|Meta|OS)(Left|Right)?|CapsLock|ContextMenu|F\d+)$/;
const SIGNS = /^(NumpadAdd|NumpadSubtract|Slash|Minus|Equal)$/;

/**
 * What a press means on the open bench: an intent, or null.
 * @param {Press} press @param {Readonly<KeyMap>} [map] @returns {Intent|null}
 */
export function intentOf(press, map = DEFAULTS) {
  if (press.altKey || press.metaKey) {
    return null;
  }
  if (press.repeat) {
    // Only zooming goes on while a key is held.
    const held = press.ctrlKey ? null : openIntent(press, map);
    return held?.name.startsWith("zoom-") ? held : null;
  }
  if (press.ctrlKey) {
    const name = WITH_CONTROL[`${press.shiftKey ? "shift+" : ""}${press.key.toLowerCase()}`];
    return name ? { name } : null;
  }
  return openIntent(press, map);
}

/** @param {Press} press @param {Readonly<KeyMap>} map @returns {Intent|null} */
function openIntent(press, map) {
  if (press.key === "?") {
    return { name: "help" };
  }
  const digit = digitOf(press);
  if (press.shiftKey && digit !== null) {
    return digit === 0 ? null : { name: "class", digit };
  }
  const key = keyOf(press);
  const name = FIXED[key] ?? Object.keys(map).find((act) => key !== "" && map[act] === key);
  const zoom = ZOOM[press.key] ?? ZOOM[key];
  if (name ?? zoom) {
    return { name: name ?? zoom };
  }
  return key === "Backspace" ? { name: "delete-region" } : null;
}

/**
 * What a press means while the reject choice is open.
 * @param {Press} press @param {Readonly<KeyMap>} [map] @returns {Intent|null}
 */
export function choiceIntentOf(press, map = DEFAULTS) {
  if (press.repeat || press.ctrlKey || press.altKey || press.metaKey) {
    return null;
  }
  const digit = digitOf(press);
  if (digit !== null && digit > 0) {
    return { name: "class", digit };
  }
  const key = keyOf(press);
  if (key in REJECT_AS) {
    return { name: "reject-as", disposition: REJECT_AS[key] };
  }
  const others = { [TELL_NOT]: "inconclusive", [CONCEDE]: "concede", Escape: "close", [map.reject]: "reject" };
  return others[key] ? { name: others[key] } : null;
}

/** @param {Pick<Press, "code"|"shiftKey">} press the key as the map writes it */
export function keyOf(press) {
  return press.shiftKey ? `Shift+${press.code}` : press.code;
}

/** @param {string} key whether no act may have it */
export function isReserved(key) {
  const code = key.replace(/^Shift\+/, "");
  return code === "" || RESERVED.test(code) || SIGNS.test(code);
}

/** What a key means in the reject choice, plain reject cannot mean there. @param {string} act @param {string} key */
function isOfTheChoice(act, key) {
  return act === "reject" && (key in REJECT_AS || key === TELL_NOT || key === CONCEDE);
}

/**
 * An act on another key: the new map, or why not.
 * @param {Readonly<KeyMap>} map @param {string} act @param {Press} press
 * @returns {{map: KeyMap}|{taken: string}|{reserved: true}} `taken`: the act that has the key
 */
export function changed(map, act, press) {
  const key = keyOf(press);
  if (press.ctrlKey || press.altKey || press.metaKey || isReserved(key) || isOfTheChoice(act, key)) {
    return { reserved: true };
  }
  const taken = Object.keys(map).find((other) => other !== act && map[other] === key);
  return taken ? { taken } : { map: { ...map, [act]: key } };
}

/**
 * Keys with more than one act.
 * @param {Readonly<KeyMap>} map @returns {{key: string, acts: string[]}[]}
 */
export function conflicts(map) {
  /** @type {Map<string, string[]>} */
  const acts = new Map();
  for (const [act, key] of Object.entries(map)) {
    if (key) {
      acts.set(key, [...(acts.get(key) ?? []), act]);
    }
  }
  return [...acts].filter(([, names]) => names.length > 1).map(([key, names]) => ({ key, acts: names }));
}

/** @param {Readonly<KeyMap>} map what differs from the keys as they come, to be kept @returns {KeyMap} */
export function ownOf(map) {
  return Object.fromEntries(Object.entries(map).filter(([act, key]) => key && DEFAULTS[act] !== key));
}

/**
 * The map from what was kept. A person's own choice wins; an act whose key it takes has none.
 * @param {unknown} kept @returns {KeyMap}
 */
export function mapOf(kept) {
  const own = Object.entries(kept && typeof kept === "object" ? kept : {}).filter(
    ([act, key]) => act in DEFAULTS && typeof key === "string" && !isReserved(key) && !isOfTheChoice(act, key),
  );
  const taken = new Set(own.map(([, key]) => key));
  const usual = Object.entries(DEFAULTS).map(([act, key]) => [act, taken.has(key) ? "" : key]);
  const map = { ...Object.fromEntries(usual), ...Object.fromEntries(own) };
  return conflicts(map).length > 0 ? { ...DEFAULTS } : map;
}

/** @type {Record<string, string>} */
const SIGN_OF = {
  BracketLeft: "[",
  BracketRight: "]",
  Semicolon: ";",
  Quote: "'",
  Backquote: "`",
  Backslash: "\\",
  IntlBackslash: "<",
  Comma: ",",
  Period: ".",
  Delete: "Del",
  Insert: "Ins",
};

/**
 * What is printed on a key: by this keyboard's layout where the browser tells it.
 * @param {string} key @param {{get: (code: string) => string|undefined}|null} [layout]
 */
export function labelOf(key, layout = null) {
  const code = key.replace(/^Shift\+/, "");
  const plain = layout?.get(code) ?? SIGN_OF[code] ?? code.replace(/^Key|^Digit/, "");
  // Upper case has two letters for ß: it stays as it is printed.
  const upper = plain.length === 1 && plain.toUpperCase().length === 1 ? plain.toUpperCase() : plain;
  return key.startsWith("Shift+") ? `⇧${upper}` : upper;
}

/** @param {Pick<Press, "code">} press @returns {number|null} */
export function digitOf(press) {
  const match = /^(?:Digit|Numpad)(\d)$/.exec(press.code);
  return match ? Number(match[1]) : null;
}
