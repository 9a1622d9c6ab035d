// What keeps a unit from being accepted, where one starts to look, and what the record says of it.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  duePictures,
  firstToSee,
  isOlder,
  standsAgainst,
  withUnseen,
} from "../../../static/js/review/features/due_pictures.js";

const STRINGS = {
  picture_coming: "waits",
  picture_failed: "missing",
  pictures_coming: "not come: {views}",
  pictures_failed: "cannot be shown: {views}",
  picture_older: "taken again",
  pictures_older: "{view} was taken again",
};

/** @param {[string, number, string][]} views name, score and state of the picture */
const held = (...views) => ({
  task: { views: views.map(([view, score]) => ({ view, score })) },
  pictures: views.map(([, , state]) => ({ state })),
});

test("the worst view is looked at first, of several as bad the first", () => {
  assert.equal(firstToSee(held(["a", 0.2, "ready"], ["b", 0.9, "loading"], ["c", 0.9, "ready"])), 1);
});

test("a view whose picture cannot be shown is not looked at first while another can be", () => {
  assert.equal(firstToSee(held(["a", 0.2, "ready"], ["b", 0.9, "failed"])), 0);
  assert.equal(firstToSee(held(["a", 0.2, "failed"], ["b", 0.9, "failed"])), 1);
});

test("of a view taken again its latest image is looked at first, also where the older looked worse", () => {
  const again = held(["top", 0.9, "failed"], ["side", 0.2, "ready"], ["top", 0.3, "ready"]);
  assert.equal(firstToSee(again), 2);
  assert.deepEqual([0, 1, 2].map((index) => isOlder(again, index)), [true, false, false]);
});

test("an older image that cannot be shown is spoken of only where it is on the stage", () => {
  const again = held(["top", 0.9, "failed"], ["top", 0.3, "ready"]);
  assert.equal(duePictures(STRINGS, again), null);
  assert.equal(standsAgainst(STRINGS, again, 1), null);
  assert.equal(standsAgainst(STRINGS, again, 0).sentence, "top was taken again");
  const due = held(["top", 0.9, "failed"], ["top", 0.3, "failed"]);
  assert.equal(standsAgainst(STRINGS, due, 0).sentence, "cannot be shown: top");
});

test("that a view was not seen stands behind what was said, however long that is", () => {
  const unseen = "Image not seen: top.";
  assert.equal(withUnseen("", unseen), unseen);
  assert.equal(withUnseen("conveyor jam", ""), "conveyor jam");
  assert.equal(withUnseen("conveyor jam", unseen), `conveyor jam · ${unseen}`);
  const long = withUnseen("🔧".repeat(1000), unseen);
  assert.equal([...long].length, 1000);
  assert.ok(long.endsWith(` · ${unseen}`));
  assert.ok(long.isWellFormed());
});
