// Badge, then PIN. A scan may come at any time; keys and fingers type the rest.

import { fill } from "../../review/clock.js";
import { byId, say } from "../../review/dom.js";

const MOST_DIGITS = 12;

export class SignIn {
  /**
   * @param {import("../types.js").Words} words
   * @param {{api: import("../api.js").Api, rooms: import("./rooms.js").Rooms,
   *   who: () => string|null, onArrived: (operator: import("../types.js").Operator) => void,
   *   onNext: (code: string) => void, tell: (text: string) => void}} parts
   *   `who`: who is here now; `onNext`: the latest of what was scanned while a badge was being checked
   */
  constructor(words, { api, rooms, who, onArrived, onNext, tell }) {
    this.words = words;
    this.api = api;
    this.rooms = rooms;
    this.who = who;
    this.onArrived = onArrived;
    this.onNext = onNext;
    this.tell = tell;
    this.badge = "";
    this.typed = "";
    /** The badge that is being checked. */
    this.asked = "";
    this.next = "";
    this.#listen();
  }

  #listen() {
    byId("badge-form").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      const field = byId("badge-field");
      if (field.value.trim()) {
        void this.scanned(field.value.trim());
        field.value = "";
      }
    });
    byId("pin-back").addEventListener("click", () => this.rooms.go(this.who() ? "work" : "badge"));
    byId("pad").addEventListener("click", (/** @type {Event} */ event) => {
      const key = /** @type {Element} */ (event.target).closest("[data-key]");
      if (key) {
        this.#key(key.getAttribute("data-key") ?? "");
      }
    });
    document.addEventListener("keydown", (event) => this.#pressed(event));
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    if (this.rooms.open !== "pin" || event.ctrlKey || event.altKey || event.metaKey) {
      return;
    }
    const onButton = /** @type {Element} */ (event.target).closest("button, a");
    const key = { Enter: onButton ? "" : "go", Backspace: "back" }[event.key] ?? event.key;
    if (/^(?:\d|go|back)$/.test(key)) {
      event.preventDefault();
      this.#key(key);
    }
  }

  /** @param {string} key */
  #key(key) {
    if (key === "go") {
      if (this.typed) {
        void this.#ask(this.badge, this.typed);
      }
      return;
    }
    this.typed = key === "back" ? this.typed.slice(0, -1) : (this.typed + key).slice(0, MOST_DIGITS);
    this.#draw();
  }

  #draw() {
    say("pin-dots", "●".repeat(this.typed.length));
    say("pin-says", "");
    say("spoken", this.typed ? fill(this.words.pin_typed, { n: this.typed.length }) : "");
  }

  /** A badge was scanned or typed. @param {string} badge */
  async scanned(badge) {
    if (this.asked) {
      this.#wait(badge);
      return;
    }
    this.typed = "";
    say("badge-says", "");
    await this.#ask(badge);
  }

  /** One at a time is checked; of what is scanned meanwhile the last counts. @param {string} badge */
  #wait(badge) {
    this.next = badge === this.asked ? "" : badge;
    if (this.next) {
      this.#say(fill(this.words.scan_waits, { code: badge }));
    }
  }

  /** @param {string} badge @param {string} [pin] */
  async #ask(badge, pin) {
    if (this.asked) {
      return;
    }
    this.asked = badge;
    try {
      const { operator } = await this.api.signIn(badge, pin);
      this.typed = "";
      this.onArrived(operator);
    } catch (error) {
      this.#refused(badge, /** @type {import("../api.js").LineError} */ (error));
    } finally {
      this.asked = "";
    }
    const { next } = this;
    this.next = "";
    if (next) {
      this.onNext(next);
    }
  }

  /** @param {string} badge @param {import("../api.js").LineError} error */
  #refused(badge, error) {
    this.typed = "";
    if (error.code === "pin_needed") {
      this.badge = badge;
      say("pin-whose", fill(this.words.badge, { badge }));
      this.#draw();
      this.rooms.go("pin");
      return;
    }
    if (this.rooms.open === "pin") {
      this.#draw();
    }
    this.#say(this.#reason(badge, error));
  }

  /** Where he looks. @param {string} text */
  #say(text) {
    if (this.rooms.open === "pin") {
      say("pin-says", text);
    } else if (this.rooms.open === "badge") {
      say("badge-says", text);
    } else {
      this.tell(text);
    }
  }

  /** @param {string} badge @param {import("../api.js").LineError} error */
  #reason(badge, { status, code, detail }) {
    const name = this.who();
    if (status === 0) {
      return name ? fill(this.words.no_network_badge_stays, { name }) : this.words.no_network_badge;
    }
    if (code === "badge_unknown" && name) {
      return fill(this.words.scan_unknown, { code: badge });
    }
    return detail || fill(this.words.sign_in_failed, { detail: String(status) });
  }
}
