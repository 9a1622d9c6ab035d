// What the middle of the screen shows, made of what is known. Pure.

import { fill } from "../review/clock.js";

/**
 * @typedef {import("./types.js").BoardState} BoardState
 * @typedef {import("./types.js").Scene} Scene
 * @typedef {import("./types.js").Task} Task
 * @typedef {import("./types.js").Words} Words
 * @typedef {{board: BoardState, task: Task|null, isReached: boolean, isLookOnly: boolean,
 *   done: ReadonlySet<string>, isStopping?: boolean, imageOf: (task: Task, view: import("./types.js").View) => string,
 *   words: Words}} Known `done`: what was pressed here and is not yet on the board;
 *   `isStopping`: a stop was called here that the board does not show yet
 */

/** The name under which a hold counts as put away. @param {import("./types.js").Hold} hold */
export function holdKey(hold) {
  return `hold/${hold.unit.serial}/${hold.held_since}`;
}

/** @param {string} check its id */
export function checkKey(check) {
  return `check/${check}`;
}

/** @param {string} call its id */
export function callKey(call) {
  return `call/${call}`;
}

/** @param {Known} known @returns {Scene} */
export function sceneOf(known) {
  const { board, done } = known;
  const stop = board.calls.find((call) => call.kind === "STOP" && !done.has(callKey(call.id)));
  if (stop || known.isStopping) {
    return stopped(known, stop ?? null);
  }
  const [next, ...others] = holdsOf(board).filter((hold) => !done.has(holdKey(hold)));
  if (next) {
    const unknown = Math.max(0, board.holds - holdsOf(board).length);
    return held(known, next, others.length + unknown);
  }
  if (board.check) {
    return checked(known, board.check);
  }
  return known.task && !known.isLookOnly ? decided(known, known.task) : running(known);
}

/** @param {Words} words @param {import("./types.js").State} state @returns {Scene} */
function bare(words, state) {
  return {
    state,
    word: words[`state_${state}`],
    meaning: state,
    serial: "",
    facts: "",
    sights: [],
    alt: "",
    noImage: "",
    instruction: "",
    why: "",
    steps: [],
    choices: [],
    task: null,
  };
}

/** @param {import("./types.js").Unit} unit @param {Words} words */
function factsOf(unit, words) {
  const revision = unit.part_revision ? ` ${unit.part_revision}` : "";
  const lot = unit.lot ? fill(words.lot, { lot: unit.lot }) : "";
  return [unit.part_number ? `${unit.part_number}${revision}` : "", lot].filter(Boolean).join(" · ");
}

/** @param {string|null} url @returns {import("./types.js").Sight[]} */
function plain(url) {
  return url ? [{ url, away: url, width: 0, height: 0, regions: [], view: "" }] : [];
}

/**
 * Nothing to press: a stop is released by who comes.
 * @param {Known} known @param {import("./types.js").Call|null} stop null: not at the server yet @returns {Scene}
 */
function stopped({ board, words }, stop) {
  const unit = board.unit;
  return {
    ...bare(words, "STOPPED"),
    serial: unit?.serial ?? "",
    facts: unit ? factsOf(unit, words) : "",
    sights: plain(unit?.image_url ?? null),
    alt: unit ? fill(words.image_of, { serial: unit.serial }) : "",
    noImage: words.no_image,
    instruction: words.stopped_do,
    why: `${stop ? answerTo(stop, words) : words.call_saved} ${words.stop_released}`,
  };
}

/** Who comes, in words. @param {import("./types.js").Call} call @param {Words} words */
export function answerTo(call, words) {
  if (call.answered_by) {
    return fill(words.call_answered, { name: call.answered_by });
  }
  return call.escalated_at ? words.call_escalated : words.call_open;
}

/** Those the board names, the longest held first: without network one goes on with the next. @param {BoardState} board */
export function holdsOf(board) {
  return board.hold ? [board.hold, ...(board.next_holds ?? [])] : [];
}

