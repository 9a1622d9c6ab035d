import assert from "node:assert/strict";
import { test } from "node:test";

import { Grid, sampleSize } from "../../../static/js/review/lots/grid.js";

const TASKS = ["a", "b", "c", "d", "e", "f", "g"];

test("an arrow leads to the neighbour and never out of the grid", () => {
  const grid = new Grid(TASKS);
  grid.move("ArrowUp", 3);
  assert.equal(grid.focus, 0);
  grid.move("ArrowDown", 3);
  assert.equal(grid.focus, 3);
  grid.move("ArrowRight", 3);
  grid.move("ArrowDown", 3);
  assert.equal(grid.focus, 4);
  grid.move("End", 3);
  assert.equal(grid.focus, 6);
  grid.move("Home", 3);
  assert.equal(grid.focus, 0);
  assert.equal(grid.move("KeyX", 3), false);
});

test("a part is left out and taken in again, one of the sample is not", () => {
  const grid = new Grid(TASKS);
  grid.fixed.add("b");
  assert.equal(grid.toggle("a"), true);
  assert.equal(grid.chosen, 6);
  assert.equal(grid.toggle("b"), false);
  assert.equal(grid.toggle("z"), false);
  grid.toggle("a");
  assert.equal(grid.chosen, 7);
});

test("the sample is the one the server draws", () => {
  assert.deepEqual(
    [200, 20, 5, 1000].map((count) => sampleSize(count, 0.1, 5)),
    [29, 20, 5, 29],
  );
  assert.equal(sampleSize(200, 0.5, 5), 5);
});
