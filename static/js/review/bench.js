// The bench: makes its parts, joins them, and keeps time.

import { Api } from "./api.js";
import { byId } from "./dom.js";
import { fill } from "./clock.js";
import { Figures } from "./figures.js";
import { Hooks } from "./hooks.js";
import { DEFAULTS } from "./keys.js";
import { Notices } from "./notices.js";
import { tabStore } from "./outbox.js";
import { Popovers } from "./popovers.js";
import { Rail } from "./rail.js";
import { Session } from "./session.js";
import { Stage } from "./stage.js";
import { VerdictBar } from "./verdict_bar.js";
import { ViewStrip } from "./view_strip.js";
import { install as installAnnotation } from "./features/annotation.js";
import { install as installAwaitedTiles } from "./features/awaited_tiles.js";
import { install as installCalls } from "./features/calls.js";
import { install as installBoxPrompt } from "./features/box_prompt.js";
import { install as installAnswers } from "./features/answers.js";
import { standsAgainst, install as installDuePictures } from "./features/due_pictures.js";
import { install as installControl } from "./features/control.js";
import { install as installComments } from "./features/comments.js";
import { install as installKeyboard } from "./features/keyboard.js";
import { install as installLateViews } from "./features/late_views.js";
import { install as installKeys } from "./features/keys.js";
import { Pause } from "./features/pause.js";
import { install as installUnitVerdict } from "./features/unit_verdict.js";
import { install as installPreferences } from "./features/preferences.js";
import { install as installResume } from "./features/resume.js";
import { install as installVerdicts } from "./features/verdicts.js";
import { install as installViewing } from "./features/viewing.js";
import { Views } from "./features/views.js";

/** @typedef {import("./context.js").Bench} Bench */

const config = JSON.parse(byId("bench-config").textContent ?? "{}");
const { strings, language } = config;
const hooks = new Hooks();

/** @type {Bench} */
const bench = {
  config,
  strings,
  acts: {},
  on: hooks.on.bind(hooks),
  tell: hooks.tell.bind(hooks),
  held: () => bench.session.current,
  viewIndex: () => views.index,
  showView: (index) => views.showView(index),
  refresh,
  classesOf: (held) => (held && config.classes[held.task.station.site]) || [],
  className,
  chooseClass,
  decide: () => false,
  sayWhatIsDue: () => {},
  preferences: null,
  keys: { map: { ...DEFAULTS } },
  beforeReject: null,
  regionsOf: null,
  dispositionFor: null,
  acceptFor: null,
  notices: new Notices(strings.dismiss),
  popovers: new Popovers(refresh),
  ...connect(),
  rail: new Rail({ strings, language, onClass: chooseClass }),
  stage: new Stage(byId("stage"), byId("sheet"), svgById("overlay"), className),
  strip: new ViewStrip((index) => views.showView(index), strings),
  bar: new VerdictBar({ strings, classes: () => bench.classesOf(bench.held()), onClass: chooseClass }),
};
const views = new Views(bench);
const { session, figures } = bench;
const pause = new Pause(bench);

/** The parts that speak with the server. */
function connect() {
  const api = new Api({
    base: config.api,
    csrf: config.csrf,
    site: config.site,
    person: config.person,
    onContact: (reached) => {
      bench.figures.contact(reached);
      if (reached) {
        bench.notices.hide("unreachable");
      }
    },
  });
  const session = new Session({
    api,
    store: tabStore(sessionStorage, config.person),
    prepare: (task, earlier) => views.prepare(task, earlier),
    discard: (held) => held.pictures.forEach((picture) => picture.discard()),
    onShow: (held) => views.show(held),
    onLeave: (held) => hooks.tell("leave", held),
    onReturned: (held) => hooks.tell("returned", held),
    onSettled: (entry, answer) => hooks.tell("settled", entry, answer),
    onNotice: notice,
    onChange: refresh,
    now: () => performance.now(),
    newKey: () => crypto.randomUUID(),
  });
  const onRead = (/** @type {import("./types.js").Queue} */ queue) => hooks.tell("figures", queue);
  return { api, session, figures: new Figures({ strings, api, account: session, onRead }) };
}

