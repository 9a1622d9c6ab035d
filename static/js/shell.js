// The frame of every page: theme choice, menus that close, live parts that show when they stand still.

/** @param {string} theme empty for the system's own */
function applyTheme(theme) {
  if (theme) {
    document.documentElement.dataset.theme = theme;
  } else {
    delete document.documentElement.dataset.theme;
  }
  for (const button of document.querySelectorAll("[data-theme-choice]")) {
    const mine = button.getAttribute("data-theme-choice") === theme;
    button.setAttribute("aria-pressed", String(mine));
  }
}

/** @param {string} theme */
function rememberTheme(theme) {
  try {
    if (theme) {
      localStorage.setItem("loupe-theme", theme);
    } else {
      localStorage.removeItem("loupe-theme");
    }
  } catch {
    // Without storage the choice holds for this page.
  }
}

document.addEventListener("click", (event) => {
  const target = /** @type {Element} */ (event.target);
  const choice = target.closest("[data-theme-choice]");
  if (choice) {
    const theme = choice.getAttribute("data-theme-choice") ?? "";
    rememberTheme(theme);
    applyTheme(theme);
  }
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    if (!menu.contains(target)) {
      menu.removeAttribute("open");
    }
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") {
    return;
  }
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    menu.removeAttribute("open");
    menu.querySelector("summary")?.focus();
  }
});

// A live part that gets no answer says so beside its heading instead of showing old numbers as new.
for (const [name, stale] of /** @type {const} */ ([
  ["htmx:sendError", true],
  ["htmx:responseError", true],
  ["htmx:timeout", true],
  ["htmx:afterSwap", false],
])) {
  document.addEventListener(name, (event) => {
    const live = /** @type {Element} */ (event.target).closest("[data-live]");
    const note = live && document.getElementById(live.getAttribute("data-live") ?? "");
    if (note) {
      note.hidden = !stale;
    }
  });
}

// A table scrolled sideways stays where it is when its live part is renewed.
/** @type {Map<string, number>} */
const scrolled = new Map();
document.addEventListener("htmx:beforeSwap", (event) => {
  scrolled.clear();
  for (const wrap of /** @type {Element} */ (event.target).querySelectorAll(".table-wrap[id]")) {
    scrolled.set(wrap.id, wrap.scrollLeft);
  }
});
document.addEventListener("htmx:afterSwap", () => {
  for (const [id, left] of scrolled) {
    document.getElementById(id)?.scrollTo({ left, behavior: "instant" });
  }
});

// What was said of an act can be read in peace, though its live part is renewed meanwhile: it is put
// back in the same turn, and so is not heard again. The next act ends it, whether it says anything or not.
const READ_MS = 8000;
/** @type {{nodes: Node[], until: number}} */
const said = { nodes: [], until: 0 };
document.addEventListener("htmx:afterSwap", (event) => {
  const { detail } = /** @type {CustomEvent} */ (event);
  const place = document.querySelector("[data-said]");
  if ((detail.requestConfig?.verb ?? "get") !== "get") {
    said.nodes = place ? [...place.childNodes].map((node) => node.cloneNode(true)) : [];
    said.until = place ? performance.now() + READ_MS : 0;
  } else if (place && performance.now() < said.until) {
    place.replaceChildren(...said.nodes.map((node) => node.cloneNode(true)));
  }
});

// What is ticked stays ticked when its live part is renewed.
/** @type {Set<string>} */
const ticked = new Set();
document.addEventListener("htmx:beforeSwap", (event) => {
  const part = /** @type {Element} */ (event.target);
  if (part.matches("[data-keeps-ticks]")) {
    ticked.clear();
    for (const box of part.querySelectorAll("input[type=checkbox][id]:checked")) {
      ticked.add(box.id);
    }
  }
});
document.addEventListener("htmx:afterSwap", (event) => {
  const part = /** @type {Element} */ (event.target);
  for (const id of part.matches("[data-keeps-ticks]") ? ticked : []) {
    const box = document.getElementById(id);
    if (box instanceof HTMLInputElement) {
      box.checked = true;
    }
  }
});

// So does what somebody is typing into one: its value, not what the server would put there.
/** @type {Map<string, string>} */
const typed = new Map();
document.addEventListener("htmx:beforeSwap", (event) => {
  const part = /** @type {Element} */ (event.target);
  typed.clear();
  if (part.matches("[data-keeps-typed]")) {
    for (const field of part.querySelectorAll("input[id]:not([type=hidden], [type=checkbox])")) {
      typed.set(field.id, /** @type {HTMLInputElement} */ (field).value);
    }
  }
});
document.addEventListener("htmx:afterSwap", () => {
  for (const [id, value] of typed) {
    const field = document.getElementById(id);
    if (field instanceof HTMLInputElement) {
      field.value = value;
    }
  }
  typed.clear();
});

applyTheme(document.documentElement.dataset.theme ?? "");
