// One decoded image on the screen, moved by the browser's compositor: it shows in the next frame.

// Above this side a sheet is laid out smaller and scaled up: browsers limit the size of layers.
const MOST_SIDE = 4096;

export class Sheet {
  /** @param {HTMLElement} element */
  constructor(element) {
    this.element = element;
    this.base = 1;
  }

  /** @param {import("../viewport.js").Size} image @param {HTMLImageElement|null} picture decoded */
  show({ width, height }, picture) {
    this.base = Math.min(1, MOST_SIDE / Math.max(width, height));
    this.element.style.width = `${width * this.base}px`;
    this.element.style.height = `${height * this.base}px`;
    this.element.replaceChildren(...(picture ? [picture] : []));
  }

  clear() {
    this.element.replaceChildren();
    this.element.style.width = "0";
  }

  /** @param {import("../viewport.js").Pose} pose */
  place({ scale, rotation, x, y }) {
    const turn = rotation ? ` rotate(${rotation}deg)` : "";
    this.element.style.transform = `translate(${x}px, ${y}px)${turn} scale(${scale / this.base})`;
    const isLarge = scale * window.devicePixelRatio > 2;
    this.element.classList.toggle("sheet--pixels", isLarge);
  }
}
