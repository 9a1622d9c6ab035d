// One sentence at a time in a place of its own; what must be read waits until it was tapped away.

import { byId, say } from "../../review/dom.js";
import { announce } from "./announce.js";
import { fit, keepFitted } from "./fit.js";

const PASSING_MS = 8000;

/** @typedef {{text: string, tone: "quiet"|"warn"|"fault", action?: string, act?: () => void}} Note */

// The first that is there is shown.
const ORDER = ["fault", "unsaved", "disk", "conflict", "message", "start", "look", "keep", "update", "sound", "calibrate", "weakness"];

export class Notes {
  constructor() {
    /** @type {Map<string, Note>} */
    this.notes = new Map();
    this.shown = "";
    this.timers = { unsaved: 0, message: 0 };
    // Told while another room was open, it had no place to be fitted into.
    keepFitted([byId("note-text")]);
    byId("note-act").addEventListener("click", () => this.#first()?.[1].act?.());
  }

  /** @param {string} name @param {Note|null} note null takes it away */
  set(name, note) {
    if (note) {
      this.notes.set(name, note);
    } else {
      this.notes.delete(name);
    }
    this.#draw();
  }

  /** What passes by itself; that something was not saved, before all else. @param {string} text @param {Note["tone"]} [tone] */
  pass(text, tone = "quiet") {
    const name = tone === "fault" ? "unsaved" : "message";
    if (this.notes.get(name)?.text === text) {
      // The second refusal is as much one as the first.
      announce(text, tone);
    }
    this.set(name, { text, tone });
    clearTimeout(this.timers[name]);
    this.timers[name] = Number(setTimeout(() => this.set(name, null), PASSING_MS));
  }

  #first() {
    const name = ORDER.find((each) => this.notes.has(each));
    const note = name && this.notes.get(name);
    return note ? /** @type {const} */ ([name, note]) : null;
  }

  #draw() {
    const [name, note] = this.#first() ?? ["", null];
    const looks = `${name}/${note?.text}/${note?.action}`;
    if (looks === this.shown) {
      return;
    }
    this.shown = looks;
    const box = byId("note");
    box.hidden = !note;
    box.dataset.tone = note?.tone ?? "";
    box.dataset.name = name;
    say("note-text", note?.text ?? "");
    if (note) {
      announce(note.text, note.tone);
    }
    say("note-act", note?.action ?? "");
    byId("note-act").hidden = !note?.action;
    fit(byId("note-text"));
  }
}
