// A picture is asked for until it is there, also over a connection that never answers.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Picture } from "../../../static/js/review/pictures.js";

/** Let what has come be read. */
const settle = () => new Promise((done) => setImmediate(() => setImmediate(done)));
const IMAGE = () => new Response(new Blob(["image"]), { status: 200 });
const HANGS_MS = 30_000;

/** A page whose network answers one after the other as told, the last for ever. @param {import("node:test").TestContext} context */
function network(context, ...answers) {
  const asked = [];
  const put = (owner, name, value) => {
    const before = Object.getOwnPropertyDescriptor(owner, name);
    Object.defineProperty(owner, name, { value, configurable: true, writable: true });
    context.after(() => (before ? Object.defineProperty(owner, name, before) : delete owner[name]));
  };
  put(globalThis, "Image", class {
    async decode() {}
  });
  put(URL, "createObjectURL", () => "blob:made");
  put(URL, "revokeObjectURL", () => {});
  put(globalThis, "fetch", async (url, { signal }) => {
    asked.push(url);
    return answers[Math.min(asked.length, answers.length) - 1](signal);
  });
  context.mock.timers.enable({ apis: ["setTimeout"] });
  let now = 0;
  context.mock.method(performance, "now", () => now);
  const pass = async (ms) => {
    now += ms;
    context.mock.timers.tick(ms);
    await settle();
  };
  return { asked, pass };
}

const hung = (signal) =>
  new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
    signal.throwIfAborted();
  });

/** An answer whose header comes and whose bytes never do. */
const hungBody = (signal) =>
  new Response(
    new ReadableStream({
      start: (stream) => signal.addEventListener("abort", () => stream.error(signal.reason)),
    }),
  );

for (const [name, answer] of [["answers", hung], ["comes to its end", hungBody]]) {
  test(`a connection that never ${name} is let go, and the picture asked for again`, async (context) => {
    const { asked, pass } = network(context, answer, IMAGE);
    const states = [];
    const picture = new Picture("/images/1", ({ state }) => states.push(state));
    void picture.load();
    await pass(HANGS_MS - 1);
    assert.equal(asked.length, 1);
    await pass(1);
    assert.equal(picture.state, "loading");
    await pass(2_000);
    assert.equal(asked.length, 2);
    assert.deepEqual(states, ["ready"]);
  });
}

test("a picture that hangs again and again is said not to come, once, and may come yet", async (context) => {
  const { asked, pass } = network(context, hung, hung, hung, hung, IMAGE);
  const states = [];
  const picture = new Picture("/images/1", ({ state }) => states.push(state));
  void picture.load();
  for (let second = 0; second < 135; second += 1) {
    await pass(1_000);
  }
  assert.deepEqual(states, ["failed"]);
  await pass(10_000);
  assert.equal(asked.length, 5);
  assert.deepEqual(states, ["failed", "ready"]);
});

test("a picture nobody wants any more is not asked for again", async (context) => {
  const { asked, pass } = network(context, hung);
  const states = [];
  const picture = new Picture("/images/1", ({ state }) => states.push(state));
  void picture.load();
  await settle();
  picture.discard();
  for (let round = 0; round < 4; round += 1) {
    await pass(HANGS_MS);
  }
  assert.equal(asked.length, 1);
  assert.deepEqual(states, []);
});
