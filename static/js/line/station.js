// The tablet at a station: makes its parts, joins them, and keeps time.

import { fill } from "../review/clock.js";
import { byId, say, stopHeldPress } from "../review/dom.js";
import { Alarm, heard, Speaker } from "./alarm.js";
import { Api } from "./api.js";
import { Board } from "./board.js";
import { CLOSED_AFTER_MS, Desk } from "./desk.js";
import { Guard } from "./guard.js";
import { openKept, Refilling } from "./keeping.js";
import { forget, recall, remember, withoutThePast } from "./memory.js";
import { DiskHangs } from "./outbox/database.js";
import { Install } from "./outbox/install.js";
import { listenForScans } from "./scanner.js";
import { announce } from "./screen/announce.js";
import { Answers } from "./screen/answers.js";
import { Calibration } from "./screen/calibration.js";
import { Calls } from "./screen/calls.js";
import { keptVolume, Menu } from "./screen/menu.js";
import { Notes } from "./screen/notes.js";
import { Picture } from "./screen/picture.js";
import { Rooms } from "./screen/rooms.js";
import { SignIn } from "./screen/sign_in.js";
import { Strip } from "./screen/strip.js";
import { UnitScreen } from "./screen/unit.js";
import { Warnings } from "./screen/warnings.js";
import { ServerTime } from "./server_time.js";

const TICK_MS = 250;
const QUIET_MS = 60_000;
const LATE_MS = 5_000;

/** @type {import("./types.js").PageFacts} */
const page = JSON.parse(byId("page").textContent ?? "{}");
/** @type {import("./types.js").Words} */
const words = JSON.parse(byId("words").textContent ?? "{}");

/** @param {string} text */
const speak = (text) => announce(text, "quiet");

const notes = new Notes();
const warnings = new Warnings(words, notes);
let isOpening = true;
const kept = page.is_look_only ? null : await openKept(page, { onHealth: disk }).catch(cannotKeep);
isOpening = false;
const outbox = kept?.outbox ?? null;
const isLookOnly = page.is_look_only || kept === null;
const guard = new Guard();
const time = new ServerTime({ store: localStorage, offset: () => outbox?.clock.offset_s ?? 0 });
const serverNow = () => time.now();
const api = new Api({ base: page.api });
const desk = new Desk({
  outbox,
  shelf: kept?.shelf ?? null,
  words,
  undoMs: page.undo_seconds * 1000,
  isLookOnly,
  onChange: show,
});
const rooms = new Rooms({ onLeave: () => show() });
const unit = new UnitScreen();
const picture = new Picture(words, { onLate: cameLate });
const strip = new Strip(words, page);
const speaker = new Speaker({ volume: keptVolume() });
const alarm = new Alarm({ sound: (kind) => speaker.play(kind) });
const answers = new Answers(words, {
  mayPress,
  onPress: pressed,
  onUndo: () => void keeping(() => desk.undo()),
  speak,
});
const calls = new Calls(words, {
  desk,
  now: serverNow,
  onOpen: () => rooms.go(rooms.open === "calls" ? "work" : "calls"),
  run: keeping,
  speak,
});
const calibration = new Calibration(words, {
  api,
  rooms,
  tell: (text) => notes.pass(text),
  onMeasured: () => warnings.measured(true, () => {}),
});
const signIn = new SignIn(words, {
  api,
  rooms,
  who: () => desk.operator?.name ?? null,
  onArrived: (operator) => {
    stands(operator);
    board.poke({ isAnew: true });
    notes.pass(fill(words.is_here, { name: operator.name }));
  },
  onNext: scanned,
  tell: (text) => notes.pass(text, "warn"),
});
const board = new Board({
  url: `${page.api}/board${page.is_look_only ? `?station=${encodeURIComponent(page.slug)}` : ""}`,
  onBoard: (state) => quietly(arrived(state)),
  onContact: contact,
  onRefused: refused,
  onTime: (told) => time.heard(told),
});
/** Whether another tab has loaded the new version: this one follows as soon as no press is on its way to the disk. */
let isTakenOver = false;
const install = new Install({
  onChange: (state) => warnings.installed(state, () => install.takeOver()),
  onTakenOver: () => (isTakenOver = true),
});
const refilling =
  kept &&
  new Refilling({
    shelf: kept.shelf,
    api,
    // What can still be taken back would be leased twice: enough lies ready meanwhile.
    mayClaim: () =>
      desk.operator !== null &&
      desk.isReached &&
      (desk.undoLeft === 0 || desk.tasks.length < kept.shelf.ahead / 2),
    onFilled: () => desk.renew(),
    onRefused: () => board.poke({ isAnew: true }),
  });

