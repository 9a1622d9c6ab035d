import assert from "node:assert/strict";
import { test } from "node:test";

import { areaOf, isSimple, wouldCross } from "../../../static/js/review/annotation/crossing.js";
import {
  affineOf,
  bent,
  boundsOf,
  boxBetween,
  contains,
  handlesOf,
  hit,
  moved,
  onImage,
  onScreen,
  placed,
  resized,
  snapped,
  stepOf,
  within,
} from "../../../static/js/review/annotation/geometry.js";
import { poseOf, toImage, toScreen } from "../../../static/js/review/viewport.js";

const CASES = 3000;
const RATIOS = [1, 1.25, 1.5, 2, 3];

/** The same numbers on every run. */
function dice(seed) {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const between = (low, high) => low + next() * (high - low);
  const whole = (low, high) => Math.floor(between(low, high + 1));
  return { next, between, whole, of: (list) => list[whole(0, list.length - 1)] };
}

/** A way of looking at an image: zoom 0.01 to 40, turned by quarters or freely, panned anywhere. */
function look(roll, image) {
  const rotation = roll.next() < 0.7 ? roll.of([0, 90, 180, 270]) : roll.between(-360, 360);
  const scale = 0.01 * 4000 ** roll.next();
  const [x, y] = [roll.between(-3000, 3000), roll.between(-3000, 3000)];
  const way = placed({ scale, rotation, x, y });
  assert.ok(image.width > 0);
  return { way, scale, ratio: roll.of(RATIOS) };
}

function sizes(roll) {
  return { width: roll.whole(1, 30000), height: roll.whole(1, 30000) };
}

/** Where a pointer can be: on a pixel of the screen. */
function pointerAt(point, ratio) {
  return { x: Math.round(point.x * ratio) / ratio, y: Math.round(point.y * ratio) / ratio };
}

test("what is drawn is stored in whole pixels, and reads the same through any other look at it", () => {
  const roll = dice(1);
  for (let n = 0; n < CASES; n += 1) {
    const image = sizes(roll);
    const [first, second] = [look(roll, image), look(roll, image)];
    const [from, to] = [0, 1].map(() =>
      onImage(
        first.way,
        pointerAt(
          onScreen(first.way, { x: roll.between(-20, image.width + 20), y: roll.between(-20, image.height + 20) }),
          first.ratio,
        ),
      ),
    );
    const stored = JSON.parse(JSON.stringify(boxBetween(from, to, image)));
    const [x, y, width, height] = stored;
    assert.ok(stored.every(Number.isInteger), String(stored));
    assert.ok(x >= 0 && y >= 0 && width >= 1 && height >= 1);
    assert.ok(x + width <= image.width && y + height <= image.height);
    for (const { way } of [first, second]) {
      // As a page does it: only asked where a point lies.
      const asked = affineOf((point) => onScreen(way, point));
      const corners = [onScreen(asked, { x, y }), onScreen(asked, { x: x + width, y: y + height })];
      const again = boxBetween(onImage(way, corners[0]), onImage(way, corners[1]), image);
      assert.deepEqual(again, stored);
    }
  }
});

test("what the stage shows at a place is what is drawn there: stored, shown and drawn again", () => {
  const roll = dice(9);
  for (let n = 0; n < CASES; n += 1) {
    const image = sizes(roll);
    const scale = 0.01 * 4000 ** roll.next();
    const viewport = { scale, x: roll.between(-9000, 9000), y: roll.between(-9000, 9000) };
    const pose = poseOf(viewport, roll.of([0, 90, 180, 270]), image);
    const ratio = roll.of(RATIOS);
    const [from, to] = [randomIn(roll, image), randomIn(roll, image)].map((point) =>
      toImage(pose, pointerAt(toScreen(pose, point), ratio)),
    );
    const [x, y, width, height] = boxBetween(from, to, image);
    const other = poseOf({ scale: 0.01 * 4000 ** roll.next(), x: 3, y: 7 }, roll.of([0, 90, 180, 270]), image);
    const corners = [toScreen(other, { x, y }), toScreen(other, { x: x + width, y: y + height })];
    const again = boxBetween(toImage(other, corners[0]), toImage(other, corners[1]), image);
    assert.deepEqual(again, [x, y, width, height]);
  }
});

