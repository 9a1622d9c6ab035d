import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiError } from "../../../static/js/review/api.js";
import { Preferences } from "../../../static/js/review/features/preferences.js";
import { settle, Timers } from "./made.mjs";

function made({ values = {}, unsent = {} } = {}) {
  const timers = new Timers();
  const sent = [];
  const failures = [];
  const refused = [];
  const storage = { unsent: { ...unsent } };
  const preferences = new Preferences({
    values,
    kept: { load: () => ({ ...storage.unsent }), save: (now) => (storage.unsent = { ...now }) },
    send: async (going) => {
      sent.push(going);
      if (failures.length > 0) {
        throw failures.shift();
      }
    },
    onRefused: (error) => refused.push(error.detail),
    setTimer: timers.set,
  });
  return { preferences, timers, sent, failures, refused, storage };
}

test("what is set holds at once and is sent once for several changes", async () => {
  const { preferences, timers, sent, storage } = made({ values: { ask_for_box: true } });
  preferences.set("ask_for_box", false);
  preferences.set("light", { scratch: { brightness: 1 } });
  preferences.set("light", { scratch: { brightness: 2 } });
  assert.equal(preferences.get("ask_for_box"), false);
  assert.deepEqual(Object.keys(storage.unsent), ["ask_for_box", "light"]);
  await timers.fire();
  assert.deepEqual(sent, [{ ask_for_box: false, light: { scratch: { brightness: 2 } } }]);
  assert.deepEqual(storage.unsent, {});
});

test("the same value again is no change", async () => {
  const { preferences, timers } = made({ values: { ask_for_box: true } });
  preferences.set("ask_for_box", true);
  assert.equal(timers.waiting.length, 0);
});

test("without a network it is kept, and sent when there is one", async () => {
  const { preferences, timers, sent, failures, storage } = made();
  failures.push(new ApiError(0, "unreachable", ""));
  preferences.set("ask_for_box", false);
  await timers.fire();
  assert.deepEqual(storage.unsent, { ask_for_box: false });
  await timers.fire();
  assert.equal(sent.length, 2);
  assert.deepEqual(storage.unsent, {});
});

test("what an earlier page could not send is this page's value, and is sent by it", async () => {
  const { preferences, timers, sent } = made({ values: { ask_for_box: true }, unsent: { ask_for_box: false } });
  assert.equal(preferences.get("ask_for_box"), false);
  await timers.fire();
  assert.deepEqual(sent, [{ ask_for_box: false }]);
});

test("what the server refuses is told and not sent for ever", async () => {
  const { preferences, timers, failures, refused, storage } = made();
  failures.push(new ApiError(422, "invalid", "There is no such setting."));
  preferences.set("nonsense", 1);
  await timers.fire();
  await settle();
  assert.deepEqual(refused, ["There is no such setting."]);
  assert.deepEqual([storage.unsent, timers.waiting.length], [{}, 0]);
});

test("what is changed while it is being sent is sent again", async () => {
  const { preferences, timers, sent, storage } = made();
  preferences.set("ask_for_box", false);
  const [due] = timers.waiting.splice(0);
  due.run();
  preferences.set("ask_for_box", true);
  await settle();
  assert.deepEqual(storage.unsent, { ask_for_box: true });
  await timers.fire();
  assert.deepEqual(sent, [{ ask_for_box: false }, { ask_for_box: true }]);
});

test("what is set while something is on its way follows it, never overtakes it", async () => {
  const going = [];
  const answers = [];
  const storage = { unsent: {} };
  const timers = new Timers();
  const preferences = new Preferences({
    values: {},
    kept: { load: () => ({}), save: (now) => (storage.unsent = { ...now }) },
    send: (values) => {
      going.push(values);
      return new Promise((resolve) => answers.push(resolve));
    },
    setTimer: timers.set,
  });
  preferences.set("ask_for_box", false);
  await timers.fire();
  preferences.set("ask_for_box", true);
  await timers.fire();
  assert.deepEqual(going, [{ ask_for_box: false }]);
  answers[0]();
  await settle();
  await timers.fire();
  assert.deepEqual(going.at(-1), { ask_for_box: true });
  assert.equal(going.length, 2);
});
