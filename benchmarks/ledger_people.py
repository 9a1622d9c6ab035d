"""Inspectors who go on whatever happens, press twice, come too late, and remember every answer."""

from __future__ import annotations

import contextlib
import random
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.ledger_client import Line
from benchmarks.ledger_notes import Claimed, Notes, Said

VERDICTS: Final = (
    {"answer": "FALSE_CALL", "disposition": "ACCEPT"},
    {"answer": "FALSE_CALL", "disposition": "ACCEPT"},
    {"answer": "CONFIRMED", "disposition": "REWORK", "defect_class": "scratch"},
    {"answer": "CONFIRMED", "disposition": "SCRAP", "defect_class": "scratch"},
)
UNSURE: Final = {"answer": "INCONCLUSIVE", "disposition": "HOLD"}
SHARES: Final = {
    "undo": 0.08,
    "twice": 0.06,
    "late": 0.03,
    "stranger": 0.03,
    "unsure": 0.03,
    "release": 0.02,
    "again": 0.03,
}


@dataclass
class Inspector:
    """One person; `stranger` are somebody else's headers."""

    number: int
    port: int
    headers: Mapping[str, str]
    stranger: Mapping[str, str]
    dice: random.Random
    lease_s: float
    is_over: Callable[[], bool]
    notes: Notes
    shares: Mapping[str, float]
    fault: BaseException | None = None
    verdicts: Sequence[Mapping[str, Any]] = VERDICTS

    def work(self) -> None:
        """Claim and judge until it is over."""
        try:
            with contextlib.closing(Line(self.port, self.headers, self.notes)) as self._line:
                while not self.is_over():
                    if not self._round():
                        time.sleep(0.1)
        except BaseException as fault:
            self.fault = fault
            raise

    def _round(self) -> bool:
        asked = time.monotonic()
        status, answer = self._line.post("/claims", {"count": self.dice.randint(1, 3)})
        if status != 200:
            raise AssertionError(f"a claim was answered {status}: {answer}")
        for task in answer["tasks"]:
            self._note(task, asked)
        for task in answer["tasks"]:
            self._judge(task)
        return bool(answer["tasks"])

    def _note(self, task: Mapping[str, Any], asked: float) -> None:
        self.notes.claimed.append(
            Claimed(self.number, task["id"], task["fence"], asked, time.monotonic())
        )

    def _judge(self, task: Mapping[str, Any]) -> None:
        acts = {**self.shares, "plainly": 1 - sum(self.shares.values())}
        [act] = self.dice.choices([*acts], [*acts.values()])
        if act == "release":
            self.notes.given_back.add((task["id"], task["fence"]))
            self._line.post(f"/tasks/{task['id']}/release", {"fence": task["fence"]})
            return
        if act == "late":
            time.sleep(self.lease_s * self.dice.uniform(1.1, 2.0))
        if act == "stranger":
            with contextlib.closing(Line(self.port, self.stranger, self.notes)) as line:
                self._say(line, task, who=-self.number - 1)
        verdict = UNSURE if act == "unsure" else self.dice.choice(self.verdicts)
        decision = self._say(self._line, task, verdict, twice=act == "twice")
        if decision and act == "undo":
            self._take_back(decision, task)
        if decision and act == "again":
            # A copy of the tab, with the same task still open on it.
            self._say(self._line, task)

    def _take_back(self, decision: str, task: Mapping[str, Any]) -> None:
        asked = time.monotonic()
        self.notes.given_back.add((task["id"], task["fence"]))
        status, answer = self._line.post(f"/decisions/{decision}/undo", {})
        if status == 200:
            self.notes.undone.append(decision)
            self._note(answer["task"], asked)
            self._say(self._line, answer["task"])

    def _say(
        self,
        line: Line,
        task: Mapping[str, Any],
        verdict: Mapping[str, Any] | None = None,
        *,
        who: int | None = None,
        twice: bool = False,
    ) -> str | None:
        """The decision's id when it was taken; two presses at once share a key."""
        key = str(uuid.UUID(int=self.dice.getrandbits(128)))
        body = {"fence": task["fence"], **(verdict or self.dice.choice(self.verdicts))}
        number = self.number if who is None else who
        if twice:
            with contextlib.closing(Line(self.port, self.headers, self.notes)) as other:
                press = (other, key, task, body, number)
                second = threading.Thread(target=self._press, args=press)
                second.start()
                found = self._press(line, key, task, body, number)
                second.join()
            return found
        return self._press(line, key, task, body, number)

    def _press(
        self, line: Line, key: str, task: Mapping[str, Any], body: Mapping[str, Any], who: int
    ) -> str | None:
        asked = time.monotonic()
        status, answer = line.post(f"/tasks/{task['id']}/decision", body, key=key)
        said = Said(who, key, task["id"], task["fence"], body, asked, status, answer)
        self.notes.said.append(said)
        found: str | None = answer.get("decision")
        return found
