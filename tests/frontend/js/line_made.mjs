// A board and tasks as the server gives them, for the tests of the tablet's page.

export const words = new Proxy(
  {},
  { get: (_target, name) => (typeof name === "string" ? `${name}: {serial} {what} {name} {n} {t} {lot}` : undefined) },
);

/** @param {object} [more] */
export function board(more = {}) {
  return {
    server_time: "2026-11-22T06:00:00Z",
    station: { site: "plant-1", line: "line-1", station: "st-1" },
    device: { name: "Tablet 1", px_per_mm: 5, ahead: 20 },
    operator: { attendance: "at-1", name: "bo", badge: "B-bo", until: "2026-11-22T14:00:00Z" },
    colleagues: [],
    state: "RUNNING",
    word: "Running",
    hold: null,
    holds: 0,
    check: null,
    calls: [],
    unit: null,
    waiting: [],
    waiting_counts: { operator: 0, bench: 0, rack: 0 },
    second_opinions: 0,
    ...more,
  };
}

/** @param {string} id @param {object} [more] */
export function task(id, more = {}) {
  return {
    id,
    fence: 1,
    lease_s: 1800,
    question: "Is this a scratch?",
    defect_class: "scratch",
    defect_name: "Scratch",
    reject: { disposition: "SCRAP", label: "Scrap" },
    unit: { serial: `SN-${id}`, part_number: "P-1", part_revision: "C", lot: null },
    deadline: "2026-11-22T06:15:00Z",
    opened_at: "2026-11-22T06:00:00Z",
    views: [],
    ...more,
  };
}

export const hold = {
  unit: { serial: "SN-h", part_number: null, part_revision: null, lot: null },
  held_since: "2026-11-22T05:00:00Z",
  kind: "HOLD",
  instruction: "Put SN-h on the red rack.",
  why: "No verdict before the deadline.",
  place: "red rack",
  owner: "lena",
  image_url: null,
};

export const check = {
  id: "ch-1",
  opened_at: "2026-11-22T05:00:00Z",
  causes: ["glare"],
  instruction: "Clean or move.",
  steps: ["Clean the lens.", "Take the picture again."],
  done_by: null,
  done_at: null,
  fit: 0,
  needs: 2,
  unfit: 1,
  image_url: null,
};

/** @param {"HELP"|"STOP"} kind @param {object} [more] */
export function call(kind, more = {}) {
  return {
    id: `call-${kind}`,
    kind,
    by: "bo",
    at: "2026-11-22T05:59:00Z",
    answered_by: null,
    answered_at: null,
    escalated_at: null,
    ...more,
  };
}
