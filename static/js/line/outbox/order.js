// Which presses go next, and which of them an answer lets go. Pure.

/** @typedef {import("./types.js").Row} Row */
/** @typedef {import("./types.js").Answer} Answer */

export const BATCH = 50;
const STATES = new Set(["applied", "superseded", "conflict"]);

/**
 * What a press is about: presses about the same thing never overtake each other.
 * @param {{key: string, kind: string, body: Record<string, any>}} row
 */
export function subjectOf(row) {
  const { body, key } = row;
  switch (row.kind) {
    case "call":
      return `call:${key}`;
    case "call_close":
      return `call:${body.call_key ?? body.call}`;
    case "hold_done":
      return `hold:${body.serial}`;
    case "check_done":
      return `check:${body.check}`;
    default:
      return `task:${body.task}`;
  }
}

/**
 * The next presses to send: in order, without those set aside and whatever is about the same.
 * @param {Row[]} rows
 * @param {{size?: number, aside?: Set<string>}} options `aside`: keys
 */
export function nextBatch(rows, { size = BATCH, aside = new Set() } = {}) {
  const blocked = new Set();
  const batch = [];
  for (const row of [...rows].sort((one, other) => one.seq - other.seq)) {
    const subject = subjectOf(row);
    if (aside.has(row.key)) {
      blocked.add(subject);
    } else if (!blocked.has(subject) && batch.length < size) {
      batch.push(row);
    }
  }
  return batch;
}

/**
 * The answers that name a press of this batch; null when the body is not an answer at all.
 * @param {Row[]} batch @param {any} body
 * @returns {Map<string, Answer>|null}
 */
export function answersTo(batch, body) {
  if (!body || !Array.isArray(body.answers)) {
    return null;
  }
  const sent = new Set(batch.map((row) => row.key));
  const named = new Map();
  for (const answer of body.answers) {
    if (answer && sent.has(answer.key) && STATES.has(answer.state)) {
      named.set(answer.key, answer);
    }
  }
  return named;
}
