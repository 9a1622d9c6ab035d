// One part big, all its views; a dialog that is looked at or judged in.

import { byId, element, say } from "../dom.js";
import { SETTLE_MS } from "../guard.js";

export class Big {
  /** @param {() => void} onFault told when an image of the part on the screen does not come */
  constructor(onFault) {
    this.onFault = onFault;
    /** @type {HTMLDialogElement} */
    this.dialog = byId("lot-big");
    /** When the images of the part on the screen had come. */
    this.seenAt = 0;
    this.task = "";
    // A part of the sample is left by judging it, not by a key.
    this.dialog.addEventListener("cancel", (event) => {
      if (this.isJudging) {
        event.preventDefault();
      }
    });
  }

  get isOpen() {
    return this.dialog.open;
  }

  get isJudging() {
    return !byId("lot-judge").hidden;
  }

  /**
   * @param {import("../types.js").Task} task @param {{step: string, judges: boolean}} how
   */
  show(task, { step, judges }) {
    this.task = task.id;
    this.seenAt = 0;
    say("lot-big-title", task.unit.serial);
    say("lot-big-step", step);
    byId("lot-judge").hidden = !judges;
    byId("lot-look").hidden = judges;
    const pictures = task.views.map((view) => {
      const image = /** @type {HTMLImageElement} */ (element("img", { alt: view.view }));
      image.width = view.width;
      image.height = view.height;
      image.src = view.image_url;
      return image;
    });
    byId("lot-pictures").replaceChildren(...pictures);
    void this.#whenSeen(task.id, pictures);
    if (!this.dialog.open) {
      this.dialog.showModal();
    }
  }

  close() {
    if (this.dialog.open) {
      this.dialog.close();
    }
  }

  /** Whether every view is on the screen: before, nothing can be judged. */
  get isSeen() {
    return this.seenAt > 0;
  }

  /** Seconds since the views are on the screen. */
  get seconds() {
    return Math.round(performance.now() - this.seenAt) / 1000;
  }

  /** @param {string} task @param {HTMLImageElement[]} pictures */
  async #whenSeen(task, pictures) {
    const buttons = [...byId("lot-judge").querySelectorAll("[data-judge]")];
    buttons.forEach((button) => (button.disabled = true));
    try {
      await Promise.all(pictures.map((picture) => picture.decode()));
    } catch {
      // Not seen, not judged: the lot can be given back.
      if (this.task === task && pictures[0]?.isConnected) {
        this.onFault();
      }
      return;
    }
    const seenAt = performance.now();
    // A bouncing press was meant for the part before.
    await new Promise((settle) => setTimeout(settle, SETTLE_MS));
    if (this.task === task) {
      this.seenAt = seenAt;
      buttons.forEach((button) => (button.disabled = false));
    }
  }
}
