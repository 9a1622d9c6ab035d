// What time it is at the server, whatever the tablet's clock is set to.

import assert from "node:assert/strict";
import { test } from "node:test";

import { withoutThePast } from "../../../static/js/line/memory.js";
import { ServerTime } from "../../../static/js/line/server_time.js";
import { board } from "./line_made.mjs";

const SIX = "2026-11-22T06:00:00Z";
const HOUR = 3_600_000;

/** A tablet with a clock that can be set, one that cannot, and what it keeps. */
function tablet() {
  const kept = new Map();
  const store = { getItem: (name) => kept.get(name) ?? null, setItem: (name, value) => kept.set(name, value) };
  const at = { wall: Date.parse(SIX), steady: Date.parse(SIX) };
  return {
    at,
    pass: (ms) => {
      at.wall += ms;
      at.steady += ms;
    },
    open: (offset = 0) =>
      new ServerTime({ store, wall: () => at.wall, steady: () => at.steady, offset: () => offset }),
  };
}

const told = (time) => new Date(time.now()).toISOString();

test("a clock set hours ahead ends nobody's shift", () => {
  const { at, pass, open } = tablet();
  const time = open();
  time.heard(SIX);
  at.wall += 10 * HOUR;
  pass(60_000);
  assert.equal(told(time), "2026-11-22T06:01:00.000Z");
  assert.equal(withoutThePast(board(), time.now()).operator?.name, "bo");
  pass(8 * HOUR);
  assert.equal(withoutThePast(board(), time.now()).operator, null);
});

test("a clock set ahead while the page is open or closed ends no shift when it is opened anew", () => {
  const { at, pass, open } = tablet();
  const time = open();
  time.heard(SIX);
  pass(60_000);
  time.tick();
  at.wall += 10 * HOUR;
  pass(60_000);
  assert.equal(told(open()), "2026-11-22T06:02:00.000Z");
});

test("a browser started anew goes on from the difference it knew", () => {
  const { at, pass, open } = tablet();
  const time = open();
  time.heard(SIX);
  at.wall += 10 * HOUR;
  pass(60_000);
  time.tick();
  // The steady clock of a new browser begins with the tablet's.
  pass(60_000);
  at.steady = at.wall;
  assert.equal(told(open()), "2026-11-22T06:02:00.000Z");
});

test("a clock set back does not take the server's time back", () => {
  const { at, pass, open } = tablet();
  const time = open();
  time.heard(SIX);
  pass(60_000);
  time.tick();
  at.wall -= 10 * HOUR;
  at.steady -= 10 * HOUR;
  assert.equal(told(open()), "2026-11-22T06:01:00.000Z");
});

test("the server's word counts before all else, and its whole seconds do not make the clock jump", () => {
  const { pass, open } = tablet();
  const time = open();
  time.heard(SIX);
  pass(1700);
  time.heard("Sun, 22 Nov 2026 06:00:01 GMT");
  assert.equal(told(time), "2026-11-22T06:00:01.700Z");
  time.heard("Sun, 22 Nov 2026 09:00:00 GMT");
  assert.equal(told(time), "2026-11-22T09:00:00.000Z");
});

test("who was never told the time takes the tablet's, as far as it is known to be off", () => {
  const { open } = tablet();
  const time = open(60);
  time.heard(null);
  time.heard("no time");
  assert.equal(told(time), "2026-11-22T06:01:00.000Z");
});
