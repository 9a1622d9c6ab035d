// Which call the bench shows, and in what words. Pure.

import { duration, fill } from "./clock.js";

/**
 * @typedef {{id: string, kind: string, word: string, line: string, station: string, at: string,
 *   by: string|null, answered_at: string|null, answered_by: string|null,
 *   escalated_at: string|null, may_answer: boolean}} Call
 */

/**
 * The call a press would answer: the gravest nobody comes for, as the server lists them.
 * @param {Call[]} calls @returns {Call|null}
 */
export function unanswered(calls) {
  return calls.find((each) => each.answered_at === null && each.may_answer) ?? null;
}

/** What the status line shows: what a press would answer before what somebody comes for. @param {Call[]} calls */
export function first(calls) {
  return calls.find((each) => each.answered_at === null) ?? calls[0] ?? null;
}

/** Its shape and colour, always beside its word. @param {Call} call */
export function toneOf(call) {
  if (call.answered_at !== null) {
    return "quiet";
  }
  return call.kind === "STOP" ? "hold" : "warn";
}

/** @param {Call} call @param {number} now milliseconds @param {Record<string, string>} strings */
export function lineOf(call, now, strings) {
  const t = duration((now - Date.parse(call.at)) / 1000, strings);
  return fill(strings.call_line, { word: call.word, station: call.station, t });
}

/** @param {Call} call @param {Record<string, string>} strings */
export function whoOf(call, strings) {
  if (call.answered_by !== null) {
    return fill(strings.call_who, { who: call.answered_by });
  }
  return call.escalated_at === null ? strings.call_nobody : strings.call_escalated;
}

/**
 * Calls that were not there before.
 * @param {Call[]} before @param {Call[]} now
 */
export function fresh(before, now) {
  const known = new Set(before.map((each) => each.id));
  return now.filter((each) => !known.has(each.id));
}

/**
 * The calls with one of them as the server has just answered.
 * @param {Call[]} calls @param {Call & {closed_at?: string|null}} answer
 */
export function renewed(calls, answer) {
  const others = calls.map((each) => (each.id === answer.id ? answer : each));
  return answer.closed_at ? others.filter((each) => each.id !== answer.id) : others;
}