/** @param {Error} error @returns {null} */
function cannotKeep(error) {
  console.error(error);
  if (!(error instanceof DiskHangs)) {
    notes.set("fault", { text: words.cannot_keep, tone: "fault" });
  }
  return null;
}

/** @param {boolean} isAnswering whether what is pressed can be kept */
function disk(isAnswering) {
  warnings.disk(isAnswering);
  if (!isAnswering || isOpening) {
    return;
  }
  if (kept === null) {
    // Nothing could be pressed so far.
    location.reload();
    return;
  }
  notes.pass(words.disk_back);
  quietly(desk.restore());
  void outbox?.drain();
}

/** What the disk refuses for now is asked again by who comes next. @param {Promise<unknown>} act */
function quietly(act) {
  act.catch((error) => console.error(error));
}

/** Draw what is known. Called for whatever changes; what is as before is left alone. */
function show() {
  const { board: state, scene } = desk;
  if (!state || !scene) {
    return;
  }
  if (guard.mean(scene.meaning, performance.now())) {
    answers.settle(true);
  }
  unit.show(scene);
  picture.show(scene);
  answers.show(scene);
  answers.settle(guard.left(performance.now()) > 0);
  answers.tell(desk.said, desk.undoLeft);
  calls.show();
  strip.show(state, scene.serial);
  alarm.hear(heard(state, scene));
  enter();
}

let isRefused = false;

/** Who may go where: without anybody at the tablet there is only the badge. */
function enter() {
  if (isRefused) {
    rooms.go("gone");
    return;
  }
  const isAlone = !isLookOnly && desk.operator === null;
  if (isAlone && !["badge", "pin", "calibrate", "menu"].includes(rooms.open)) {
    rooms.go("badge");
  }
  if (!isAlone && ["badge", "gone"].includes(rooms.open)) {
    rooms.go("work");
  }
  if (rooms.open === "calls" && !desk.hasCalls) {
    rooms.go("work");
  }
  const names = (desk.board?.colleagues ?? []).map(({ name }) => name).join(", ");
  say("badge-colleagues", names ? fill(words.one_scan, { names }) : "");
}

/** @param {import("./types.js").BoardState} state */
async function arrived(state) {
  const before = desk.operator;
  isRefused = false;
  remember(localStorage, page.slug, state);
  if (state.device) {
    calibration.told(state.device.px_per_mm);
    if (kept) {
      kept.shelf.ahead = state.device.ahead;
    }
    const isMeasured = state.device.px_per_mm !== null || calibration.known !== null;
    warnings.measured(isMeasured, () => calibration.begin());
  }
  desk.heard(state);
  if (before?.attendance !== state.operator?.attendance && rooms.open === "pin") {
    rooms.go("work");
  }
  await (state.operator ? refilling?.now() : leave());
}

/** Who is here from now on, though the network may go before the board says so. @param {import("./types.js").Operator|null} operator */
function stands(operator) {
  desk.stands(operator);
  if (desk.board) {
    remember(localStorage, page.slug, desk.board);
  }
  if (rooms.open === "pin") {
    rooms.go("work");
  }
}

/** Nobody is here any more: nothing to be seen stays. */
async function leave() {
  await kept?.shelf.empty();
  await desk.renew();
}

/** @param {boolean} isReached */
function contact(isReached) {
  const isBack = isReached && !desk.isReached;
  desk.isReached = isReached;
  strip.contact({ isReached, unsent: outbox?.counts().unsent ?? 0 });
  if (isBack) {
    void outbox?.drain();
    picture.askAgain();
  }
}

/** @param {number} status @param {string} code empty: somebody on the way said so, not the server */
function refused(status, code) {
  const unsent = outbox?.counts().unsent ?? 0;
  const isSignedOut = page.is_look_only || status === 401;
  say("gone-title", page.is_look_only ? words.signed_out : words.revoked);
  const stays = unsent ? ` ${fill(words.revoked_unsent, { n: unsent })}` : "";
  say("gone-says", page.is_look_only ? words.signed_out_do : words.revoked_do + stays);
  byId("gone-link").hidden = !isSignedOut;
  forget(localStorage);
  if (code && !isRefused) {
    quietly(leave());
  }
  isRefused = true;
  rooms.go("gone");
}

/** Whether a press counts now; for a moment after it none does, and the buttons say so. */
function mayPress() {
  const mayIt = guard.admits(performance.now());
  answers.settle(guard.left(performance.now()) > 0);
  return mayIt;
}

/** Another picture to judge has come under the finger: a press that was on its way is none on it. */
function turned() {
  guard.turn(performance.now());
  answers.settle(true);
}

function cameLate() {
  if (answers.isHeld) {
    answers.letGo();
    notes.pass(words.image_came, "warn");
  }
  turned();
}

/**
 * Who has not looked at all of it has not judged it.
 * @param {import("./types.js").Choice} choice @param {import("./types.js").Scene} scene
 */
