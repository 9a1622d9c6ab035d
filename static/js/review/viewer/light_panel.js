// The light panel: brightness and contrast of an 8-bit image, window and level of a 16-bit one.

import { EVEN, autoWindow, isAuto } from "./light.js";

/**
 * @typedef {import("./pane.js").Light} Light
 * @typedef {import("./light.js").Range} Range
 */

export class LightPanel {
  /**
   * @param {HTMLElement} root
   * @param {{onChange: (light: Light) => void, onClose: () => void}} told
   */
  constructor(root, { onChange, onClose }) {
    this.root = root;
    this.onChange = onChange;
    this.onClose = onClose;
    /** @type {Light} */
    this.light = EVEN;
    /** @type {Range|null} */
    this.range = null;
    this.#listen();
  }

  get isOpen() {
    return !this.root.hidden;
  }

  open() {
    this.root.hidden = false;
    this.#fields(this.#kind).find((field) => field.type === "range")?.focus();
  }

  close() {
    this.root.hidden = true;
  }

  /** @param {Light} light @param {Range|null} range */
  show(light, range) {
    this.light = light;
    this.range = range;
    for (const part of /** @type {NodeListOf<HTMLElement>} */ (
      this.root.querySelectorAll("[data-light-kind]")
    )) {
      part.hidden = part.dataset.lightKind !== this.#kind;
    }
    const most = range ? 2 ** range.bits - 1 : 0;
    for (const field of this.#fields(this.#kind)) {
      const name = field.dataset.light ?? "";
      if (range) {
        field.max = String(name === "window" ? most + 1 : most);
      }
      const value = String(Math.round(Number(/** @type {any} */ (light)[name])));
      if (field.value !== value) {
        field.value = value;
      }
    }
    this.#invert.checked = light.invert;
  }

  get isChanged() {
    const { light, range } = this;
    if (range && "window" in light) {
      return !isAuto(range, light);
    }
    return "contrast" in light && (light.contrast !== 0 || light.brightness !== 0 || light.invert);
  }

  get #kind() {
    return this.range ? "window" : "tone";
  }

  get #invert() {
    return /** @type {HTMLInputElement} */ (this.root.querySelector("[data-light-invert]"));
  }

  /** @param {string} kind @returns {HTMLInputElement[]} */
  #fields(kind) {
    return [...this.root.querySelectorAll(`[data-light-kind="${kind}"] input[data-light]`)].map(
      (field) => /** @type {HTMLInputElement} */ (field),
    );
  }

  #listen() {
    const { root } = this;
    root.addEventListener("input", (event) => this.#changed(/** @type {any} */ (event.target)));
    root.querySelector("[data-light-reset]")?.addEventListener("click", () => {
      this.#tell(this.range ? autoWindow(this.range) : EVEN);
    });
    root.querySelector("form")?.addEventListener("submit", (event) => {
      event.preventDefault();
      this.onClose();
    });
    root.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        event.stopPropagation();
        this.onClose();
      }
    });
  }

  /** @param {HTMLInputElement} field */
  #changed(field) {
    if (field === this.#invert) {
      this.#tell({ ...this.light, invert: field.checked });
      return;
    }
    const value = Number(field.value);
    const [least, most] = [Number(field.min), Number(field.max)];
    if (field.value === "" || !Number.isFinite(value)) {
      return;
    }
    const kept = Math.min(Math.max(Math.round(value), least), most);
    this.#tell(/** @type {Light} */ ({ ...this.light, [field.dataset.light ?? ""]: kept }));
  }

  /** @param {Light} light */
  #tell(light) {
    this.show(light, this.range);
    this.onChange(light);
  }
}
