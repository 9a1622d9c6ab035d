// The bench: joins the session to the page. Keys and buttons in, image and words out.

import { Api } from "./api.js";
import { Figures } from "./figures.js";
import { byId, say } from "./dom.js";
import { fill } from "./clock.js";
import { choiceIntentOf, intentOf } from "./keys.js";
import { Notices } from "./notices.js";
import { tabStore } from "./outbox.js";
import { Picture } from "./pictures.js";
import { Popovers } from "./popovers.js";
import { Rail } from "./rail.js";
import { Session } from "./session.js";
import { Stage } from "./stage.js";
import { VerdictBar } from "./verdict_bar.js";
import { ViewStrip } from "./view_strip.js";

/** @typedef {import("./types.js").Held} Held */

const config = JSON.parse(byId("bench-config").textContent ?? "{}");
const { strings, language } = config;
/** @type {Record<string, import("./types.js").DefectClass[]>} */
const catalogue = config.classes;

const api = new Api({
  base: config.api,
  csrf: config.csrf,
  site: config.site,
  onContact: (reached) => {
    figures.contact(reached);
    if (reached) {
      notices.hide("unreachable");
    }
  },
});
const notices = new Notices(strings.dismiss);
const popovers = new Popovers();
const figures = new Figures({ strings, api });
const rail = new Rail({ strings, language, onClass: chooseClass });
const stage = new Stage(byId("stage"), byId("sheet"), svgById("overlay"), className);
const strip = new ViewStrip((index) => showView(index));
const bar = new VerdictBar({ strings, classes: () => classesOf(session.current), onClass: chooseClass });

const session = new Session({
  api,
  store: tabStore(sessionStorage, config.person),
  prepare,
  discard: (held) => held.pictures.forEach((picture) => picture.discard()),
  onShow: show,
  onNotice: notice,
  onChange: refresh,
  now: () => performance.now(),
  newKey: () => crypto.randomUUID(),
});

let viewIndex = 0;
let firstSeen = 0;
let isOpinionShown = true;
let isPaused = false;
let lastActivity = performance.now();

/** @param {import("./types.js").Task} task @param {Held} [earlier] @returns {Held} */
function prepare(task, earlier) {
  const pictures =
    earlier?.pictures ??
    task.views.map((view) => {
      const picture = new Picture(view.image_url, arrived);
      void picture.load();
      return picture;
    });
  const known = (catalogue[task.station.site] ?? []).some((c) => c.code === task.defect_class);
  const defectClass = known ? task.defect_class : null;
  return { task, pictures, choice: { defectClass, disposition: null, comment: "" } };
}

/** @param {Held|null} held */
function show(held) {
  const began = performance.now();
  popovers.close();
  byId("bench").dataset.state = held ? "task" : "empty";
  byId("empty").hidden = held !== null;
  byId("rail-task").hidden = held === null;
  byId("stage").dataset.task = held?.task.id ?? "";
  notices.hide("lost");
  if (!held) {
    stage.clear();
    strip.show([], []);
    return;
  }
  rail.show(held.task, classesOf(held));
  /** @type {HTMLTextAreaElement} */ (byId("comment")).value = held.choice.comment;
  strip.show(held.task.views, held.pictures);
  firstSeen = 0;
  showView(worstOf(held.task.views));
  performance.measure("loupe:show", { start: began });
}

/** @param {import("./types.js").View[]} views the first of the highest score is looked at first */
function worstOf(views) {
  return views.reduce((worst, view, index) => (view.score > views[worst].score ? index : worst), 0);
}

/** @param {number} index */
function showView(index) {
  const held = session.current;
  const view = held?.task.views[index];
  if (!held || !view) {
    return;
  }
  viewIndex = index;
  const picture = held.pictures[index];
  stage.show(view, picture.state === "ready" ? picture.element : null);
  strip.mark(index);
  seen(picture);
  refresh();
}

/** @param {Picture} picture */
function arrived(picture) {
  const held = session.current;
  if (held?.pictures.includes(picture)) {
    strip.arrive(held.pictures.indexOf(picture), picture);
  }
  if (held && held.pictures[viewIndex] === picture) {
    if (picture.state === "ready") {
      stage.arrive(picture.element);
    }
    seen(picture);
    refresh();
  }
}

/** @param {Picture} picture */
function seen(picture) {
  byId("picture-wait").hidden = picture.state !== "loading";
  byId("picture-failed").hidden = picture.state !== "failed";
  say("picture-why", picture.detail);
  if (picture.state === "ready" && firstSeen === 0) {
    firstSeen = performance.now();
  }
}

