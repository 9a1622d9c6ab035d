// What every part of the bench works with; one object, made once by bench.js.

/**
 * @typedef {{digit?: number, disposition?: string}} Intent
 * @typedef {{get: (name: string) => any, set: (name: string, value: unknown) => void}} Preferences
 *
 * @typedef {object} Bench
 * @property {any} config
 * @property {Record<string, string>} strings
 * @property {import("./api.js").Api} api
 * @property {import("./session.js").Session} session
 * @property {import("./stage.js").Stage} stage
 * @property {import("./rail.js").Rail} rail
 * @property {import("./verdict_bar.js").VerdictBar} bar
 * @property {import("./view_strip.js").ViewStrip} strip
 * @property {import("./figures.js").Figures} figures
 * @property {import("./popovers.js").Popovers} popovers
 * @property {import("./notices.js").Notices} notices
 * @property {Record<string, (intent: Intent) => unknown>} acts what a key or button does, by name
 * @property {import("./hooks.js").Hooks["on"]} on
 * @property {import("./hooks.js").Hooks["tell"]} tell
 * @property {() => import("./types.js").Held|null} held the unit on the screen
 * @property {() => number} viewIndex which of its views
 * @property {(index: number) => void} showView
 * @property {() => void} refresh bring the page up to date with the session
 * @property {(held: import("./types.js").Held|null) => import("./types.js").DefectClass[]} classesOf
 * @property {(code: string) => string} className
 * @property {(code: string) => void} chooseClass
 * @property {(answer: string, disposition: string, concession?: string) => boolean} decide
 * @property {() => void} sayWhatIsDue which picture keeps the unit from being accepted
 * @property {Preferences|null} preferences
 * @property {{map: import("./keys.js").KeyMap}} keys the keys as this person has laid them
 * @property {((proceed: () => void) => boolean)|null} beforeReject
 *   true lets the reject go on at once; false says that the feature calls `proceed` later
 * @property {((held: import("./types.js").Held) => {view: string, label: string, box?: number[],
 *   polygon?: number[][]}[])|null} regionsOf what was drawn on the unit
 * @property {((held: import("./types.js").Held, code: string, regions: object[]) =>
 *   {kind: string, words: string}|null)|null} dispositionFor what the rules make of a finding
 * @property {((held: import("./types.js").Held) => {kind: string, words: string}|null)|null} acceptFor
 *   what an accept comes to where it is not an accept
 */

export {};
