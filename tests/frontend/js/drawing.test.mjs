import assert from "node:assert/strict";
import { test } from "node:test";

import { Drawing, told } from "../../../static/js/review/annotation/drawing.js";

const box = (...numbers) => ({ box: numbers, polygon: null });
const drawn = (view, ...numbers) => ({ view, label: null, ...box(...numbers) });

test("what is drawn last is selected, and each step can be taken back and done again", () => {
  const drawing = new Drawing();
  drawing.add(drawn("top", 1, 2, 3, 4));
  drawing.add(drawn("side", 5, 6, 7, 8));
  drawing.reshape(drawing.selectedId, box(5, 6, 9, 9));
  drawing.relabel(drawing.selectedId, "dent");
  assert.deepEqual(drawing.selected.box, [5, 6, 9, 9]);
  const last = drawing.regions;
  let steps = 0;
  while (drawing.undo()) {
    steps += 1;
  }
  assert.equal(steps, 4);
  assert.ok(drawing.isEmpty && !drawing.canUndo && drawing.canRedo);
  while (drawing.redo()) {
    steps -= 1;
  }
  assert.equal(steps, 0);
  assert.equal(drawing.regions, last);
});

test("undo has no end", () => {
  const drawing = new Drawing();
  for (let n = 0; n < 3000; n += 1) {
    drawing.add(drawn("main", n, 0, 1, 1));
  }
  for (let n = 0; n < 3000; n += 1) {
    assert.ok(drawing.undo());
  }
  assert.ok(!drawing.undo());
});

test("steps of one gesture are taken back as one, those of the next apart", () => {
  const drawing = new Drawing();
  drawing.add(drawn("main", 0, 0, 5, 5));
  const { selectedId } = drawing;
  drawing.reshape(selectedId, box(1, 0, 5, 5), "move");
  drawing.reshape(selectedId, box(2, 0, 5, 5), "move");
  drawing.select(selectedId);
  drawing.reshape(selectedId, box(3, 0, 5, 5), "move");
  drawing.undo();
  assert.deepEqual(drawing.selected.box, [2, 0, 5, 5]);
  drawing.undo();
  assert.deepEqual(drawing.selected.box, [0, 0, 5, 5]);
});

test("after a new step there is nothing to do again", () => {
  const drawing = new Drawing();
  drawing.add(drawn("main", 0, 0, 5, 5));
  drawing.undo();
  drawing.add(drawn("main", 1, 1, 5, 5));
  assert.ok(!drawing.canRedo);
});

test("deleting selects the next one of the same view", () => {
  const drawing = new Drawing();
  drawing.add(drawn("top", 0, 0, 1, 1), drawn("side", 0, 0, 2, 2), drawn("top", 0, 0, 3, 3));
  drawing.select("1");
  drawing.remove("1");
  assert.deepEqual(drawing.selected.box, [0, 0, 3, 3]);
  drawing.remove("3");
  assert.equal(drawing.selected, null);
  drawing.undo();
  assert.deepEqual(drawing.selected.box, [0, 0, 3, 3]);
});

test("the next region goes round all views, forwards and backwards", () => {
  const drawing = new Drawing();
  drawing.add(drawn("side", 0, 0, 1, 1), drawn("top", 0, 0, 2, 2), drawn("side", 0, 0, 3, 3));
  drawing.select(null);
  const seen = [1, 1, 1, 1].map((way) => drawing.step(way, ["top", "side"]).id);
  assert.deepEqual(seen, ["2", "1", "3", "2"]);
  assert.equal(drawing.step(-1, ["top", "side"]).id, "3");
  assert.equal(new Drawing().step(1, ["top"]), null);
});

test("an open polygon loses its last point first", () => {
  const drawing = new Drawing();
  drawing.add(drawn("main", 0, 0, 1, 1));
  for (const point of [[0, 0], [4, 0], [4, 4]]) {
    drawing.addPoint("main", point);
  }
  drawing.undo();
  assert.deepEqual(drawing.pending.points, [[0, 0], [4, 0]]);
  drawing.addPoint("main", [4, 8]);
  drawing.close("pore");
  assert.deepEqual(drawing.selected, { id: "2", view: "main", label: "pore", box: null, polygon: [[0, 0], [4, 0], [4, 8]] });
  drawing.addPoint("side", [1, 1]);
  drawing.undo();
  assert.equal(drawing.pending, null);
  assert.equal(drawing.regions.length, 2);
});

test("a region without a class of its own is of the class that the verdict names", () => {
  const drawing = new Drawing();
  drawing.add(drawn("top", 1, 2, 3, 4), { view: "side", label: "dent", box: null, polygon: [[0, 0], [1, 0], [1, 1]] });
  assert.deepEqual(told(drawing, "scratch"), [
    { view: "top", label: "scratch", box: [1, 2, 3, 4] },
    { view: "side", label: "dent", polygon: [[0, 0], [1, 0], [1, 1]] },
  ]);
});

test("a drawing brought back goes on counting where it was", () => {
  const drawing = new Drawing([{ id: "7", ...drawn("main", 0, 0, 1, 1) }]);
  drawing.add(drawn("main", 0, 0, 2, 2));
  assert.equal(drawing.selectedId, "8");
});