function refresh() {
  const held = session.current;
  const isOurs = !session.isTakingBack && !session.isLost;
  const canJudge = views.picture?.state === "ready" && isOurs && !session.isSettling;
  const due = held && standsAgainst(strings, held, views.index);
  bench.bar.show({
    held,
    canJudge,
    // Out of reach of a slip while a reject is being said.
    canAccept: canJudge && !due && bench.popovers.open !== "choice",
    canLeave: held !== null && isOurs,
    isTakingBack: session.isTakingBack,
    hasUndo: session.undoable !== null,
    undoLeft: session.undoLeft,
    ruled: held ? ruled(held) : null,
    acceptWords: due?.button ?? (held ? (bench.acceptFor?.(held)?.words ?? null) : null),
  });
  bench.rail.choose(held?.choice.defectClass ?? null);
  byId("lost").hidden = !session.isLost;
  figures.unsent(session.outbox.unsent);
  figures.recorded(session.recorded);
  hooks.tell("change");
}

/** @param {import("./types.js").Held} held what a reject would come to by the rules; null without */
function ruled(held) {
  const code = held.choice.defectClass;
  if (code === null) {
    return null;
  }
  return bench.dispositionFor?.(held, code, bench.regionsOf?.(held) ?? []) ?? null;
}

/** @param {string} name @param {{serial?: string, says?: string, detail?: string}} facts */
function notice(name, facts) {
  const { serial = "", says = "", detail = "" } = facts;
  if (name === "signed_out") {
    const action = strings.log_in;
    const person = bench.api.otherPerson;
    const text = person ? fill(strings.other_person, { person, me: config.person }) : strings.signed_out;
    bench.notices.show(text, { name, href: config.login, action });
  } else if (name !== "lost") {
    bench.notices.show(fill(strings[name], { serial, says, detail }).trim());
  }
}

/** @param {string} code */
function chooseClass(code) {
  if (session.current) {
    session.current.choice.defectClass = code;
    refresh();
  }
}

/** @param {string} code */
function className(code) {
  const known = bench.classesOf(session.current).find((each) => each.code === code);
  return known?.name ?? code.replaceAll("_", " ");
}

/** @param {string} id @returns {SVGElement} */
function svgById(id) {
  return /** @type {any} */ (byId(id));
}

function keepTime() {
  setInterval(() => void session.heartbeat(), config.heartbeat_seconds * 1000);
  setInterval(() => {
    const isEmpty = session.current === null;
    if (!pause.isPaused && (isEmpty || (pause.isAwake && session.lookahead.missing > 0))) {
      void session.refill();
    }
  }, config.poll_seconds * 1000);
  setInterval(() => void figures.read(), 4000);
  setInterval(() => {
    session.expire();
    figures.tick();
    pause.rest();
    refresh();
  }, 250);
}

function listenToThePage() {
  window.addEventListener("online", () => void session.outbox.flush());
  window.addEventListener("pagehide", () => session.lookahead.giveBackAll({ close: true }));
  window.addEventListener("pageshow", (event) => event.persisted && window.location.reload());
  window.addEventListener("beforeunload", (event) => {
    if (session.outbox.unsent > 0) {
      event.preventDefault();
    }
  });
}

Object.assign(bench.acts, {
  model: () => views.toggleOpinion(),
  fit: () => bench.stage.fit(),
  actual: () => bench.stage.actual(),
  view: () => views.turn(1),
  "view-back": () => views.turn(-1),
});
installPreferences(bench);
installVerdicts(bench, views);
installDuePictures(bench);
installUnitVerdict(bench);
installLateViews(bench, views);
installBoxPrompt(bench, installAnnotation(bench));
installAwaitedTiles(bench);
installViewing(bench);
installComments(bench);
installControl(bench);
installAnswers(bench);
installCalls(bench);
installResume(bench);
installKeys(bench);
installKeyboard(bench, pause);
listenToThePage();
keepTime();
views.show(null);
refresh();
void figures.read();
void session.outbox.flush();
void session.refill();