function refresh() {
  const held = session.current;
  const picture = held?.pictures[viewIndex] ?? null;
  bar.show({
    held,
    canJudge: picture?.state === "ready" && !session.isTakingBack && !session.isLost,
    canLeave: held !== null && !session.isTakingBack && !session.isLost,
    isTakingBack: session.isTakingBack,
    hasUndo: session.undoable !== null,
    undoLeft: session.undoLeft,
  });
  rail.choose(held?.choice.defectClass ?? null);
  byId("lost").hidden = !session.isLost;
  byId("paused").hidden = !isPaused;
  figures.unsent(session.outbox.unsent);
  figures.recorded(session.recorded);
}

/** @param {string} name @param {{serial?: string, says?: string, detail?: string}} facts */
function notice(name, facts) {
  const { serial = "", says = "", detail = "" } = facts;
  if (name === "signed_out") {
    const action = strings.log_in;
    notices.show(strings.signed_out, { name, href: config.login, action });
  } else if (name !== "lost") {
    notices.show(fill(strings[name], { serial, says, detail }).trim());
  }
}

/** @param {string} answer @param {string} disposition */
function decide(answer, disposition) {
  const held = session.current;
  if (!held || held.pictures[viewIndex]?.state !== "ready") {
    return;
  }
  const { defectClass } = held.choice;
  if (answer === "CONFIRMED" && defectClass === null) {
    popovers.show("choice");
    return;
  }
  const comment = /** @type {HTMLTextAreaElement} */ (byId("comment")).value.trim();
  held.choice.comment = comment;
  const verdict = {
    answer,
    disposition,
    defect_class: answer === "CONFIRMED" ? defectClass : null,
    comment,
    seconds: Math.round(performance.now() - firstSeen) / 1000,
  };
  const name = answer === "CONFIRMED" ? className(defectClass ?? "") : strings[answer];
  session.decide(verdict, `${name} · ${strings[disposition]}`);
}

function reject() {
  decide("CONFIRMED", defaultDisposition());
}

function defaultDisposition() {
  const held = session.current;
  const chosen = classesOf(held).find((each) => each.code === held?.choice.defectClass);
  return chosen?.default_disposition ?? "HOLD";
}

/** @param {string} code */
function chooseClass(code) {
  if (session.current) {
    session.current.choice.defectClass = code;
    refresh();
  }
}

/** @param {number} digit */
function chooseDigit(digit) {
  const found = classesOf(session.current)[digit - 1];
  if (found) {
    chooseClass(found.code);
  }
}

/** @param {string} reason */
function skip(reason) {
  if (reason.trim()) {
    session.skip(reason.trim(), strings.skip);
  }
}

function toggleModel() {
  isOpinionShown = !isOpinionShown;
  stage.showOpinion(isOpinionShown);
  byId("model-toggle").setAttribute("aria-pressed", String(isOpinionShown));
}

function nextView() {
  const count = session.current?.task.views.length ?? 0;
  showView((viewIndex + 1) % Math.max(1, count));
}

/** @type {Record<string, (intent: {digit?: number, disposition?: string}) => void>} */
const acts = {
  accept: () => decide("FALSE_CALL", "ACCEPT"),
  reject,
  "reject-as": ({ disposition }) => decide("CONFIRMED", disposition ?? "HOLD"),
  inconclusive: () => decide("INCONCLUSIVE", "HOLD"),
  choose: () => session.current && popovers.show("choice"),
  class: ({ digit }) => chooseDigit(digit ?? 0),
  skip: () => session.current && popovers.show("skip"),
  escalate: () => session.current && popovers.show("escalate"),
  undo: () => void session.undo(),
  model: toggleModel,
  fit: () => stage.fit(),
  actual: () => stage.actual(),
  view: nextView,
  help: () => popovers.show("help"),
  close: () => void (popovers.close() || notices.dismiss()),
  next: () => session.isLost && session.leaveLost(),
  resume: () => resume(),
};

