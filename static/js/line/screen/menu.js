// What is seldom needed: sound, measuring the screen, signing out. Theme and language are the page's.

import { fill } from "../../review/clock.js";
import { byId, say } from "../../review/dom.js";

const KEPT = "loupe-line-volume";
const STEP = 0.2;
const USUAL = 0.8;

/** @returns {number} 0..1 */
export function keptVolume() {
  try {
    const read = Number.parseFloat(localStorage.getItem(KEPT) ?? "");
    return read >= 0 && read <= 1 ? read : USUAL;
  } catch {
    return USUAL;
  }
}

export class Menu {
  /**
   * @param {import("../types.js").Words} words
   * @param {{rooms: import("./rooms.js").Rooms, speaker: import("../alarm.js").Speaker,
   *   onCalibrate: () => void, onSignOut: () => Promise<string>}} parts `onSignOut` gives what stands against it
   */
  constructor(words, { rooms, speaker, onCalibrate, onSignOut }) {
    this.words = words;
    this.speaker = speaker;
    byId("open-menu").addEventListener("click", () => {
      say("menu-says", "");
      rooms.go(rooms.open === "menu" ? "work" : "menu");
    });
    byId("volume-down").addEventListener("click", () => this.#volume(-STEP));
    byId("volume-up").addEventListener("click", () => this.#volume(STEP));
    byId("sound-test").addEventListener("click", () => void this.#test());
    byId("open-calibrate").addEventListener("click", onCalibrate);
    byId("sign-out").addEventListener("click", () => void onSignOut().then((says) => say("menu-says", says)));
    this.#volume(0);
  }

  /** @param {number} more */
  #volume(more) {
    const volume = Math.round(Math.min(1, Math.max(0, this.speaker.volume + more)) * 10) / 10;
    this.speaker.volume = volume;
    say("volume", fill(this.words.volume, { n: Math.round(volume * 100) }));
    try {
      localStorage.setItem(KEPT, String(volume));
    } catch {
      // Without storage it holds for this page.
    }
  }

  async #test() {
    await this.speaker.unlock();
    this.speaker.play("hold");
  }
}