function pressed(choice, scene) {
  const unseen = choice.press.kind === "decision" ? picture.showUnseen() : null;
  if (unseen) {
    if (unseen.word === "look_first") {
      turned();
    }
    notes.pass(fill(words[unseen.word], unseen), "warn");
  } else {
    void keeping(() => desk.press(choice, scene, picture.seen.size));
  }
}

/** Keep a press; what is not on the disk is not called saved. @param {() => Promise<void>} act */
async function keeping(act) {
  try {
    await act();
    show();
    void refilling?.now();
  } catch (error) {
    console.error(error);
    notes.pass(error instanceof DiskHangs ? words.disk_hangs : words.not_saved, "fault");
  }
}

/** @param {string} code */
function scanned(code) {
  const place = desk.operator ? desk.pick(code) : null;
  if (place) {
    notes.pass(fill(words[`scan_${place}`], { serial: code }));
    rooms.go("work");
  } else {
    void signIn.scanned(code);
  }
}

/** @returns {Promise<string>} what stands against it */
async function signOut() {
  try {
    // The disk is asked: what was counted may be older than the latest press.
    const unsent = (await outbox?.rows())?.length ?? 0;
    if (unsent > 0) {
      return fill(words.sign_out_unsent, { n: unsent });
    }
    await api.signOut();
  } catch {
    return words.sign_out_failed;
  }
  stands(null);
  quietly(leave());
  rooms.go("badge");
  board.poke({ isAnew: true });
  return "";
}

async function conflicts() {
  const [first] = (await outbox?.conflicts()) ?? [];
  warnings.conflict(first?.sentence ?? null, () => outbox && quietly(outbox.acknowledge(first.key)));
}

function tick() {
  warnings.keeping(outbox?.counts() ?? null, outbox?.skew_s ?? null);
  warnings.late(!desk.board && !isRefused && performance.now() > LATE_MS);
  time.tick();
  const now = performance.now();
  answers.settle(guard.left(now) > 0);
  answers.tell(desk.said, desk.undoLeft);
  calls.show();
  strip.tick(serverNow());
  rooms.tick();
  picture.prepare(desk.images.values());
  if (desk.board && withoutThePast(desk.board, serverNow()) !== desk.board) {
    desk.heard(withoutThePast(desk.board, serverNow()));
    quietly(leave());
  }
  if (isTakenOver && desk.saying.size === 0 && !answers.isHeld) {
    isTakenOver = false;
    location.reload();
  }
  const isQuiet = rooms.idleMs > QUIET_MS && !answers.isHeld;
  if (isQuiet && install.state.isUpdateWaiting && outbox?.counts().unsent === 0) {
    install.takeOver();
  }
}

function listen() {
  listenForScans({ onScan: scanned, isOff: () => isLookOnly || isRefused || answers.isHeld });
  addEventListener("keydown", stopHeldPress);
  addEventListener("online", () => {
    board.poke();
    picture.askAgain();
  });
  addEventListener("offline", () => board.poke());
  document.addEventListener("visibilitychange", () => (document.hidden ? board.stop() : board.start()));
  for (const name of ["pointerdown", "keydown"]) {
    addEventListener(name, () => void unlock(), { capture: true });
  }
  outbox?.onChange((counts, said) => {
    strip.contact({ isReached: desk.isReached, unsent: counts.unsent });
    if (counts.unsent > 0 && !desk.isReached) {
      void install.askForSync();
    }
    quietly(desk.answered(said));
    if (said.length > 0 && desk.calling.size > 0) {
      // A call that was closed before the board showed it changes no board: it is asked for anew.
      setTimeout(() => desk.calling.size > 0 && board.poke({ isAnew: true }), CLOSED_AFTER_MS + 500);
    }
    // What came about without the press is told in passing; a conflict stays until it was read.
    const told = said.find(({ state, sentence }) => state === "superseded" && sentence);
    if (told?.sentence) {
      notes.pass(told.sentence, "warn");
    }
    quietly(conflicts());
  });
}

async function unlock() {
  if (!speaker.isUnlocked && (await speaker.unlock())) {
    notes.set("sound", null);
  }
}

new Menu(words, { rooms, speaker, onCalibrate: () => calibration.begin(), onSignOut: signOut });
if (page.is_look_only) {
  notes.set("look", { text: words.look_only, tone: "quiet" });
} else {
  notes.set("sound", { text: words.sound_off, tone: "quiet" });
}
listen();
contact(false);
setInterval(tick, TICK_MS);
const known = recall(localStorage, page.slug, serverNow());
if (known) {
  desk.heard(known);
}
if (!document.hidden) {
  board.start();
}
if (kept) {
  quietly(install.begin());
}
await desk.restore();
await conflicts();
