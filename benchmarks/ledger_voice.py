"""The MES speaks by itself: of what it applied, late and twice, against itself, and of changes.

What it says of its book is true; what it says against that it says only of what is known already.
"""

from __future__ import annotations

import abc
import contextlib
import heapq
import random
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psycopg

from benchmarks.ledger_client import Line
from benchmarks.ledger_notes import Changed, Notes, Word

SPEAKS: Final = {"word": 0.12, "late": 0.3, "twice": 0.2, "against": 0.2, "change": 0.4}
LATEST_S: Final = 2.5
PAUSE_S: Final = 0.05
# From one change over there to the next.
APART_S: Final = 0.5
KINDS: Final = ("ACCEPT", "ACCEPT", "ACCEPT", "REWORK", "HOLD", "SCRAP")
# A unit that rests: nothing of it is on its way, nothing over there is questioned.
_AT_REST: Final = """
    SELECT u.serial, u.disposition
    FROM (SELECT * FROM traceability_unit ORDER BY id DESC LIMIT 300) u
    WHERE u.disposition NOT IN ('', 'SCRAP') AND NOT EXISTS (
        SELECT 1 FROM mes_integration_writeback w WHERE w.unit_id = u.id
        AND (w.settled_at IS NULL OR w.enqueued_at > now() - interval '2 seconds'))
    AND EXISTS (SELECT 1 FROM mes_integration_writeback w WHERE w.unit_id = u.id
        AND w.target = %s AND w.state = 'ACKNOWLEDGED')
    AND NOT EXISTS (SELECT 1 FROM mes_integration_meschange c
        WHERE c.unit_id = u.id AND c.state = 'OPEN')
    ORDER BY (u.disposition = 'HOLD')::int * random() DESC LIMIT 20
"""
_NEVER_SENT: Final = """
    SELECT uuid::text FROM mes_integration_writeback
    WHERE target = %s AND state IN ('WITHDRAWN', 'SUPERSEDED') ORDER BY id DESC LIMIT 20
"""


@dataclass
class Voice(abc.ABC):
    """One target's own voice, in a thread of its own."""

    target: str
    port: int
    headers: Mapping[str, str]
    book: Path
    url: str
    dice: random.Random
    is_over: Callable[[], bool]
    notes: Notes
    speaks: Mapping[str, float] = field(default_factory=lambda: dict(SPEAKS))
    fault: BaseException | None = None

    def work(self) -> None:
        """Speak until it is over; what was kept for later is said."""
        try:
            with contextlib.closing(Line(self.port, self.headers, self.notes)) as self._line:
                while not self.is_over():
                    self._speak()
                    time.sleep(PAUSE_S)
                self._end()
        except BaseException as fault:
            self.fault = fault
            raise

    @abc.abstractmethod
    def _speak(self) -> None:
        """What there is to say now, if anything."""

    @abc.abstractmethod
    def _end(self) -> None:
        """What is left to say."""

    def _does(self, what: str) -> bool:
        return self.dice.random() < self.speaks[what]

    def _from_book(self, query: str, value: object) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.book, timeout=30)) as book:
            return book.execute(query, [value]).fetchall()

    def _from_plant(self, query: str) -> list[tuple[Any, ...]]:
        """A database that is away knows nothing."""
        try:
            with psycopg.connect(self.url, autocommit=True, connect_timeout=3) as hand:
                return hand.execute(query.encode(), [self.target]).fetchall()
        except psycopg.Error:
            return []


@dataclass
class Words(Voice):
    """Acknowledges some of what it applied, beside the calls that brought it."""

    _heard: int = 0
    _later: list[tuple[float, str]] = field(default_factory=list)

    def _speak(self) -> None:
        self._listen()
        self._say_what_is_due(time.monotonic())

    def _end(self) -> None:
        self._say_what_is_due(float("inf"))

    def _listen(self) -> None:
        """What the book holds since the last look; the call that brought it may be open still."""
        for number, key in self._from_book(
            "SELECT n, key FROM effect WHERE n > ? ORDER BY n", self._heard
        ):
            self._heard = number
            if self._does("word"):
                wait = self.dice.uniform(0, LATEST_S) if self._does("late") else 0.0
                heapq.heappush(self._later, (time.monotonic() + wait, key))

    def _say_what_is_due(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            self._acknowledge(heapq.heappop(self._later)[1])

    def _acknowledge(self, key: str) -> None:
        [(first,)] = self._from_book("SELECT min(n) FROM effect WHERE key = ?", key)
        truth = ("applied", f"MES-{first}")
        if self._does("twice"):
            self._at_once(key, truth)
        self._say(self._line, key, truth, is_true=True)
        if self._does("against"):
            lie = self.dice.choice([("rejected", ""), ("applied", f"MES-{first}-again")])
            for _time in range(self.dice.randint(1, 2)):
                self._say(self._line, key, lie, is_true=False)
        if self._does("against"):
            # Of one that it has never been sent.
            for (other,) in self._from_plant(_NEVER_SENT)[:1]:
                self._say(self._line, other, ("applied", "MES-0"), is_true=False)

    def _at_once(self, key: str, word: tuple[str, str]) -> None:
        """By two ways at the same time."""

        def say() -> None:
            with contextlib.closing(Line(self.port, self.headers, self.notes)) as line:
                self._say(line, key, word, is_true=True)

        ways = [threading.Thread(target=say) for _n in range(2)]
        for way in ways:
            way.start()
        for way in ways:
            way.join()

    def _say(self, line: Line, key: str, word: tuple[str, str], *, is_true: bool) -> None:
        state, reference = word
        body = {"target": self.target, "key": key, "state": state}
        body |= {"reference": reference} if reference else {"reason": "Changed its mind."}
        told = line.send("/api/v1/mes/acknowledgements", body)
        self.notes.words.append(
            Word(self.target, key, state, reference, is_true, told.status, told.answer)
        )


@dataclass
class Hands(Voice):
    """Somebody who decides otherwise over there: a hold is released, most often."""

    def _speak(self) -> None:
        found = self._from_plant(_AT_REST) if self._does("change") else []
        if not found:
            return
        serial, ours = self.dice.choice(found)
        kind = self.dice.choice([each for each in KINDS if each != ours])
        event, at = str(uuid.UUID(int=self.dice.getrandbits(128))), time.time()
        body = {
            "site": "bench",
            "target": self.target,
            "event_id": event,
            "serial": serial,
            "disposition": kind,
            "at": datetime.fromtimestamp(at, UTC).isoformat(),
            "by": "shift lead",
        }
        for _time in range(2 if self._does("twice") else 1):
            told = self._line.send("/api/v1/mes/changes", body)
            self.notes.changed.append(
                Changed(self.target, event, serial, kind, at, told.status, told.answer)
            )
        time.sleep(self.dice.uniform(0, 2 * APART_S))

    def _end(self) -> None:
        """Nothing is kept for later."""
