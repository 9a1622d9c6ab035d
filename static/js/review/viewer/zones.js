// Zones of the part, each with its own rules: quiet dashed outlines with their names.

import { Layer, rem, token } from "./layer.js";

/** @typedef {{name: string, severity: string, polygon: number[][]}} Zone */

export class Zones extends Layer {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    super(canvas);
    /** @type {Zone[]} */
    this.zones = [];
  }

  /** @param {Zone[]} zones */
  show(zones) {
    this.zones = zones;
    this.canvas.dataset.zones = zones.map(({ name }) => name).join("; ");
  }

  /** @param {import("./layer.js").Ground} ground */
  draw(ground) {
    if (!this.wants(this.zones.length)) {
      return;
    }
    const context = this.begin(ground);
    const unit = rem();
    context.font = `${0.75 * unit}px ${getComputedStyle(document.body).fontFamily}`;
    context.lineWidth = 1;
    const [ink, halo] = [token("--stage-text"), token("--region-halo")];
    for (const { name, polygon } of this.zones) {
      const points = polygon.map(([x, y]) => ground.toScreen({ x, y }));
      const path = new Path2D();
      points.forEach(({ x, y }, index) => (index === 0 ? path.moveTo(x, y) : path.lineTo(x, y)));
      path.closePath();
      context.setLineDash([]);
      context.strokeStyle = halo;
      context.globalAlpha = 0.4;
      context.lineWidth = 2.5;
      context.stroke(path);
      context.globalAlpha = 0.85;
      context.setLineDash([6, 5]);
      context.lineWidth = 1;
      context.strokeStyle = ink;
      context.stroke(path);
      const at = points.reduce((best, point) => (point.x + point.y < best.x + best.y ? point : best));
      context.setLineDash([]);
      context.lineWidth = 3;
      context.strokeStyle = halo;
      context.globalAlpha = 0.7;
      context.strokeText(name, at.x + 5, at.y + unit);
      context.globalAlpha = 1;
      context.fillStyle = ink;
      context.fillText(name, at.x + 5, at.y + unit);
    }
  }
}
