"""Leads: they agree or refuse, settle what the MES says otherwise, and judge what is left to them.

Several at once, so that what one answers another has often just answered.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg

from benchmarks.ledger_client import Line
from benchmarks.ledger_notes import Answered, Settled
from benchmarks.ledger_people import VERDICTS, Inspector

CONCESSION: Final = {
    "answer": "CONFIRMED",
    "disposition": "ACCEPT",
    "defect_class": "scratch",
    "concession": "Used under a deviation.",
}
BY_LEADS: Final = (*VERDICTS, CONCESSION)
# What a lead does beside judging, once calm is asked for nothing of it.
PRESSES: Final = {"refuse": 0.25, "twice": 0.15, "again": 0.1, "other": 0.1, "own": 0.05}
OURS_SHARE: Final = 0.5
OF_LATE: Final = 8
ENOUGH: Final = 4
_SETTLED: Final = "/write-backs/conflicts/"
_OPEN: Final = """
    SELECT c.uuid::text, u.disposition_revision, c.about, c.kind
    FROM mes_integration_meschange c JOIN traceability_unit u ON u.id = c.unit_id
    WHERE c.state = 'OPEN' ORDER BY c.id LIMIT 8
"""


@dataclass
class Lead(Inspector):
    """One of the leads; `is_calm`: everything is to come to rest, so he agrees to what he may."""

    # As the plant knows him.
    name: str = ""
    url: str = ""
    is_calm: Callable[[], bool] = bool
    presses: Mapping[str, float] = field(default_factory=lambda: dict(PRESSES))
    # What he has tried to settle his way and may not; then he says the other.
    _tried: dict[str, str] = field(default_factory=dict)
    # How often he has tried to agree to what waits.
    _in_vain: Counter[str] = field(default_factory=Counter)

    def _round(self) -> bool:
        if self.is_calm():
            self.verdicts = VERDICTS[:1]
        found = [self._answer(), self._settle(), super()._round()]
        return any(found)

    # --- what waits for a second person ---

    def _answer(self) -> bool:
        """Agree to one of those that wait, or refuse it; whether it was answered."""
        waiting = self._line.get("/approvals")["approvals"][:OF_LATE]
        mine = [each for each in waiting if each["asked_by"] == self.name]
        others = [each for each in waiting if each["asked_by"] != self.name]
        if mine and self._does("own"):
            self._press_on(self._line, self.dice.choice(mine)["id"], "approve")
        if not others:
            return False
        approval = self.dice.choice(others)["id"]
        # What cannot be agreed to, as while another question stays open, is refused.
        is_vain = self._in_vain[approval] >= ENOUGH
        act = "refuse" if is_vain or self._does("refuse") else "approve"
        if self._does("twice"):
            status = self._at_once(approval, act)
        else:
            status = self._press_on(self._line, approval, act)
        if self._does("again"):
            self._press_on(self._line, approval, act)
        if self._does("other"):
            other = "approve" if act == "refuse" else "refuse"
            self._press_on(self._line, approval, other)
        return status == 200

    def _does(self, press: str) -> bool:
        return not self.is_calm() and self.dice.random() < self.presses[press]

    def _at_once(self, approval: str, act: str) -> int:
        """The same press on two tabs."""
        with contextlib.closing(Line(self.port, self.headers, self.notes)) as other:
            second = threading.Thread(target=self._press_on, args=(other, approval, act))
            second.start()
            status = self._press_on(self._line, approval, act)
            second.join()
        return status

    def _press_on(self, line: Line, approval: str, act: str) -> int:
        words = {"words": "Seen it myself."}
        status, answer = line.post(f"/approvals/{approval}/{act}", words)
        self.notes.answered.append(Answered(self.name, approval, act, status, answer))
        if status != 200 and act == "approve":
            self._in_vain[approval] += 1
        return status

    # --- whose word stands ---

    def _settle(self) -> bool:
        """Say whose word stands of one that is open; whether it was taken."""
        found = self._open_conflicts()
        if not found:
            return False
        change, revision, about, kind = self.dice.choice(found)
        act = self._chosen(change, about)
        form = {"revision": str(revision), "kind": kind}
        if self._does("twice"):
            with contextlib.closing(Line(self.port, self.headers, self.notes)) as other:
                second = threading.Thread(target=self._say_of, args=(other, change, act, form))
                second.start()
                is_taken = self._say_of(self._line, change, act, form)
                second.join()
            return is_taken
        return self._say_of(self._line, change, act, form)

    def _chosen(self, change: str, about: str) -> str:
        if before := self._tried.get(change):
            return "theirs" if before == "ours" else "ours"
        # Of an acknowledgement most often somebody has put it right over there.
        share = OURS_SHARE if about == "DISPOSITION" else OURS_SHARE / 4
        return "ours" if self.dice.random() < share else "theirs"

    def _open_conflicts(self) -> list[tuple[Any, ...]]:
        """As the page would list them: a database that is away shows none."""
        try:
            with psycopg.connect(self.url, autocommit=True, connect_timeout=3) as hand:
                return hand.execute(_OPEN.encode()).fetchall()
        except psycopg.Error:
            return []

    def _say_of(self, line: Line, change: str, act: str, form: Mapping[str, str]) -> bool:
        reason = f"{self.name} {time.monotonic_ns()} {threading.get_ident()}"
        told = line.press(f"/review/conflicts/{change}/{act}/", {**form, "reason": reason})
        is_taken = told.status == 302
        if is_taken and not told.to.startswith(_SETTLED):
            raise AssertionError(f"a choice led to {told.to}")
        self.notes.settled.append(
            Settled(change, act, reason, told.status, told.tries == 1, told.answer)
        )
        if not is_taken:
            self._tried[change] = act
        return is_taken
