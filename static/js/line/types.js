// Shapes shared by the tablet's modules; nothing of this runs.

/**
 * @typedef {{serial: string, part_number: string|null, part_revision: string|null, lot: string|null}} Unit
 * @typedef {{label: string, box?: number[]|null, polygon?: number[][]|null}} Region
 * @typedef {{capture: string, view: string, width: number, height: number, image_url: string,
 *   regions: Region[]}} View
 * @typedef {{id: string, fence: number, lease_s: number, question: string, defect_class: string|null,
 *   defect_name: string, reject: {disposition: string, label: string}, unit: Unit, deadline: string,
 *   opened_at: string, views: View[]}} Task
 * @typedef {{id: string, kind: "HELP"|"STOP", by: string|null, at: string, answered_by: string|null,
 *   answered_at: string|null, escalated_at: string|null}} Call
 * @typedef {{unit: Unit, held_since: string, kind: string, instruction: string, why: string,
 *   place: string, owner: string|null, image_url: string|null}} Hold
 * @typedef {{id: string, opened_at: string, causes: string[], instruction: string, steps: string[],
 *   done_by: string|null, done_at: string|null, fit: number, needs: number, unfit: number,
 *   image_url: string|null}} Check
 * @typedef {"STOPPED"|"HOLD"|"CAPTURE_CHECK"|"DECIDE"|"RUNNING"} State
 * @typedef {{attendance: string, name: string, badge: string, until: string}} Operator
 * @typedef {{serial: string, for: "operator"|"bench"|"rack", since: string}} Waiting
 * @typedef {{server_time: string, station: {site: string, line: string, station: string},
 *   device: {name: string, px_per_mm: number|null, ahead: number}|null, operator: Operator|null,
 *   colleagues: {attendance: string, name: string}[], state: State, word: string, hold: Hold|null,
 *   next_holds?: Hold[],
 *   holds: number, check: Check|null, calls: Call[],
 *   unit: (Unit & {image_url: string|null, disposition: string|null, instruction: string, at: string})|null,
 *   waiting: Waiting[], waiting_counts: {operator: number, bench: number, rack: number},
 *   second_opinions: number}} BoardState
 * @typedef {{slug: string, site: string, line: string, station: string, api: string,
 *   is_look_only: boolean, device: string|null, ahead: number, px_per_mm: number|null, app: string,
 *   language: string, undo_seconds: number}} PageFacts
 * @typedef {Record<string, string>} Words
 * @typedef {{kind: string, body: Record<string, any>}} Press what one press says
 * @typedef {{act: string, label: string, what: string, icon: string, isHeld: boolean,
 *   press: Press}} Choice one of at most three buttons
 * @typedef {{url: string, away: string, width: number, height: number, regions: Region[], view: string}} Sight `url`
 *   may lie on the tablet; `away`: at the server
 * @typedef {{state: State, word: string, meaning: string, serial: string, facts: string,
 *   sights: Sight[], alt: string, noImage: string, instruction: string, why: string, steps: string[],
 *   choices: Choice[], task: Task|null}} Scene everything the middle of the screen shows
 */

export {};