test("a box follows the pointer to the nearest pixel border", () => {
  const roll = dice(2);
  for (let n = 0; n < CASES; n += 1) {
    const image = sizes(roll);
    const { way, scale, ratio } = look(roll, image);
    const meant = { x: roll.whole(0, image.width), y: roll.whole(0, image.height) };
    const got = snapped(onImage(way, pointerAt(onScreen(way, meant), ratio)), image);
    const most = Math.ceil(0.75 / (scale * ratio) + 1e-6);
    const off = scale * ratio > 2 ? 0 : most;
    assert.ok(Math.abs(got.x - meant.x) <= off && Math.abs(got.y - meant.y) <= off, `${scale} ${ratio}`);
  }
});

test("polygons read the same through any look at them", () => {
  const roll = dice(3);
  for (let n = 0; n < CASES; n += 1) {
    const image = sizes(roll);
    const { way } = look(roll, image);
    const points = Array.from({ length: roll.whole(3, 12) }, () => {
      const { x, y } = snapped({ x: roll.between(0, image.width), y: roll.between(0, image.height) }, image);
      return [x, y];
    });
    const again = points.map(([x, y]) => {
      const read = snapped(onImage(way, onScreen(way, { x, y })), image);
      return [read.x, read.y];
    });
    assert.deepEqual(again, points);
  }
});

test("taking hold of a handle and letting go changes nothing, whole pixels or not", () => {
  const roll = dice(4);
  for (let n = 0; n < CASES; n += 1) {
    const image = sizes(roll);
    const box = roll.next() < 0.5 ? boxBetween(randomIn(roll, image), randomIn(roll, image), image) : halves(roll, image);
    const shape = { box, polygon: null };
    const { scale } = look(roll, image);
    const { handle } = roll.of(handlesOf(boundsOf(shape), 24 / scale));
    const [dx, dy] = [roll.between(-0.49, 0.49), roll.between(-0.49, 0.49)];
    assert.deepEqual(resized(shape, handle, dx, dy, image).box, box);
    assert.deepEqual(moved(shape, dx, dy, image).box, box);
  }
});

test("moved and back is the same, and never outside the image", () => {
  const roll = dice(5);
  for (let n = 0; n < CASES; n += 1) {
    const image = sizes(roll);
    const shape = { box: boxBetween(randomIn(roll, image), randomIn(roll, image), image), polygon: null };
    const there = moved(shape, roll.between(-40000, 40000), roll.between(-40000, 40000), image);
    const [x, y, width, height] = there.box;
    assert.ok(x >= 0 && y >= 0 && x + width <= image.width && y + height <= image.height);
    assert.deepEqual([width, height], shape.box.slice(2));
    const back = moved(there, shape.box[0] - x, shape.box[1] - y, image);
    assert.deepEqual(back.box, shape.box);
  }
});

test("resized by any handle to anywhere a box keeps a pixel and stays in the image", () => {
  const roll = dice(6);
  for (let n = 0; n < CASES; n += 1) {
    const image = sizes(roll);
    const shape = { box: roll.next() < 0.5 ? halves(roll, image) : boxBetween(randomIn(roll, image), randomIn(roll, image), image), polygon: null };
    const { handle } = roll.of(handlesOf(boundsOf(shape), 5));
    const [x, y, width, height] = resized(shape, handle, roll.between(-40000, 40000), roll.between(-40000, 40000), image).box;
    assert.ok(width > 0 && height > 0, `${shape.box} -> ${[x, y, width, height]}`);
    assert.ok(x >= 0 && y >= 0 && x + width <= image.width && y + height <= image.height);
    if (handle.x === 0) {
      assert.deepEqual([x, width], [shape.box[0], shape.box[2]]);
    }
  }
});

