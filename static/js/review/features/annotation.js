// Drawing at the bench: what is pressed, clicked and dragged on the stage goes to the desk.

import { byId } from "../dom.js";
import { Desk } from "../annotation/desk.js";
import { TARGET } from "../annotation/tools.js";

/** @typedef {import("../context.js").Bench} Bench */

const SLIP = 10;

/** @param {Bench} bench @returns {Desk} */
export function install(bench) {
  const desk = new Desk(bench);
  Object.assign(bench.acts, {
    box: () => desk.toggle("box"),
    polygon: () => desk.toggle("polygon"),
    proposals: () => desk.take(),
    "next-region": () => desk.step(1),
    "previous-region": () => desk.step(-1),
    "delete-region": () => desk.remove(),
    "undo-drawing": () => desk.travel("undo"),
    "redo-drawing": () => desk.travel("redo"),
    "restore-drawing": () => desk.restore(),
  });
  bench.regionsOf = (held) => desk.regionsOf(held);
  bench.on("show", (held) => desk.show(held));
  bench.on("view", (held, index) => {
    desk.showView(held, index);
    byId("take-proposals").disabled = desk.proposals().length === 0;
  });
  bench.on("settled", (entry) => entry.kind === "decision" && desk.settled(entry.task));
  watch(bench, desk);
  window.addEventListener("keydown", (event) => pressed(event, bench, desk), { capture: true });
  holdRegions(bench, desk);
  return desk;
}

/** What the session says only by being different: the unit lost, another class chosen. @param {Bench} bench @param {Desk} desk */
function watch(bench, desk) {
  let before = "";
  let isLost = false;
  bench.on("change", () => {
    const { session } = bench;
    const now = `${session.isLost} ${session.isTakingBack} ${desk.held?.choice.defectClass}`;
    if (session.isLost && !isLost) {
      desk.lose();
    }
    isLost = session.isLost;
    if (now !== before) {
      before = now;
      desk.refresh();
    }
  });
}

/** @param {KeyboardEvent} event @param {Bench} bench @param {Desk} desk */
function pressed(event, bench, desk) {
  const target = /** @type {Element} */ (event.target);
  const isTyping = target.closest("input, textarea, select, dialog, [role=dialog]") !== null;
  const isButton = target.closest("button, a, summary") !== null;
  const isPressing = event.code === "Enter" || event.code === "Space";
  if (bench.popovers.open || isTyping || (isButton && isPressing)) {
    return;
  }
  if (desk.keyboard.press(event)) {
    // Whoever hears of it later sees that it had its meaning.
    event.preventDefault();
  }
}

/**
 * Without a tool a drag moves the image, unless it starts on the selected region; a click selects.
 * @param {Bench} bench @param {Desk} desk
 */
function holdRegions(bench, desk) {
  const { root } = bench.stage;
  /** @type {{id: number, x: number, y: number}|null} */
  let tap = null;

  const placeOf = (/** @type {PointerEvent} */ event) => {
    const { left, top } = root.getBoundingClientRect();
    return bench.stage.toImage({ x: event.clientX - left, y: event.clientY - top });
  };
  const handOver = {
    down: () => {},
    move: (/** @type {{x: number, y: number}} */ point) => desk.edit.move(point),
    up: (/** @type {{x: number, y: number}} */ point) => desk.edit.up(point),
    cancel: () => desk.edit.cancel(),
  };

  // Before the stage hears of it, so that the drag is the region's and not the image's.
  const down = (/** @type {PointerEvent} */ event) => {
    const isOnImage = !(/** @type {Element} */ (event.target).closest("button, a, ul, .notice, .golden"));
    desk.handles = event.pointerType === "touch" ? TARGET.touch : TARGET.mouse;
    desk.cursor = null;
    if (!event.isPrimary || event.button !== 0 || !isOnImage || !desk.isOurs) {
      tap = null;
    } else if (desk.tool === null) {
      tap = { id: event.pointerId, x: event.clientX, y: event.clientY };
      if (desk.edit.grab(placeOf(event), event)) {
        bench.stage.setTool(handOver);
      }
    }
  };
  const up = (/** @type {PointerEvent} */ event) => {
    const far = tap ? Math.hypot(event.clientX - tap.x, event.clientY - tap.y) : SLIP;
    const isTap = tap?.id === event.pointerId && far < SLIP && event.type === "pointerup";
    tap = null;
    // After the stage: its own end of the drag comes first.
    queueMicrotask(() => {
      if (desk.tool === null && desk.isOurs) {
        bench.stage.setTool(null);
        if (isTap) {
          desk.edit.pick(placeOf(event), event);
        }
      }
    });
  };
  root.addEventListener("pointerdown", down, { capture: true });
  root.addEventListener("pointerup", up);
  root.addEventListener("pointercancel", up);
}