/** @param {Known} known @param {import("./types.js").Hold} hold @param {number} others still to be put away @returns {Scene} */
function held({ isLookOnly, words }, hold, others) {
  const { serial } = hold.unit;
  const body = { serial, held_since: hold.held_since, place: hold.place };
  const more = others > 0 ? fill(words.more_holds, { n: others }) : "";
  const owner = hold.owner ? fill(words.hold_owner, { name: hold.owner }) : "";
  return {
    ...bare(words, "HOLD"),
    meaning: holdKey(hold),
    serial,
    facts: factsOf(hold.unit, words),
    sights: plain(hold.image_url),
    alt: fill(words.image_of, { serial }),
    noImage: words.no_image,
    instruction: hold.instruction,
    why: [hold.why, owner, more].filter(Boolean).join(" "),
    choices: isLookOnly
      ? []
      : [choice("placed", words.placed, hold.place, "tray", { kind: "hold_done", body })],
  };
}

/** @param {Known} known @param {import("./types.js").Check} check @returns {Scene} */
function checked({ board, done, isLookOnly, words }, check) {
  const isDone = check.done_by !== null || done.has(checkKey(check.id));
  const waits = fill(words.check_waits, { fit: check.fit, needs: check.needs });
  const by = check.done_by ? fill(words.check_done_by, { name: check.done_by }) : "";
  return {
    ...bare(words, "CAPTURE_CHECK"),
    meaning: `${checkKey(check.id)}/${isDone}`,
    facts: fill(words.check_unfit, { n: check.unfit }),
    serial: board.unit?.serial ?? "",
    sights: plain(check.image_url),
    alt: words.image_unfit,
    noImage: words.no_image,
    instruction: isDone ? waits : check.instruction,
    why: isDone ? by : "",
    steps: isDone ? [] : check.steps,
    choices:
      isDone || isLookOnly
        ? []
        : [choice("cleaned", words.check_done, "", "check", { kind: "check_done", body: { check: check.id } })],
  };
}

/** @param {Known} known @param {Task} task @returns {Scene} */
function decided({ imageOf, words }, task) {
  const { serial } = task.unit;
  const sights = task.views.map((view) => ({
    url: imageOf(task, view),
    away: view.image_url,
    width: view.width,
    height: view.height,
    regions: view.regions,
    view: view.view,
  }));
  return {
    ...bare(words, "DECIDE"),
    meaning: `DECIDE/${task.id}/${task.fence}`,
    serial,
    facts: factsOf(task.unit, words),
    sights: [...sights].sort((one, other) => other.regions.length - one.regions.length),
    alt: fill(words.image_of, { serial }),
    noImage: words.no_image,
    instruction: task.question,
    choices: verdicts(task, words),
    task,
  };
}

/** Accept, the bench, reject: the harmless one stands between the other two. @param {Task} task @param {Words} words */
function verdicts(task, words) {
  const { id, fence, reject, defect_class: code } = task;
  const said = (/** @type {string} */ answer, /** @type {string} */ disposition, /** @type {string|null} */ named) => ({
    kind: "decision",
    body: { task: id, fence, answer, disposition, defect_class: named },
  });
  const rejecting = choice("reject", words.reject, reject.label, "cross", said("CONFIRMED", reject.disposition, code));
  return [
    choice("accept", words.accept, words.accept_what, "check", said("FALSE_CALL", "ACCEPT", null)),
    choice("bench", words.to_bench, words.to_bench_what, "bench", { kind: "to_bench", body: { task: id, fence } }),
    { ...rejecting, isHeld: reject.disposition === "SCRAP" },
  ];
}

/** @param {Known} known @returns {Scene} */
function running({ board, isLookOnly, words }) {
  const { unit } = board;
  // A unit waits here, but this is not the tablet that has it: the word stays the board's.
  const isAsking = board.state === "DECIDE" && isLookOnly;
  const state = isAsking ? "DECIDE" : "RUNNING";
  return {
    ...bare(words, state),
    meaning: `${state}/${unit?.serial ?? ""}`,
    serial: unit?.serial ?? "",
    facts: unit ? factsOf(unit, words) : "",
    sights: plain(unit?.image_url ?? null),
    alt: unit ? fill(words.image_of, { serial: unit.serial }) : "",
    noImage: unit ? words.no_image : words.no_unit,
    instruction: unit ? unit.instruction : words.no_unit_do,
  };
}

/**
 * @param {string} act @param {string} label @param {string} what @param {string} icon
 * @param {import("./types.js").Press} press @returns {import("./types.js").Choice}
 */
function choice(act, label, what, icon, press) {
  return { act, label, what, icon, isHeld: false, press };
}
