// The buttons and notes around the unit.

import assert from "node:assert/strict";
import { test } from "node:test";

import { bindHold } from "../../../static/js/line/press.js";
import { call, words } from "./line_made.mjs";
import { page } from "./line_page.mjs";

page();
const { Calls } = await import("../../../static/js/line/screen/calls.js");
const { Notes } = await import("../../../static/js/line/screen/notes.js");

/** @param {object} [more] */
function calling(more = {}) {
  const document = page();
  const spoken = [];
  let now = Date.parse("2026-11-22T06:00:00Z");
  const desk = {
    board: { device: { name: "Tablet 1" } },
    calling: new Map(),
    operator: null,
    openCall: () => null,
    call: async () => true,
    solve: async () => {},
    ...more,
  };
  const calls = new Calls(words, {
    desk,
    now: () => now,
    onOpen: () => {},
    run: (act) => act().then(() => true, () => false),
    speak: (text) => spoken.push(text),
  });
  return { document, calls, desk, spoken, pass: (ms) => (now += ms) };
}

const turn = () => new Promise((done) => setTimeout(done, 5));

test("a call is told when it is kept, and not when the disk refuses it or it was not taken", async () => {
  for (const [kept, told] of [
    [async () => true, 1],
    [async () => false, 0],
    [() => Promise.reject(new Error("full")), 0],
  ]) {
    const { document, spoken } = calling({ call: kept });
    document.getElementById("call-STOP").dispatchEvent(new Event("click"));
    await turn();
    assert.equal(spoken.length, told);
  }
});

test("the button under the finger stays while the time of the call goes on", () => {
  const { document, calls, pass } = calling({ openCall: (kind) => (kind === "HELP" ? call("HELP") : null) });
  calls.show();
  const list = document.getElementById("calls");
  const solve = () => list.find((each) => each.dataset?.solve === "HELP");
  const before = solve();
  const said = list.says;
  pass(120_000);
  calls.show();
  assert.ok(before);
  assert.equal(solve(), before);
  assert.equal(list.made, 1);
  assert.equal(typeof said, "string");
});

test("buttons that are gone leave nothing behind on the page", () => {
  const document = page();
  for (let unit = 0; unit < 100; unit += 1) {
    const button = document.createElement("button");
    button.getBoundingClientRect = () => ({ left: 0, right: 1, top: 0, bottom: 1 });
    const { cancel } = bindHold(button, { mayBegin: () => true, onDone: () => {} });
    button.dispatchEvent(Object.assign(new Event("pointerdown"), { isPrimary: true, button: 0 }));
    assert.equal("held" in button.dataset, true);
    document.dispatchEvent(new Event("visibilitychange"));
    assert.equal("held" in button.dataset, false);
    cancel();
  }
  assert.ok(document.listening <= 0, `${document.listening} listeners`);
});

test("that a press was not saved is not hidden by a conflict nor by what comes after", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const document = page();
  const notes = new Notes();
  const says = () => document.getElementById("note-text").textContent;
  notes.set("conflict", { text: "Eva was faster.", tone: "warn" });
  notes.pass("Not saved", "fault");
  assert.equal(says(), "Not saved");
  notes.pass("Bo is here");
  assert.equal(says(), "Not saved");
  context.mock.timers.tick(9000);
  assert.equal(says(), "Eva was faster.");
  notes.set("conflict", null);
  assert.equal(says(), "");
});
