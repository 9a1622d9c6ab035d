// What is scanned while a badge is being checked, and what is heard of notes.

import assert from "node:assert/strict";
import { test } from "node:test";

import { words } from "./line_made.mjs";
import { page } from "./line_page.mjs";

page();
const { SignIn } = await import("../../../static/js/line/screen/sign_in.js");
const { Notes } = await import("../../../static/js/line/screen/notes.js");
const { pauseAfter } = await import("../../../static/js/line/screen/picture.js");

const soon = (ms = 5) => new Promise((done) => setTimeout(done, ms));

/** A tablet at which badges are checked one by one, as slowly as the test wants. */
function signing() {
  const document = page();
  const asked = [];
  const [arrived, told] = [[], []];
  const api = {
    signIn: (badge, pin) =>
      new Promise((done, fail) => asked.push({ badge, pin, done: () => done({ operator: { name: badge } }), fail })),
  };
  const rooms = { open: "badge", go: (room) => (rooms.open = room) };
  const signIn = new SignIn(words, {
    api,
    rooms,
    who: () => arrived.at(-1) ?? null,
    onArrived: ({ name }) => arrived.push(name),
    onNext: (code) => void signIn.scanned(code),
    tell: (text) => told.push(text),
  });
  return { document, asked, arrived, signIn, rooms, told };
}

test("the last badge scanned while another is checked is used after it", async () => {
  const { document, asked, arrived, signIn } = signing();
  void signIn.scanned("B-bo");
  void signIn.scanned("B-max");
  void signIn.scanned("B-eva");
  assert.match(document.getElementById("badge-says").textContent, /scan_waits/);
  asked[0].done();
  await soon();
  assert.deepEqual(asked.map(({ badge }) => badge), ["B-bo", "B-eva"]);
  asked[1].done();
  await soon();
  assert.deepEqual(arrived, ["B-bo", "B-eva"]);
});

test("it is used also where the first badge was refused", async () => {
  const { asked, signIn } = signing();
  void signIn.scanned("B-nobody");
  void signIn.scanned("B-eva");
  asked[0].fail({ status: 404, code: "badge_unknown", detail: "Nobody has this badge." });
  await soon();
  assert.deepEqual(asked.map(({ badge }) => badge), ["B-nobody", "B-eva"]);
});

test("a scanner that reads one badge twice asks once, and takes no typed digit away", async () => {
  const { asked, rooms, signIn } = signing();
  void signIn.scanned("B-bo");
  void signIn.scanned("B-bo");
  asked[0].fail({ status: 403, code: "pin_needed", detail: "" });
  await soon();
  assert.equal(asked.length, 1);
  assert.equal(rooms.open, "pin");
});

test("who scans while the PIN is checked hears in the room where he stands that it waits", async () => {
  const { document, asked, rooms, signIn } = signing();
  void signIn.scanned("B-bo");
  rooms.open = "pin";
  void signIn.scanned("B-eva");
  assert.match(document.getElementById("pin-says").textContent, /scan_waits/);
  asked[0].done();
  await soon();
  assert.equal(asked.length, 2);
});

test("a note is heard politely, and at once where something has failed", async () => {
  const document = page();
  const notes = new Notes();
  notes.set("conflict", { text: "Eva was faster.", tone: "warn" });
  await soon(80);
  assert.equal(document.getElementById("spoken").textContent, "Eva was faster.");
  assert.equal(document.getElementById("alarmed").textContent, "");
  notes.pass("Not saved", "fault");
  await soon(80);
  assert.equal(document.getElementById("alarmed").textContent, "Not saved");
});

test("the second refusal is heard as the first was, though it says the same", async () => {
  const document = page();
  const notes = new Notes();
  notes.pass("Not saved", "fault");
  await soon(80);
  notes.pass("Not saved", "fault");
  assert.equal(document.getElementById("alarmed").textContent, "");
  await soon(80);
  assert.equal(document.getElementById("alarmed").textContent, "Not saved");
});

test("a picture that does not come is asked for soon, then seldom, but always again", () => {
  const pauses = Array.from({ length: 200 }, (_each, failures) => pauseAfter(failures + 1));
  assert.ok(pauses[0] <= 2000);
  assert.ok(pauses.every((pause, place) => pause >= (pauses[place - 1] ?? 0)));
  assert.equal(pauses.at(-1), 30_000);
});
