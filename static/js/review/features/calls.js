// Calls from the line, in a place of the status line that is kept for them: one press answers.

import { ApiError } from "../api.js";
import { first, fresh, lineOf, renewed, toneOf, unanswered, whoOf } from "../calls.js";
import { fill } from "../clock.js";
import { byId, element, say } from "../dom.js";
import { labelOf } from "../keys.js";

/**
 * @typedef {import("../context.js").Bench} Bench
 * @typedef {import("../calls.js").Call} Call
 */

/** @param {Bench} bench */
export function install(bench) {
  const { acts, api, notices, popovers, strings } = bench;
  /** @type {Call[]} */
  let calls = [];
  let isSending = false;

  /** @param {Call[]} now */
  function use(now) {
    const came = fresh(calls, now).filter((each) => each.answered_at === null);
    calls = now;
    if (came.length > 0) {
      const { word, line, station } = came[0];
      const key = labelOf(bench.keys.map.calls) || strings.key_none;
      say("calls-said", fill(strings.call_came, { word, line, station, key }));
    }
    show();
    if (popovers.open === "calls") {
      list();
    }
  }

  function show() {
    const shown = first(calls);
    const button = byId("calls");
    button.disabled = shown === null;
    button.classList.toggle("status__calls--none", shown === null);
    byId("calls-first").className = `status__call ${shown ? `state state--${toneOf(shown)}` : ""}`;
    if (shown === null) {
      say("calls-first", "");
      say("calls-more", "");
      return;
    }
    const text = `${lineOf(shown, Date.now() + api.skew, strings)} · ${whoOf(shown, strings)}`;
    say("calls-more", calls.length > 1 ? fill(strings.call_more, { n: calls.length - 1 }) : "");
    say("calls-first", text);
    if (button.title !== text) {
      button.title = text;
    }
  }

  function list() {
    const focused = /** @type {HTMLElement|null} */ (document.activeElement)?.id ?? "";
    byId("calls-list").replaceChildren(...calls.map(row));
    say("calls-none", calls.length > 0 ? "" : strings.calls_none);
    if (focused.startsWith("call-")) {
      (document.getElementById(focused) ?? byId("calls-form")).focus();
    }
  }

  /** @param {Call} call */
  function row(call) {
    const words = `${call.line} · ${lineOf(call, Date.now() + api.skew, strings)}`;
    const isStop = call.kind === "STOP";
    const closes = isStop
      ? [strings.call_release, strings.call_release_to]
      : [strings.call_close, strings.call_close_to];
    return element(
      "li",
      {},
      element("p", {}, element("strong", { class: `state state--${toneOf(call)}` }, words)),
      element("p", { class: "small quiet" }, whoOf(call, strings)),
      ...(call.may_answer && call.answered_at === null
        ? [press(call, "answer", strings.call_answer, strings.call_answer_to), " "]
        : []),
      ...(call.may_answer ? [press(call, "close", closes[0], closes[1])] : []),
    );
  }

  /** @param {Call} call @param {"answer"|"close"} what @param {string} label @param {string} whole */
  function press(call, what, label, whole) {
    const button = element(
      "button",
      {
        class: "button",
        type: "button",
        id: `call-${what}-${call.id}`,
        "aria-label": fill(whole, { station: call.station }),
      },
      label,
    );
    button.addEventListener("click", () => void send(call, what));
    return button;
  }

  /** @param {Call} call @param {"answer"|"close"} what */
  async function send(call, what) {
    if (isSending) {
      return;
    }
    isSending = true;
    try {
      const answer = await api.request("POST", `/api/v1/calls/${call.id}/${what}`, {});
      bench.figures.outdate();
      use(renewed(calls, answer));
    } catch (error) {
      const detail = error instanceof ApiError ? error.detail : "";
      notices.show(detail || strings.unreachable, { name: "call" });
      void bench.figures.read();
    } finally {
      isSending = false;
    }
  }

  acts.calls = () => {
    const call = unanswered(calls);
    if (call !== null && popovers.open !== "calls") {
      void send(call, "answer");
    } else if (calls.length > 0 || popovers.open === "calls") {
      list();
      popovers.show("calls");
    }
  };
  bench.on("figures", (queue) => use(queue.calls ?? []));
  bench.on("change", show);
}
