// Shapes shared by the modules of the outbox; nothing of this runs.

/**
 * A moment, told by three clocks: the tablet's, one that is never set, and how far off the first was.
 * @typedef {{wall: number, mono: number, epoch: string, offset_s: number|null}} Mark
 *
 * @typedef {"decision"|"undo"|"to_bench"|"hold_done"|"check_done"|"call"|"call_close"} Kind
 *
 * A press as it is kept on the tablet. `seq` is the order of the presses.
 * @typedef {{seq: number, schema: number, key: string, kind: Kind, attendance: string|null, app: string,
 *   body: Record<string, any>, mark: Mark}} Row
 *
 * A press as it is sent.
 * @typedef {{schema: number, key: string, kind: Kind, attendance: string|null, made_at: string,
 *   age_s: number, clock: "monotonic"|"wall", offset_s: number|null, app: string,
 *   body: Record<string, any>}} Message
 *
 * @typedef {{key: string, state: "applied"|"superseded"|"conflict", sentence?: string}} Answer
 *
 * A press the server could not count. It is shown until somebody has read it.
 * @typedef {{key: string, kind: Kind, body: Record<string, any>, made_at: string,
 *   sentence: string}} ConflictRow
 *
 * What came back from a call. `status` 0: nothing did.
 * @typedef {{status: number, body: any, code: string, retryAfter: number|null}} Reply
 *
 * @typedef {{unsent: number, oldest_s: number}} Counts
 *
 * @typedef {{id: string, fence: number, lease_s: number, question: string,
 *   defect_class: string|null, defect_name: string,
 *   reject: {disposition: string, label: string},
 *   unit: {serial: string, part_number: string|null, part_revision: string|null, lot: string|null},
 *   deadline: string, opened_at: string, views: View[]}} Task
 * @typedef {{capture: string, view: string, width: number, height: number, image_url: string,
 *   regions: {label: string, box?: number[]|null, polygon?: number[][]|null}[]}} View
 *
 * A task on the shelf. `decided`: the key of the press that decided it here.
 * @typedef {{id: string, task: Task, leased: Mark, place: number, decided: string|null}} Shelved
 */

export {};
