"""Processes that die at a chosen point of a transaction, without a word of it in the product.

A child is given a transaction by the function that makes it, and counts its statements: it kills
itself before the nth, before the commit, or after the commit and before what follows (a delete, a
call, an answer). The next child dies one point further on, until every point has been met.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

COMMIT: Final = "commit"
ANSWER: Final = "after commit"
# Every point has been met, by others meanwhile.
NOWHERE: Final = ""
# Transactions a child lets pass first, so that the deaths spread over the run.
PATIENCE: Final = (0, 3)
# Shorter than the point that is due so often, in whatever process: there is no such statement, the
# commit is next.
SHORTER, SHORTER_OF_RARE = 4, 2


@dataclass(frozen=True)
class Critical:
    """A transaction that must not be half there, known by the function around it.

    `looks`: with no more statements than these it found nothing to do. `is_rare`: it comes so
    seldom that every process goes for it, and at once.
    """

    name: str
    module: str
    function: str
    looks: int = 1
    is_rare: bool = False


INTAKE: Final = Critical("intake", "inference_bridge.intake", "_take")
DECIDE: Final = Critical("decide", "review.decisions", "decide")
UNDO: Final = Critical("undo", "review.decisions", "undo", looks=6, is_rare=True)
APPROVE: Final = Critical("approve", "review.approvals", "approve", looks=6, is_rare=True)
REFUSE: Final = Critical("refuse", "review.approvals", "refuse", looks=6, is_rare=True)
WORD: Final = Critical("acknowledge", "mes_integration.inbound", "acknowledge", looks=4)
OURS: Final = Critical("ours", "review.mes_conflicts", "ours_stands", looks=6, is_rare=True)
THEIRS: Final = Critical("theirs", "review.mes_conflicts", "theirs_stands", looks=9, is_rare=True)
CLAIM: Final = Critical("claim", "review.queue", "_claim")
LEASE: Final = Critical("lease", "mes_integration.leases", "take_lease")
RECORD: Final = Critical("record", "mes_integration.delivery", "record")
RECOVER: Final = Critical("recover", "mes_integration.leases", "recover", is_rare=True)
OF_ROLE: Final = {
    "web": (DECIDE, UNDO, CLAIM, APPROVE, REFUSE, WORD, OURS, THEIRS),
    "consumer": (INTAKE,),
    "relay": (LEASE, RECORD, RECOVER),
}


# What every process of a plant does all the time.
FREQUENT: Final = tuple(
    each.name for criticals in OF_ROLE.values() for each in criticals if not each.is_rare
)


@dataclass
class Deaths:
    """The points that have been met, in a file that outlives who met them."""

    folder: Path
    _met: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def read(self) -> dict[str, list[str]]:
        """Points by transaction, in the order in which they were met."""
        self._met.clear()
        if (self.folder / "deaths").exists():
            for line in (self.folder / "deaths").read_text().splitlines():
                name, point = line.split("\t")
                self._met[name].append(point)
        return self._met

    def note(self, name: str, point: str) -> None:
        """For good: what follows is SIGKILL."""
        with (self.folder / "deaths").open("a") as file:
            file.write(f"{name}\t{point}\n")
            file.flush()
            os.fsync(file.fileno())

    def note_shorter(self, name: str, point: str) -> int:
        """A transaction has not so many statements; how often that was seen."""
        line = f"{name}\t{point}\n"
        with (self.folder / "shorter").open("a+") as file:
            file.write(line)
            file.flush()
            file.seek(0)
            return file.readlines().count(line)

    def next_of(self, critical: Critical) -> str:
        """The point that comes next of a transaction."""
        return _following(self.read()[critical.name])

    def is_done(self, critical: Critical, rounds: int) -> bool:
        """Whether its points have been met so often."""
        return self.read()[critical.name].count(ANSWER) >= rounds


def _following(met: list[str]) -> str:
    """Statements in their order, then the commit, then what comes after it; then again."""
    last = next((point for point in reversed(met)), ANSWER)
    if last == ANSWER:
        return "1"
    if last == COMMIT:
        return ANSWER
    return str(int(last) + 1)


class Trap:
    """Set in one process for one point of one transaction."""

    def __init__(
        self, critical: Critical, point: str, deaths: Deaths, *, skips: int, rounds: int
    ) -> None:
        self._critical = critical
        self._rounds = rounds
        self._point = point
        self._deaths = deaths
        self._skips = skips
        self._lock = threading.Lock()
        self._counted: Counter[int] = Counter()

    def statement(
        self, execute: Callable[..., Any], sql: Any, params: Any, many: Any, context: Any
    ) -> Any:
        """Around every statement, as Django's execute_wrapper."""
        if self._is_within() and context["connection"].in_atomic_block:
            me = threading.get_ident()
            self._counted[me] += 1
            if self._point == str(self._counted[me]) and self._is_ripe():
                self._die(self._point)
        return execute(sql, params, many, context)

    def commit(self, commits: Callable[[], None]) -> None:
        """Around every commit."""
        statements = self._counted.pop(threading.get_ident(), 0)
        is_critical = statements > self._critical.looks and self._is_within()
        if is_critical and self._is_next_the_commit(statements) and self._is_ripe():
            self._die(COMMIT)
        commits()
        if is_critical and self._point == ANSWER and self._is_ripe():
            self._die(ANSWER)

    def ended(self) -> None:
        """A transaction was rolled back: the next one counts anew."""
        self._counted[threading.get_ident()] = 0

    def _is_next_the_commit(self, statements: int) -> bool:
        """Also when transactions turn out too short for the statement that was to be next."""
        if self._point in {COMMIT, ANSWER, NOWHERE}:
            return self._point == COMMIT
        if statements >= int(self._point):
            return False
        seen = self._deaths.note_shorter(self._critical.name, self._point)
        return seen >= (SHORTER_OF_RARE if self._critical.is_rare else SHORTER)

    def _is_ripe(self) -> bool:
        with self._lock:
            self._skips -= 1
            return self._skips < 0

    def _is_within(self) -> bool:
        frame: FrameType | None = sys._getframe(2)  # noqa: SLF001  # documented for such use
        wanted = (self._critical.function, self._critical.module)
        while frame is not None:
            if (frame.f_code.co_name, frame.f_globals.get("__name__")) == wanted:
                return True
            frame = frame.f_back
        return False

    def _die(self, point: str) -> None:
        if self._deaths.is_done(self._critical, self._rounds):
            self._point = NOWHERE
            return
        due = self._deaths.next_of(self._critical)
        if due not in {point, self._point}:
            # Another process has met it meanwhile: this one goes for the next.
            self._point = due
            return
        self._deaths.note(self._critical.name, point)
        os.kill(os.getpid(), signal.SIGKILL)
        threading.Event().wait()


