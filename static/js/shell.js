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

applyTheme(document.documentElement.dataset.theme ?? "");
