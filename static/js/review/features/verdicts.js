// What an inspector can say of a unit, and how it is told to the session.

import { byId } from "../dom.js";
import { fill } from "../clock.js";
import { duePictures, withUnseen } from "./due_pictures.js";

/** @typedef {import("../context.js").Bench} Bench */

/** @param {Bench} bench @param {import("./views.js").Views} views */
export function install(bench, views) {
  const { session, popovers, strings } = bench;

  /** Whether the picture on the stage was there before the press. */
  const isSeen = () => views.picture?.state === "ready" && !session.isSettling;

  bench.decide = (answer, disposition, concession = "") => {
    const held = session.current;
    if (!held) {
      return false;
    }
    const due = duePictures(strings, held);
    const isHold = answer === "INCONCLUSIVE";
    const releases = answer === "FALSE_CALL" || disposition === "ACCEPT";
    // Held it is by who sees nothing, too.
    if (!isHold && (!isSeen() || (due && releases))) {
      bench.sayWhatIsDue();
      return false;
    }
    const { defectClass } = held.choice;
    const isDefect = answer === "CONFIRMED";
    if (isDefect && defectClass === null) {
      popovers.show("choice");
      return false;
    }
    held.choice.comment = byId("comment").value.trim();
    const unseen = due ? fill(strings.picture_unseen, { views: due.views }) : "";
    const verdict = {
      answer,
      disposition,
      defect_class: isDefect ? defectClass : null,
      comment: withUnseen(held.choice.comment, unseen),
      regions: isDefect ? (bench.regionsOf?.(held) ?? []) : [],
      seconds: views.firstSeen ? Math.round(performance.now() - views.firstSeen) / 1000 : null,
      ...(due ? {} : { images: held.task.views.length }),
      ...(concession ? { concession } : {}),
    };
    const name = isDefect ? bench.className(defectClass ?? "") : strings[answer];
    const says = concession ? strings.concession : strings[disposition];
    return session.decide(verdict, `${name} · ${says}`);
  };

  /** Why the part may be used all the same is asked for once its defect is known. */
  function concede() {
    const held = session.current;
    if (held && document.getElementById("concede")) {
      popovers.show(held.choice.defectClass === null ? "choice" : "concession");
    }
  }

  /** @param {string} reason */
  function conceded(reason) {
    const held = session.current;
    if (!held || reason === "" || !isSeen() || duePictures(strings, held)) {
      bench.sayWhatIsDue();
      return;
    }
    const proceed = () => void bench.decide("CONFIRMED", "ACCEPT", reason);
    if (bench.beforeReject?.(proceed) ?? true) {
      proceed();
    }
  }

  /** @param {string} [disposition] the rules' or the class's own when left out */
  function reject(disposition) {
    const held = session.current;
    if (!held || !isSeen()) {
      bench.sayWhatIsDue();
      return;
    }
    if (held.choice.defectClass === null) {
      popovers.show("choice");
      return;
    }
    const proceed = () => void bench.decide("CONFIRMED", disposition ?? usual(held));
    if (bench.beforeReject?.(proceed) ?? true) {
      proceed();
    }
  }

  /** @param {import("../types.js").Held} held */
  function usual(held) {
    const code = held.choice.defectClass ?? "";
    const ruled = bench.dispositionFor?.(held, code, bench.regionsOf?.(held) ?? []);
    const chosen = bench.classesOf(held).find((each) => each.code === code);
    return ruled?.kind ?? chosen?.default_disposition ?? "HOLD";
  }

  /** @param {string} name */
  const openIfHeld = (name) => session.current && popovers.show(name);

  /** @param {string} reason */
  function skip(reason) {
    return reason.trim() !== "" && session.skip(reason.trim(), strings.skip);
  }

  Object.assign(bench.acts, {
    accept: () => {
      const held = session.current;
      return bench.decide("FALSE_CALL", (held && bench.acceptFor?.(held)?.kind) ?? "ACCEPT");
    },
    reject: () => reject(),
    "reject-as": (/** @type {{disposition?: string}} */ intent) => reject(intent.disposition ?? "HOLD"),
    concede,
    inconclusive: () => bench.decide("INCONCLUSIVE", "HOLD"),
    choose: () => openIfHeld("choice"),
    class: (/** @type {{digit?: number}} */ { digit = 0 }) => {
      const found = bench.classesOf(session.current)[digit - 1];
      if (found) {
        bench.chooseClass(found.code);
      }
    },
    skip: () => openIfHeld("skip"),
    "skip-reason": (/** @type {{digit?: number}} */ { digit = 0 }) => {
      const button = document.querySelectorAll("[data-skip]")[digit - 1];
      if (button) {
        skip(button.getAttribute("data-skip") ?? "");
      } else {
        byId("skip-reason").focus();
      }
    },
    escalate: () => openIfHeld("escalate"),
    undo: () => void session.undo(),
    next: () => session.isLost && session.leaveLost(),
  });

  for (const button of document.querySelectorAll("[data-skip]")) {
    button.addEventListener("click", () => skip(button.getAttribute("data-skip") ?? ""));
  }
  onSubmit("skip-form", () => skip(byId("skip-reason").value));
  onSubmit("concession-form", () => conceded(byId("concession-reason").value.trim()));
  // Said of one part, for one part.
  bench.on("leave", () => void (byId("concession-reason").value = ""));
  onSubmit("escalate-form", () =>
    session.escalate(byId("escalate-comment").value.trim(), strings.escalate),
  );

  bench.on("settled", (entry, answer) => {
    const isChanged = entry.kind === "decision" && answer?.disposition && entry.body.disposition;
    if (isChanged && answer.disposition !== entry.body.disposition) {
      const facts = { serial: entry.serial, says: strings[answer.disposition], detail: answer.why ?? "" };
      bench.notices.show(fill(strings.became, facts).trim(), { isFault: false });
    }
  });
}

/** @param {string} id @param {() => boolean|void} act answers whether it is done: else the words stay */
function onSubmit(id, act) {
  byId(id).addEventListener("submit", (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    if (act()) {
      /** @type {HTMLFormElement} */ (event.target).reset();
    }
  });
}
