import assert from "node:assert/strict";
import { test } from "node:test";

import { Clock } from "../../../static/js/line/outbox/clock.js";
import { Images } from "../../../static/js/line/outbox/images.js";
import { LineApi } from "../../../static/js/line/outbox/line_api.js";
import { newlyShelved, open } from "../../../static/js/line/outbox/shelf.js";
import { isHashed, isStationPage, shellCache, staleCaches } from "../../../static/js/line/outbox/shell.js";

const VIEW = { capture: "c1", view: "top", width: 1, height: 1, image_url: "/images/c1?signed", regions: [] };

function shelved(id, place, more = {}) {
  const task = { id, fence: 1, lease_s: 1800, views: [VIEW], ...(more.task ?? {}) };
  const leased = { wall: 0, mono: 0, epoch: "e", offset_s: null };
  return { id, leased, place, decided: null, ...more, task };
}

const clockAt = (seconds) => new Clock({ wall: () => 0, mono: () => seconds * 1000, epoch: "e" });

test("the shelf offers what is leased and not decided here, first come first", () => {
  const rows = [{ kind: "decision", key: "k", body: { task: "b" } }];
  const found = open([shelved("c", 3), shelved("a", 1), shelved("b", 2), shelved("d", 4, { decided: "x" })], rows, clockAt(10));
  assert.deepEqual(found.map(({ id }) => id), ["a", "c"]);
});

test("what its lease has outlived is not offered", () => {
  assert.equal(open([shelved("a", 1)], [], clockAt(1799)).length, 1);
  assert.equal(open([shelved("a", 1)], [], clockAt(1800)).length, 0);
});

test("an answer older than a verdict does not bring its task back", () => {
  const before = [shelved("a", 1, { decided: "k" }), shelved("b", 2, { decided: "k", task: { fence: 1 } })];
  const tasks = [{ id: "a", fence: 1 }, { id: "b", fence: 2 }, { id: "c", fence: 1 }, { id: "d", fence: 1 }];
  const found = newlyShelved(tasks, before, new Set(["d"]));
  assert.deepEqual(found.map(({ id, place }) => [id, place]), [["b", 2], ["c", 5]]);
});

/** Caches as a browser has them. */
class Cupboard {
  constructor() {
    this.kept = new Map();
  }

  async open() {
    const { kept } = this;
    return {
      match: async (url) => kept.get(url)?.clone(),
      put: async (url, answer) => void kept.set(url, answer),
      keys: async () => [...kept.keys()].map((path) => ({ url: `http://line${path}` })),
      delete: async (url) => kept.delete(url),
    };
  }

  async delete() {
    this.kept.clear();
  }
}

function images({ quota, usage = 0, fetch = async () => new Response("picture") }) {
  const caches = new Cupboard();
  return { caches, images: new Images({ caches, fetch, estimate: async () => ({ quota, usage }) }) };
}

test("pictures are fetched as who is at the tablet and kept under the capture's name", async () => {
  const asked = [];
  const fetch = async (url, options) => {
    asked.push([url, options.credentials]);
    return new Response("picture");
  };
  const { caches, images: own } = images({ quota: 1e9, fetch });
  assert.equal(await own.keep(VIEW), "kept");
  assert.deepEqual([...(await own.captures())], ["c1"]);
  assert.deepEqual(asked, [[VIEW.image_url, "same-origin"]]);
  assert.deepEqual([...caches.kept.keys()], ["/line/images/c1"]);
  await own.keepOnly(new Set(["c1"]));
  assert.equal(caches.kept.size, 1);
  await own.keepOnly(new Set());
  assert.equal(caches.kept.size, 0);
});

test("pictures leave the outbox its room", async () => {
  const { caches, images: own } = images({ quota: 100e6, usage: 80e6 });
  assert.equal(await own.keep(VIEW), "full");
  assert.equal(caches.kept.size, 0);
});

test("a picture that does not come is one picture less", async () => {
  for (const fetch of [
    async () => new Response("", { status: 403 }),
    async () => {
      throw new TypeError("no network");
    },
  ]) {
    const { images: own } = images({ quota: 1e9, fetch });
    assert.equal(await own.keep(VIEW), "failed");
  }
});

test("a call that brings a page, nothing or too late an answer is told by its status", async () => {
  const api = (fetch, more = {}) => new LineApi({ fetch, base: "/x/", ...more });
  const page = await api(async () => new Response("<html>log in</html>")).post("outbox", {});
  assert.deepEqual([page.status, page.body], [200, null]);
  const busy = async () => new Response('{"code":"busy"}', { status: 429, headers: { "Retry-After": "7" } });
  assert.deepEqual(await api(busy).post("outbox", {}), { status: 429, body: { code: "busy" }, code: "busy", retryAfter: 7 });
  const never = (_url, { signal }) =>
    new Promise((_done, fail) => {
      // The signal's own timer does not keep the process alive.
      const alive = setTimeout(() => {}, 5000);
      signal.addEventListener("abort", () => {
        clearTimeout(alive);
        fail(signal.reason);
      });
    });
  assert.equal((await api(never, { timeout: 5 }).post("outbox", {})).status, 0);
});

test("every call says that a tablet makes it and follows no redirect", async () => {
  let seen = null;
  const fetch = async (url, options) => {
    seen = { url, ...options };
    return new Response("{}");
  };
  await new LineApi({ fetch }).post("outbox", { rows: [] });
  assert.deepEqual(
    [seen.url, seen.headers["X-Loupe-Line"], seen.redirect, seen.credentials],
    ["/api/v1/line/outbox", "1", "error", "same-origin"],
  );
});

test("only stations' pages and files named by their content are kept for a time without network", () => {
  assert.ok(isStationPage("/line/st-1/"));
  assert.ok(isStationPage("/line/line-1:st-1/"));
  for (const path of ["/line/", "/line/guide/", "/line/second-opinions/", "/line/register/", "/review/", "/line/a/b/"]) {
    assert.ok(!isStationPage(path), path);
  }
  assert.ok(isHashed("/static/built/line/station.0123456789ab.js", "/static/"));
  assert.ok(!isHashed("/static/built/line/station.js", "/static/"));
  assert.ok(!isHashed("/api/v1/line/board.0123456789ab.js", "/static/"));
  assert.deepEqual(staleCaches(["loupe-line-shell-1", "loupe-line-shell-2", "loupe-line-images"], shellCache("2")), ["loupe-line-shell-1"]);
});
