// The board is asked for as long as the page is seen, and never too often.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Board, pauseAfter } from "../../../static/js/line/board.js";
import { recall, remember } from "../../../static/js/line/memory.js";
import { Install } from "../../../static/js/line/outbox/install.js";
import { board as made } from "./line_made.mjs";

/** @param {number} status @param {object|null} body @param {string} tag */
function answer(status, body = null, tag = "") {
  return {
    status,
    ok: status >= 200 && status < 300,
    headers: { get: (name) => (name === "ETag" ? tag : null) },
    json: () => (body ? Promise.resolve(body) : Promise.reject(new Error("no body"))),
  };
}

/** A board that is asked as often as there are answers. @param {(object|Error)[]} answers */
async function asked(answers) {
  const said = { asked: [], boards: [], contact: [], refused: [], slept: [] };
  await new Promise((done) => {
    const board = new Board({
      url: "/board",
      onBoard: (state) => said.boards.push(state),
      onContact: (isReached) => said.contact.push(isReached),
      onRefused: (status, code) => said.refused.push([status, code]),
      random: () => 1,
      sleep: (ms) => Promise.resolve(said.slept.push(ms)),
      fetch: (url, { headers }) => {
        const next = answers[said.asked.length];
        if (next === undefined) {
          board.stop();
          done(undefined);
          return new Promise(() => {});
        }
        said.asked.push([url, headers["If-None-Match"] ?? ""]);
        return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
      },
    });
    board.start();
  });
  return said;
}

test("the first question is answered at once, the next ones wait for news", async () => {
  const said = await asked([answer(200, made(), '"1"'), answer(200, made(), '"2"')]);
  assert.deepEqual(said.asked, [
    ["/board", ""],
    ["/board?wait=20", '"1"'],
  ]);
  assert.equal(said.boards.length, 2);
  assert.deepEqual(said.slept, []);
});

test("a server that does not let anybody wait is not asked in a circle", async () => {
  const said = await asked([answer(200, made(), '"1"'), answer(304), answer(304)]);
  assert.deepEqual(said.slept, [1000, 1000]);
  assert.equal(said.boards.length, 1);
  assert.deepEqual(said.contact, [true, true, true]);
});

test("without an answer there is no network, and the pauses grow", async () => {
  const gone = new Error("gone");
  const said = await asked([gone, gone, answer(502), answer(200, made(), '"1"')]);
  assert.deepEqual(said.contact, [false, false, false, true]);
  assert.deepEqual(said.slept, [500, 1000, 2000]);
});

test("after a failure the server says at once that it is there, and waits for news only then", async () => {
  const news = answer(200, made(), '"1"');
  const said = await asked([news, answer(304), new Error("gone"), answer(304), answer(304)]);
  const urls = said.asked.map(([url]) => url);
  assert.deepEqual(urls, ["/board", "/board?wait=20", "/board?wait=20", "/board", "/board?wait=20"]);
  assert.deepEqual(said.contact, [true, true, false, true, true]);
});

test("pauses are spread and end at ten seconds", () => {
  assert.equal(pauseAfter(30, 1), 10_000);
  assert.equal(pauseAfter(30, 0), 5000);
});

test("a refusal is told, and what was known is asked anew", async () => {
  const refusal = answer(403, { code: "badge_needed" });
  const said = await asked([answer(200, made(), '"1"'), refusal, answer(200, made(), '"2"')]);
  assert.deepEqual(said.refused, [[403, "badge_needed"]]);
  assert.deepEqual(said.asked[2], ["/board", ""]);
});

test("without network the page knows its station's latest board, not another's, and not for ever", () => {
  const kept = new Map();
  const store = { setItem: (k, v) => kept.set(k, v), getItem: (k) => kept.get(k) ?? null };
  const before = Date.parse("2026-11-22T13:00:00Z");
  remember(store, "st-1", made());
  assert.equal(recall(store, "st-1", before).operator.name, "bo");
  assert.equal(recall(store, "st-2", before), null);
  assert.equal(recall(store, "st-1", before + 2 * 3_600_000).operator, null);
});

test("a night without network leaves nothing behind with every attempt", async (context) => {
  const { addEventListener, removeEventListener } = AbortSignal.prototype;
  let listening = 0;
  context.mock.method(AbortSignal.prototype, "addEventListener", function add(...asked) {
    listening += 1;
    return addEventListener.apply(this, asked);
  });
  context.mock.method(AbortSignal.prototype, "removeEventListener", function remove(...asked) {
    listening -= 1;
    return removeEventListener.apply(this, asked);
  });
  let attempts = 0;
  const fetch = async () => {
    attempts += 1;
    throw new Error("gone");
  };
  const told = { onBoard: () => {}, onContact: () => {}, onRefused: () => {} };
  const board = new Board({ url: "/board", fetch, random: () => 0, ...told });
  board.start();
  const ends = performance.now() + 20_000;
  while (attempts < 3 && performance.now() < ends) {
    await new Promise((done) => setTimeout(done, 50));
  }
  const left = listening;
  board.stop();
  assert.ok(attempts >= 3, `${attempts}`);
  assert.ok(left <= 1, `${left}`);
});

test("a new version that another tab has begun to load is told here too", async () => {
  const installing = new EventTarget();
  const registration = Object.assign(new EventTarget(), { installing, waiting: null, update: async () => {} });
  const serviceWorker = Object.assign(new EventTarget(), {
    controller: {},
    register: async () => registration,
    ready: Promise.resolve(registration),
  });
  globalThis.addEventListener ??= () => {};
  const { setInterval } = globalThis;
  globalThis.setInterval = () => 0;
  let state = null;
  const install = new Install({ navigator: { serviceWorker }, onChange: (now) => (state = now) });
  await install.begin();
  globalThis.setInterval = setInterval;
  assert.equal(state.isUpdateWaiting, false);
  registration.waiting = installing;
  installing.dispatchEvent(new Event("statechange"));
  assert.equal(state.isUpdateWaiting, true);
});
