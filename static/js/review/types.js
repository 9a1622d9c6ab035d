// Shapes shared by the bench's modules; nothing of this runs.

/**
 * @typedef {{id: string, label: string, score: number, box: number[]|null, polygon: number[][]|null}} Region
 * @typedef {{capture: string, view: string, width: number, height: number, image_url: string,
 *   score: number|null, captured_at: string, quality: Record<string, unknown>, regions: Region[],
 *   tiles?: Tiles|null, tiles_state?: string, preview?: string, golden?: Golden|null, heatmap_url?: string|null,
 *   zones?: {name: string, severity: string, polygon: number[][]}[]}} View
 * @typedef {{url: string, size: number, levels: number, format: "jpeg"|"grey16", bits: number,
 *   low: number, high: number}} Tiles
 * @typedef {{image_url: string, width: number, height: number, tiles: Tiles|null}} Golden
 * @typedef {{id: string, fence: number, lease_expires_in: number, kind: string, question: string,
 *   deadline: string, opened_at: string, is_escalated: boolean,
 *   unit: {serial: string, part_number: string|null, part_revision: string|null, lot: string|null,
 *     supplier: string|null},
 *   station: {site: string, line: string, station: string|null},
 *   score: number|null,
 *   policy: {version: number, review_from: number, contain_from: number}|null, is_blind?: boolean,
 *   purpose?: string, adjudication?: {verdicts: OpposedVerdict[]}|null, defect_class: string|null, model: {name: string|null, version: string|null},
 *   views: View[], history: {at: string, by: string, what: string}[], comments?: Comment[], views_expected: number,
 *   criteria: {version: number, rules: import("./verdict_rules.js").Rule[]}|null}} Task
 * @typedef {{by: string, answer: string, disposition: string, defect_class: string|null,
 *   comment: string}} OpposedVerdict one of two a lead decides between
 * @typedef {{id: string, at: string, by: string, text: string}} Comment
 * @typedef {{waiting: number, oldest_deadline: string|null, oldest_opened_at: string|null,
 *   decided_today: number, answers?: number, held?: string[],
 *   calls?: import("./calls.js").Call[]}} Queue
 * @typedef {{defectClass: string|null, disposition: string|null, comment: string}} Choice
 * @typedef {{task: Task, pictures: import("./pictures.js").Picture[], choice: Choice,
 *   isBehind?: boolean}} Held a unit at the bench; `isBehind`: more of it has come than is shown
 * @typedef {{code: string, name: string, severity: string, severity_name: string,
 *   default_disposition: string, position: number}} DefectClass
 * @typedef {{kind: "decision"|"skip"|"escalate", key: string, task: string, fence: number,
 *   serial: string, body: Record<string, unknown>, says: string}} Message
 */

export {};