def arm(
    role: str, folder: Path, *, rounds: int = 1, only: Sequence[str] = (), is_first: bool = True
) -> None:
    """Set the next trap of each of a role's transactions in this process, till all are met.

    Who is not the first of his role goes for the rare ones alone.
    """
    deaths = Deaths(folder)
    chance = random.Random(os.getpid())
    for critical in OF_ROLE[role]:
        is_asked = (is_first or critical.is_rare) and (not only or critical.name in only)
        if is_asked and not deaths.is_done(critical, rounds):
            skips = 0 if critical.is_rare else chance.randint(*PATIENCE)
            point = deaths.next_of(critical)
            _install(Trap(critical, point, deaths, skips=skips, rounds=rounds))


def _install(trap: Trap) -> None:
    def connected(connection: BaseDatabaseWrapper, **_more: Any) -> None:
        if trap.statement not in connection.execute_wrappers:
            connection.execute_wrappers.append(trap.statement)

    connection_created.connect(connected, weak=False)
    # The driver's side of every transaction that Django ends; this process alone is changed.
    wrapper: Any = BaseDatabaseWrapper
    commits, rolls_back = wrapper._commit, wrapper._rollback  # noqa: SLF001

    def commit(self: BaseDatabaseWrapper) -> None:
        if self.connection is not None:
            trap.commit(lambda: commits(self))

    def rollback(self: BaseDatabaseWrapper) -> None:
        trap.ended()
        rolls_back(self)

    wrapper._commit, wrapper._rollback = commit, rollback  # noqa: SLF001
