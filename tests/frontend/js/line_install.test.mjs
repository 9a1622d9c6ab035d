// The page's worker where the server, or the person the browser asks, does not answer.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Install } from "../../../static/js/line/outbox/install.js";

globalThis.addEventListener ??= () => {};
const turn = () => new Promise((done) => setImmediate(done));

/** A browser's workers. @param {() => Promise<any>} register */
function browser(register, more = {}) {
  const serviceWorker = Object.assign(new EventTarget(), {
    controller: null,
    ready: new Promise(() => {}),
    register,
  });
  return { serviceWorker, storage: undefined, ...more };
}

/** @param {object} [more] */
function registration(more = {}) {
  return Object.assign(new EventTarget(), { installing: null, waiting: null, active: null, update: async () => {} }, more);
}

test("a worker that could not be fetched is asked for again", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  let asked = 0;
  const navigator = browser(async () => {
    asked += 1;
    if (asked < 3) {
      throw new TypeError("Failed to fetch");
    }
    return registration({ active: {} });
  });
  const install = new Install({ navigator });
  await install.begin();
  assert.equal(install.state.worker, "failed");
  for (let times = 0; times < 4; times += 1) {
    context.mock.timers.tick(30_000);
    await turn();
  }
  assert.equal(asked, 3);
  assert.notEqual(install.registration, null);
});

test("a first worker whose files did not come is asked for again", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  let asked = 0;
  const made = Object.assign(new EventTarget(), { state: "installing" });
  const navigator = browser(async () => {
    asked += 1;
    return registration({ installing: asked === 1 ? made : null });
  });
  await new Install({ navigator }).begin();
  made.state = "redundant";
  made.dispatchEvent(new Event("statechange"));
  context.mock.timers.tick(30_000);
  await turn();
  assert.equal(asked, 2);
});

test("a browser that asks a person whether it may keep something holds nothing up", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  let asked = 0;
  const storage = { persisted: async () => false, persist: () => new Promise(() => {}) };
  const navigator = browser(async () => {
    asked += 1;
    return registration();
  }, { storage });
  const begun = new Install({ navigator }).begin();
  await turn();
  assert.equal(asked, 1);
  await begun;
});

test("where there is no worker and no promise about the disk the page goes on", async () => {
  const install = new Install({ navigator: {} });
  await install.begin();
  assert.deepEqual([install.state.worker, install.state.isPersistent], ["none", null]);
});
