// Where one stopped one goes on: after a reload, a crash or a pause the same units come again.

/**
 * @typedef {import("../context.js").Bench} Bench
 * @typedef {{ids: string[], views: Record<string, number>, classes: Record<string, string|null>}} Place
 */

const MOST = 8;

/** @param {Bench} bench */
export function install(bench) {
  const { api, config, notices, session, strings } = bench;
  const name = `loupe-place:${config.person}:${config.site}`;
  /** @type {Place} */
  let place = load(name);
  /** Units to ask for with the next claim. */
  let wanted = place.ids;
  /** What was chosen on them before this page. */
  const before = place;
  const channel = new BroadcastChannel("loupe-bench");

  function held() {
    return session.lookahead.held.map(({ task }) => task.id);
  }

  function keep() {
    const ids = held();
    if (ids.length === 0) {
      // Given back while nobody was here: the same come again.
      wanted = place.ids;
      return;
    }
    const current = bench.held();
    const views = only(place.views, ids);
    const classes = only(place.classes, ids);
    if (current) {
      views[current.task.id] = bench.viewIndex();
      classes[current.task.id] = current.choice.defectClass;
    }
    const now = { ids, views, classes };
    if (JSON.stringify(now) !== JSON.stringify(place)) {
      place = now;
      save(name, place);
    }
  }

  api.preferred = () => wanted.slice(0, MOST);
  api.onClaimed = (tasks) => {
    const again = new Set(wanted);
    wanted = [];
    const taken = tasks.map((task) => task.id).filter((id) => again.has(id));
    if (taken.length > 0) {
      channel.postMessage({ person: config.person, taken });
    }
  };
  channel.addEventListener("message", ({ data }) => {
    const mine = new Set(held());
    if (data.person === config.person && data.taken.some((/** @type {string} */ id) => mine.has(id))) {
      notices.show(strings.other_tab, { name: "other_tab" });
      void session.heartbeat();
    }
  });

  bench.on("leave", ({ task }) => {
    place = { ...place, ids: place.ids.filter((id) => id !== task.id) };
    save(name, place);
  });
  bench.on("change", keep);
  bench.on("show", (now) => {
    const id = now?.task.id ?? "";
    if (!now || !before.ids.includes(id)) {
      return;
    }
    // Once: what is chosen from now on is this page's own.
    before.ids = before.ids.filter((each) => each !== id);
    now.choice.defectClass = before.classes[id] ?? now.choice.defectClass;
    const view = before.views[id] ?? -1;
    if (view >= 0 && view < now.task.views.length) {
      queueMicrotask(() => bench.held() === now && bench.showView(view));
    }
  });
}

/** @template T @param {Record<string, T>} values @param {string[]} ids @returns {Record<string, T>} */
function only(values, ids) {
  return Object.fromEntries(ids.filter((id) => id in values).map((id) => [id, values[id]]));
}

/** @param {string} name @returns {Place} */
function load(name) {
  const empty = { ids: [], views: {}, classes: {} };
  try {
    return { ...empty, ...JSON.parse(sessionStorage.getItem(name) ?? "{}") };
  } catch {
    return empty;
  }
}

/** @param {string} name @param {Place} place */
function save(name, place) {
  try {
    sessionStorage.setItem(name, JSON.stringify(place));
  } catch {
    // A full or forbidden storage: the next page starts with the most urgent.
  }
}