/** @param {KeyboardEvent} event */
function pressed(event) {
  const target = /** @type {Element} */ (event.target);
  if (isPaused) {
    resume();
    event.preventDefault();
    return;
  }
  const isTyping = target.matches("input, textarea, select");
  if (isTyping && event.key !== "Escape") {
    return;
  }
  const skipDigit = popovers.open === "skip" ? /^(?:Digit|Numpad)([1-4])$/.exec(event.code) : null;
  if (skipDigit && !event.repeat) {
    pressSkip(Number(skipDigit[1]));
    event.preventDefault();
    return;
  }
  if (session.isLost && event.key === "Enter") {
    session.leaveLost();
    return;
  }
  const intent = popovers.open === "choice" ? choiceIntentOf(event) : intentOf(event);
  if (!intent || (popovers.open && popovers.open !== "choice" && !isSmallTalk(intent.name))) {
    return;
  }
  if (intent.name === "view" && !(hasViews() && (target === document.body || stage.root === target))) {
    return;
  }
  event.preventDefault();
  acts[intent.name]?.(intent);
}

/** @param {string} name what may be done while a small form is open */
function isSmallTalk(name) {
  return ["close", "help", "model", "fit", "skip", "escalate"].includes(name);
}

/** @param {number} number */
function pressSkip(number) {
  const button = document.querySelectorAll("[data-skip]")[number - 1];
  if (button) {
    skip(button.getAttribute("data-skip") ?? "");
  } else {
    byId("skip-reason").focus();
  }
}

function hasViews() {
  return (session.current?.task.views.length ?? 0) > 1;
}

function listen() {
  document.addEventListener("keydown", pressed);
  document.addEventListener("click", (event) => {
    const button = /** @type {Element} */ (event.target).closest("[data-act]");
    if (button && event.detail <= 1) {
      const { act = "", disposition } = /** @type {HTMLElement} */ (button).dataset;
      acts[act]?.({ disposition });
    }
  });
  for (const button of document.querySelectorAll("[data-skip]")) {
    button.addEventListener("click", () => skip(button.getAttribute("data-skip") ?? ""));
  }
  onSubmit("skip-form", () => skip(field("skip-reason").value));
  onSubmit("escalate-form", () =>
    session.escalate(field("escalate-comment").value.trim(), strings.escalate),
  );
  for (const name of ["keydown", "pointerdown", "pointermove", "wheel"]) {
    document.addEventListener(name, () => (lastActivity = performance.now()), { passive: true });
  }
  window.addEventListener("online", () => void session.outbox.flush());
  window.addEventListener("pagehide", () => session.lookahead.giveBackAll({ close: true }));
  window.addEventListener("pageshow", (event) => event.persisted && window.location.reload());
  window.addEventListener("beforeunload", (event) => {
    if (session.outbox.unsent > 0) {
      event.preventDefault();
    }
  });
}

/** @param {string} id @param {() => void} act */
function onSubmit(id, act) {
  byId(id).addEventListener("submit", (event) => {
    event.preventDefault();
    act();
    /** @type {HTMLFormElement} */ (event.target).reset();
  });
}

/** Units nobody looks at go back to the queue; after a while the one on the screen too. */
function rest() {
  const idle = (performance.now() - lastActivity) / 1000;
  if (idle > config.pause_seconds && !isPaused) {
    isPaused = true;
    session.lookahead.giveBackAll();
    show(null);
    refresh();
  } else if (idle > config.idle_seconds && session.current) {
    session.lookahead.giveBackUnseen();
  }
}

function resume() {
  isPaused = false;
  lastActivity = performance.now();
  refresh();
  void session.refill();
}

function isAwake() {
  return !isPaused && performance.now() - lastActivity < config.idle_seconds * 1000;
}

function keepTime() {
  setInterval(() => void session.heartbeat(), config.heartbeat_seconds * 1000);
  setInterval(() => {
    const isEmpty = session.current === null;
    if (!isPaused && (isEmpty || (isAwake() && session.lookahead.missing > 0))) {
      void session.refill();
    }
  }, config.poll_seconds * 1000);
  setInterval(() => void figures.read().then((read) => read && (session.recorded = 0)), 4000);
  setInterval(() => {
    session.expire();
    figures.tick();
    rest();
    refresh();
  }, 250);
}

/** @param {Held|null} held */
function classesOf(held) {
  return (held && catalogue[held.task.station.site]) || [];
}

/** @param {string} code */
function className(code) {
  const known = classesOf(session.current).find((each) => each.code === code);
  return known?.name ?? code.replaceAll("_", " ");
}

/** @param {string} id */
function field(id) {
  return /** @type {HTMLInputElement} */ (byId(id));
}

/** @param {string} id @returns {SVGElement} */
function svgById(id) {
  return /** @type {any} */ (byId(id));
}

listen();
keepTime();
show(null);
refresh();
void figures.read();
void session.outbox.flush();
void session.refill();
