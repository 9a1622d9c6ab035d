import assert from "node:assert/strict";
import { test } from "node:test";

import {
  autoWindow,
  isAuto,
  isStraight,
  lineOfTone,
  lineOfWindow,
  lutFor,
  paint,
} from "../../../static/js/review/viewer/light.js";
import { levelsOf } from "../../../static/js/review/viewer/levels.js";
import { coarsestWorthFetching, isPastPreview } from "../../../static/js/review/viewer/pyramid.js";
import { inStep, poseOf, snapped, toImage, toScreen, turned } from "../../../static/js/review/viewport.js";

const near = (one, other, by = 1e-6) => assert.ok(Math.abs(one - other) <= by, `${one} is not ${other}`);

test("every one of the 65,536 levels is read from its two bytes", () => {
  const pixels = new Uint8ClampedArray(65_536 * 4);
  for (let value = 0; value < 65_536; value += 1) {
    pixels.set([value >> 8, value & 255, 0, 255], value * 4);
  }
  const levels = levelsOf(pixels);
  assert.ok(levels.every((level, value) => level === value));
});

test("a window of one lets any single level stand out", () => {
  for (let level = 0; level < 65_536; level += 1) {
    if (level % 251 && level % 256 && level !== 65_535) {
      continue;
    }
    const lut = lutFor({ window: 1, level, invert: false });
    assert.equal(lut[level], 128);
    assert.equal(lut[level - 1] ?? 0, 0);
    assert.equal(lut[level + 1] ?? 255, 255);
  }
});

test("the whole range rises evenly from black to white, and inverted falls", () => {
  const lut = lutFor({ window: 65_535, level: 32_767.5, invert: false });
  const turnedRound = lutFor({ window: 65_535, level: 32_767.5, invert: true });
  assert.deepEqual([lut[0], lut[65_535]], [0, 255]);
  for (let value = 1; value < 65_536; value += 1) {
    assert.ok(lut[value] >= lut[value - 1] && lut[value] - lut[value - 1] <= 1);
    assert.ok(Math.abs(lut[value] + turnedRound[value] - 255) <= 1);
  }
});

test("the window of the preview is the one it came with", () => {
  const range = { low: 1_000, high: 9_001, bits: 16 };
  const auto = autoWindow(range);
  assert.ok(isAuto(range, auto));
  assert.ok(isStraight(lineOfWindow(auto, range)));
  assert.ok(!isAuto(range, { ...auto, invert: true }));
  const lut = lutFor(auto);
  assert.deepEqual([lut[1_000], lut[9_001], lut[0], lut[65_535]], [0, 255, 0, 255]);
});

test("the preview is lit as its levels would be", () => {
  const range = { low: 2_000, high: 42_000, bits: 16 };
  for (const invert of [false, true]) {
    const window = { window: 7_000, level: 20_000, invert };
    const lut = lutFor(window);
    const { slope, intercept } = lineOfWindow(window, range);
    for (let value = 2_000; value <= 42_000; value += 500) {
      const out = Math.min(Math.max(((value - 2_000) / 40_000) * slope + intercept, 0), 1);
      near(out * 255, lut[value], 0.6);
    }
  }
});

test("brightness and contrast leave an image alone at zero, and grey in the middle", () => {
  assert.ok(isStraight(lineOfTone({ brightness: 0, contrast: 0, invert: false })));
  const { slope, intercept } = lineOfTone({ brightness: 0, contrast: 50, invert: false });
  assert.deepEqual([slope, 0.5 * slope + intercept], [4, 0.5]);
  const inverted = lineOfTone({ brightness: 0, contrast: 0, invert: true });
  assert.deepEqual([inverted.intercept, inverted.slope + inverted.intercept], [1, 0]);
});

test("a tile is painted grey and opaque by its levels", () => {
  const pixels = new Uint8ClampedArray(8);
  paint(new Uint16Array([0, 65_535]), lutFor({ window: 65_535, level: 32_767.5, invert: true }), pixels);
  assert.deepEqual([...pixels], [255, 255, 255, 255, 0, 0, 0, 255]);
});

test("a point goes to the screen and back, however the image lies", () => {
  const image = { width: 20_000, height: 317 };
  for (const rotation of [0, 90, 180, 270]) {
    for (const scale of [0.013, 1 / 3, 1, 39.5]) {
      const pose = poseOf({ scale, x: -1234.5, y: 77.25 }, rotation, image);
      for (const point of [{ x: 0, y: 0 }, { x: 19_999.5, y: 316.25 }, { x: 7, y: 300 }]) {
        const back = toImage(pose, toScreen(pose, point));
        near(back.x, point.x, 1e-6);
        near(back.y, point.y, 1e-6);
      }
    }
  }
});

test("a turned image keeps its box on the screen", () => {
  const image = { width: 400, height: 100 };
  for (const rotation of [0, 90, 180, 270]) {
    const pose = poseOf({ scale: 2, x: 10, y: 20 }, rotation, image);
    const corners = [[0, 0], [400, 0], [400, 100], [0, 100]].map(([x, y]) => toScreen(pose, { x, y }));
    const upright = turned(image, rotation);
    assert.equal(Math.min(...corners.map(({ x }) => x)), 10);
    assert.equal(Math.min(...corners.map(({ y }) => y)), 20);
    assert.equal(Math.max(...corners.map(({ x }) => x)), 10 + 2 * upright.width);
    assert.equal(Math.max(...corners.map(({ y }) => y)), 20 + 2 * upright.height);
  }
});

test("an image of another size lies in step", () => {
  const [image, other] = [{ width: 480, height: 360 }, { width: 1920, height: 1440 }];
  for (const rotation of [0, 90, 180, 270]) {
    const pose = poseOf({ scale: 1.7, x: -30, y: 5 }, rotation, image);
    const beside = inStep(pose, image, other);
    for (const [x, y] of [[0, 0], [480, 360], [123.4, 300]]) {
      const one = toScreen(pose, { x, y });
      const two = toScreen(beside, { x: x * 4, y: y * 4 });
      near(one.x, two.x);
      near(one.y, two.y);
    }
  }
});

test("at whole zooms the image lies on whole pixels of the screen", () => {
  assert.deepEqual(snapped({ scale: 1 / 3, x: 10.4, y: -0.2 }, 3), { scale: 1 / 3, x: 31 / 3, y: -1 / 3 });
  assert.deepEqual(snapped({ scale: 0.7, x: 10.4, y: 0.2 }, 1), { scale: 0.7, x: 10.4, y: 0.2 });
});

test("only tiles that show more than the preview are fetched", () => {
  assert.equal(coarsestWorthFetching(7, 2048 / 20_000), 3);
  assert.equal(coarsestWorthFetching(3, 1), 2);
  assert.equal(coarsestWorthFetching(7, 0), 0);
  assert.ok(!isPastPreview(0.05, 1, 2048 / 20_000));
  assert.ok(isPastPreview(0.2, 1, 2048 / 20_000));
  assert.ok(isPastPreview(0.06, 2, 2048 / 20_000));
});
