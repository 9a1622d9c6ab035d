// What people noted about the unit, and a field for one more; it need not be sent with a verdict.

import { moment } from "../clock.js";
import { byId, element, say } from "../dom.js";

/**
 * @typedef {import("../context.js").Bench} Bench
 * @typedef {import("../types.js").Held} Held
 */

/** @param {Bench} bench */
export function install(bench) {
  const { acts, api, config, notices, strings } = bench;
  const field = byId("unit-comment");
  /** @type {Map<string, string>} what was begun, by task */
  const drafts = new Map();
  let shownFor = "";

  acts.comment = () => {
    if (bench.held()) {
      bench.popovers.close();
      field.focus();
      field.scrollIntoView({ block: "nearest" });
    }
  };

  /** @param {Held|null} held */
  function show(held) {
    if (shownFor && field.value.trim()) {
      drafts.set(shownFor, field.value);
    }
    shownFor = held?.task.id ?? "";
    field.value = drafts.get(shownFor) ?? "";
    drafts.delete(shownFor);
    say("comment-said", "");
    list(held);
    // The question of the next unit, not the end of the last one.
    byId("rail-task").parentElement.scrollTop = 0;
  }

  /** @param {Held|null} held */
  function list(held) {
    const comments = held?.task.comments ?? [];
    byId("comments").replaceChildren(
      ...comments.map((each) =>
        element(
          "li",
          {},
          element("q", {}, each.text),
          ` ${each.by} `,
          element("time", { class: "quiet", datetime: each.at }, moment(each.at, config.language)),
        ),
      ),
    );
    byId("history-none").hidden = comments.length + (held?.task.history.length ?? 0) > 0;
  }

  async function send() {
    const held = bench.held();
    const text = field.value.trim();
    if (!held || !text) {
      return;
    }
    field.value = "";
    say("comment-said", strings.comment_going);
    try {
      const made = await api.request("POST", `/tasks/${held.task.id}/comments`, { text });
      held.task.comments = [made, ...(held.task.comments ?? [])];
      if (bench.held() === held) {
        say("comment-said", strings.comment_kept);
        list(held);
      }
    } catch (error) {
      const { detail } = /** @type {import("../api.js").ApiError} */ (error);
      notices.show(`${held.task.unit.serial}: ${strings.comment_failed} ${detail}`.trim());
      if (bench.held() === held && !field.value) {
        field.value = text;
        say("comment-said", "");
      } else {
        drafts.set(held.task.id, text);
      }
    }
  }

  byId("comment-form").addEventListener("submit", (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    void send();
    byId("stage").focus({ preventScroll: true });
  });
  field.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Escape") {
      byId("stage").focus({ preventScroll: true });
    }
  });
  bench.on("show", show);
}