test("a key moves by whole pixels in the direction of the screen, however the image is turned", () => {
  const roll = dice(7);
  for (let n = 0; n < CASES; n += 1) {
    const { way, scale } = look(roll, { width: 1 });
    const step = roll.of([{ x: 10, y: 0 }, { x: -10, y: 0 }, { x: 0, y: 10 }, { x: 0, y: -10 }]);
    for (const isOnePixel of [true, false]) {
      const by = stepOf(way, step, isOnePixel);
      const far = Math.max(Math.abs(by.x), Math.abs(by.y));
      assert.ok(Number.isInteger(by.x) && Number.isInteger(by.y) && far >= 1);
      assert.ok(!isOnePixel || far === 1);
      const ahead = way.a * by.x * step.x + way.c * by.y * step.x + way.b * by.x * step.y + way.d * by.y * step.y;
      assert.ok(ahead > 0, `${JSON.stringify(way)} ${scale}`);
    }
  }
});

test("quarter turns keep the axes", () => {
  const way = placed({ scale: 2, rotation: 90, x: 100, y: 50 });
  assert.deepEqual(onScreen(way, { x: 10, y: 0 }), { x: 100, y: 70 });
  assert.deepEqual(stepOf(way, { x: 10, y: 0 }, true), { x: 0, y: -1 });
  assert.deepEqual(placed({ scale: 2, rotation: -270, x: 0, y: 0 }), placed({ scale: 2, rotation: 90, x: 0, y: 0 }));
});

test("a drag within one pixel is that pixel, also at the image's edge", () => {
  const image = { width: 10, height: 10 };
  assert.deepEqual(boxBetween({ x: 3.1, y: 4.2 }, { x: 3.3, y: 4.4 }, image), [3, 4, 1, 1]);
  assert.deepEqual(boxBetween({ x: 11, y: -3 }, { x: 15, y: -1 }, image), [9, 0, 1, 1]);
  assert.deepEqual(boxBetween({ x: 8, y: 9 }, { x: 2, y: 1 }, image), [2, 1, 6, 8]);
});

test("a small box keeps a middle to move it by, with whole handles around it", () => {
  for (const side of [1, 3, 20, 60, 100, 400]) {
    const target = 24;
    const spots = handlesOf({ x: 50, y: 50, width: side, height: side }, target);
    const middle = { x: 50 + side / 2, y: 50 + side / 2 };
    for (const spot of spots) {
      assert.ok(Math.max(Math.abs(spot.x - middle.x), Math.abs(spot.y - middle.y)) >= target, String(side));
    }
    for (const [n, one] of spots.entries()) {
      for (const other of spots.slice(n + 1)) {
        assert.ok(Math.max(Math.abs(one.x - other.x), Math.abs(one.y - other.y)) >= target);
      }
    }
  }
});

test("the smallest region under the pointer is meant, and one just beside it", () => {
  const large = { box: [0, 0, 100, 100], polygon: null };
  const small = { box: [40, 40, 10, 10], polygon: null };
  const angle = { box: null, polygon: [[200, 0], [300, 0], [300, 100]] };
  const all = [small, large, angle];
  assert.equal(hit(all, { x: 45, y: 45 }, 0), small);
  assert.equal(hit(all, { x: 20, y: 20 }, 0), large);
  assert.equal(hit(all, { x: 52, y: 45 }, 4), small);
  assert.equal(hit(all, { x: 210, y: 90 }, 4), null);
  assert.equal(hit(all, { x: 290, y: 50 }, 0), angle);
  assert.equal(contains(angle, { x: 210, y: 90 }), false);
});

