// The service worker of /line/: the page without network, and sending when the page is gone.
// The server puts LOUPE_SHELL before this script: the version, and what the page is made of.

import { Clock } from "./outbox/clock.js";
import { Database } from "./outbox/database.js";
import { LineApi } from "./outbox/line_api.js";
import { Rows } from "./outbox/rows.js";
import { Sender } from "./outbox/sender.js";
import { isHashed, isStationPage, shellCache, staleCaches } from "./outbox/shell.js";

const worker = /** @type {any} */ (globalThis);
/** @type {{version: string, static: string, assets: string[]}} */
const SHELL = worker.LOUPE_SHELL;
const CACHE = shellCache(SHELL.version);
const ASSETS = new Set(SHELL.assets);
const PAGE_WITHIN_MS = 3000;

/** Everything of this version, before it may become the one at work. */
async function keepShell() {
  const cache = await caches.open(CACHE);
  await cache.addAll(SHELL.assets);
  const windows = await worker.clients.matchAll({ type: "window", includeUncontrolled: true });
  const known = await keptPages();
  const pages = [...windows.map((/** @type {{url: string}} */ { url }) => url), ...known];
  for (const path of new Set(pages.map((url) => new URL(url, worker.location).pathname))) {
    if (isStationPage(path)) {
      await keepPage(cache, path, await fetch(path, { credentials: "same-origin" }));
    }
  }
}

/** The station pages that earlier versions kept. @returns {Promise<string[]>} */
async function keptPages() {
  const requests = await Promise.all(
    (await caches.keys())
      .filter((name) => name.startsWith(shellCache("")))
      .map(async (name) => (await caches.open(name)).keys()),
  );
  return requests.flat().map(({ url }) => url);
}

/** @param {Cache} cache @param {string} path @param {Response} answer */
async function keepPage(cache, path, answer) {
  if (answer.ok && !answer.redirected) {
    await cache.put(path, answer.clone());
  }
}

async function dropOldCaches() {
  const old = staleCaches(await caches.keys(), CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await worker.clients.claim();
}

/** The network's page, or the kept one when the network takes too long. @param {Request} request */
async function page(request) {
  const { pathname } = new URL(request.url);
  const cache = await caches.open(CACHE);
  const fresh = fetch(request).then(async (answer) => {
    if (isStationPage(pathname)) {
      await keepPage(cache, pathname, answer).catch(() => {});
    }
    return answer;
  });
  const kept = await keptPage(cache, pathname);
  if (!kept) {
    return fresh;
  }
  const patience = new Promise((resolve) => setTimeout(resolve, PAGE_WITHIN_MS, kept));
  const soon = fresh.then((answer) => (answer.status >= 500 ? kept : answer)).catch(() => kept);
  return Promise.race([soon, patience]);
}

/** @param {Cache} cache @param {string} path */
async function keptPage(cache, path) {
  const kept = await cache.match(path, { ignoreVary: true });
  if (kept || path !== "/line/") {
    return kept;
  }
  // The server would send the tablet to its own station.
  const own = (await cache.keys()).map(({ url }) => new URL(url).pathname).find(isStationPage);
  return own ? Response.redirect(own) : undefined;
}

/** @param {Request} request */
async function asset(request) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request, { ignoreVary: true });
  if (kept) {
    return kept;
  }
  const answer = await fetch(request);
  if (answer.ok) {
    await cache.put(request, answer.clone()).catch(() => {});
  }
  return answer;
}

/** One pass over the outbox; rejects when something stays, so that the browser tries again. */
async function send() {
  const database = new Database();
  const clock = new Clock({ known: await database.fact("clock"), epoch: "worker" });
  const api = new LineApi({ clock });
  const channel = worker.BroadcastChannel ? new BroadcastChannel("loupe-line-outbox") : null;
  const sender = new Sender({
    rows: new Rows(database),
    clock,
    post: (body) => api.post("outbox", body),
    onAnswers: (answers) => channel?.postMessage(answers),
    locks: navigator.locks,
  });
  const { isDone } = await sender.pass();
  channel?.close();
  database.close();
  if (!isDone) {
    throw new Error("some presses are still unsent");
  }
}

async function takeOver() {
  const database = new Database();
  const rows = await new Rows(database).all();
  database.close();
  if (rows.length === 0) {
    await worker.skipWaiting();
  }
}

worker.addEventListener("install", (/** @type {any} */ event) => event.waitUntil(keepShell()));
worker.addEventListener("activate", (/** @type {any} */ event) => event.waitUntil(dropOldCaches()));
worker.addEventListener("sync", (/** @type {any} */ event) => event.waitUntil(send()));
worker.addEventListener("message", (/** @type {any} */ event) => {
  if (event.data?.kind === "take-over") {
    event.waitUntil(takeOver());
  }
});
worker.addEventListener("fetch", (/** @type {any} */ event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== worker.location.origin) {
    return;
  }
  if (request.mode === "navigate") {
    event.respondWith(page(request));
  } else if (ASSETS.has(url.pathname) || isHashed(url.pathname, SHELL.static)) {
    event.respondWith(asset(request));
  }
});
