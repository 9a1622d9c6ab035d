// Shapes shared by the bench's modules; nothing of this runs.

/**
 * @typedef {{id: string, label: string, score: number, box: number[]|null, polygon: number[][]|null}} Region
 * @typedef {{capture: string, view: string, width: number, height: number, image_url: string,
 *   score: number, captured_at: string, quality: Record<string, unknown>, regions: Region[]}} View
 * @typedef {{id: string, fence: number, lease_expires_in: number, kind: string, question: string,
 *   deadline: string, opened_at: string, is_escalated: boolean,
 *   unit: {serial: string, part_number: string|null, part_revision: string|null, lot: string|null,
 *     supplier: string|null},
 *   station: {site: string, line: string, station: string|null},
 *   score: number, policy: {version: number, review_from: number, contain_from: number},
 *   defect_class: string|null, model: {name: string|null, version: string|null},
 *   views: View[], history: {at: string, by: string, what: string}[]}} Task
 * @typedef {{defectClass: string|null, disposition: string|null, comment: string}} Choice
 * @typedef {{task: Task, pictures: import("./pictures.js").Picture[], choice: Choice}} Held
 * @typedef {{code: string, name: string, severity: string, severity_name: string,
 *   default_disposition: string, position: number}} DefectClass
 * @typedef {{kind: "decision"|"skip"|"escalate", key: string, task: string, fence: number,
 *   serial: string, body: Record<string, unknown>, says: string}} Message
 */

export {};