test("a polygon that crosses itself is noticed, at the line that does it", () => {
  assert.ok(isSimple([[0, 0], [10, 0], [10, 10], [0, 10]]));
  assert.ok(!isSimple([[0, 0], [10, 10], [10, 0], [0, 10]]), "a bow tie");
  assert.ok(!isSimple([[0, 0], [10, 0], [5, 0], [5, 5]]), "an edge that turns back");
  assert.ok(!isSimple([[0, 0], [5, 0], [10, 0]]), "a line");
  assert.ok(!isSimple([[0, 0], [10, 0], [10, 10], [5, 0], [0, 10]]), "a corner on another edge");
  assert.ok(!isSimple([[0, 0], [10, 0], [10, 10], [10, 10], [0, 10]]), "a point twice");
  assert.ok(!wouldCross([[0, 0], [10, 0]], [10, 10]));
  assert.ok(wouldCross([[0, 0], [10, 0], [10, 10]], [5, -5]));
  assert.ok(wouldCross([[0, 0], [10, 0]], [5, 0]));
  assert.ok(!wouldCross([[0, 0]], [5, 0]));
});

test("a random star is simple, and with two neighbours swapped it hardly ever is", () => {
  const roll = dice(8);
  for (let n = 0; n < 300; n += 1) {
    const count = roll.whole(5, 30);
    const star = Array.from({ length: count }, (_, k) => {
      const [turn, far] = [(k / count) * 2 * Math.PI, roll.between(400, 4000)];
      return [Math.round(5000 + far * Math.cos(turn)), Math.round(5000 + far * Math.sin(turn))];
    });
    assert.ok(isSimple(star));
    const square = [[0, 0], [100, 0], [100, 100], [0, 100]];
    const swap = roll.whole(0, 2);
    [square[swap], square[swap + 1]] = [square[swap + 1], square[swap]];
    assert.ok(!isSimple(square));
  }
});

test("a point of a polygon moves, unless the edges would cross", () => {
  const image = { width: 20, height: 20 };
  const shape = { box: null, polygon: [[0, 0], [10, 0], [10, 10], [0, 10]] };
  assert.deepEqual(bent(shape, 2, 30, 5, image).polygon[2], [20, 15]);
  assert.equal(bent(shape, 2, -10, -20, image), null);
  assert.equal(bent(shape, 2, 0.2, 0.1, image), shape);
});

test("a polygon is stretched as a whole, and not to nothing", () => {
  const image = { width: 100, height: 100 };
  const shape = { box: null, polygon: [[10, 10], [30, 10], [20, 30]] };
  assert.deepEqual(resized(shape, { x: 1, y: 0 }, 20, 0, image).polygon, [[10, 10], [50, 10], [30, 30]]);
  const square = { box: null, polygon: [[10, 10], [30, 10], [30, 30], [20, 32], [10, 30]] };
  assert.equal(resized(square, { x: 1, y: 1 }, -200, -200, image), null);
  assert.equal(areaOf(shape.polygon), 200);
});

test("a proposal is taken as it is; only what reaches over the edge is cut", () => {
  const image = { width: 100, height: 50 };
  assert.deepEqual(within({ box: [1.25, 2.5, 10.1, 4.2], polygon: null }, image).box, [1.25, 2.5, 10.1, 4.2]);
  assert.deepEqual(within({ box: [-3, 45, 10, 10], polygon: null }, image).box, [0, 45, 7, 5]);
  assert.equal(within({ box: [120, 0, 5, 5], polygon: null }, image), null);
  assert.deepEqual(within({ box: null, polygon: [[0, 0], [101, 0], [5, 5]] }, image).polygon, [[0, 0], [100, 0], [5, 5]]);
});

function randomIn(roll, image) {
  return { x: roll.between(0, image.width), y: roll.between(0, image.height) };
}

/** A box as a model makes it: with halves and eighths, which add without rounding. */
function halves(roll, image) {
  const span = (length) => {
    const low = roll.whole(0, length * 8 - 1);
    return [low / 8, roll.whole(1, length * 8 - low) / 8];
  };
  const [[x, width], [y, height]] = [span(image.width), span(image.height)];
  return [x, y, width, height];
}
