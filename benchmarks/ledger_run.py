"""One run of the fault programme: a plant is fed, struck, let come to rest, and checked."""

from __future__ import annotations

import contextlib
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg

from benchmarks import (
    ledger_checker,
    ledger_feed,
    ledger_figures,
    ledger_plant,
    ledger_recovery,
)
from benchmarks.figures import Figure
from benchmarks.ledger_feed import Feed
from benchmarks.ledger_history import History
from benchmarks.ledger_leads import BY_LEADS, PRESSES, Lead
from benchmarks.ledger_notes import Notes
from benchmarks.ledger_people import SHARES, Inspector
from benchmarks.ledger_plant import Ground, Seats, wait_for
from benchmarks.ledger_seen import Seen, Violation
from benchmarks.ledger_strikes import Plan, Striker
from benchmarks.ledger_voice import SPEAKS, Hands, Voice, Words
from benchmarks.ledger_watch import Watch
from tests.faults.plant import ROOT

PEOPLE: Final = 6
LEADS: Final = 3
ROLES: Final = ("consumer", "consumer", "relay", "relay+10800", "relay-10800")
SETTLES_S: Final = 150.0
LOOKS_S: Final = 2.0
MOST_AHEAD: Final = 150
_BEHIND: Final = """
    SELECT (SELECT count(*) FROM traceability_prediction)
            + (SELECT count(*) FROM inference_bridge_deadletter),
        (SELECT count(*) FROM mes_integration_writeback WHERE state = 'PENDING' AND due_at < now())
"""
# But for those that each lead has had an answer of his refused to.
_OPEN: Final = """
    SELECT count(*) FROM review_reviewtask t WHERE t.state IN ('QUEUED', 'LEASED') AND (
        SELECT count(*) FROM review_skip k JOIN governance_user p ON p.id = k.inspector_id
        WHERE k.task_id = t.id AND p.username LIKE 'lead-%%') < %s
"""
# But for those that a later decision has made idle, which nobody can answer.
_UNANSWERED: Final = """
    SELECT count(*) FROM review_approval a JOIN review_reviewtask t ON t.id = a.task_id
    JOIN review_decision d ON d.id = a.decision_id
    JOIN traceability_disposition s ON s.id = d.disposition_id
    WHERE a.state = 'OPEN' AND t.state = 'DECIDED' AND t.fence = d.fence AND NOT EXISTS (
        SELECT 1 FROM traceability_disposition l WHERE l.unit_id = a.unit_id
        AND l.revision > s.revision AND l.kind <> 'HOLD' AND NOT EXISTS (
            SELECT 1 FROM traceability_dispositionwithdrawal x WHERE x.disposition_id = l.id))
"""
_CONFLICTS: Final = "SELECT count(*) FROM mes_integration_meschange WHERE state = 'OPEN'"
_UNSETTLED: Final = """
    SELECT count(*) FROM mes_integration_writeback WHERE settled_at IS NULL
    AND state NOT IN ('REJECTED', 'NEEDS_PERSON')
"""


@dataclass(frozen=True)
class Tier:
    """How much is done to it, and how long that may take when nothing is wrong."""

    messages: int
    plan: Plan
    rounds: int = 1
    # The transactions whose crash points are walked over; all of them where none is named.
    only: Sequence[str] = ()


@dataclass
class Run:
    """One plant from its start to its checks."""

    tier: Tier
    seed: int
    tree: Path = ROOT
    may_mount: bool = False
    # A cluster and the people in it, made ready by a run before.
    kept: tuple[Path, Seats] | None = None
    settles_s: float = SETTLES_S
    # How the MES misbehaves.
    peer: Mapping[str, object] = field(default_factory=lambda: {"share": 0.2})
    # What inspectors do beside judging plainly, and how often.
    acts: Mapping[str, float] = field(default_factory=lambda: dict(SHARES))
    # What leads press, and what the MES says by itself.
    presses: Mapping[str, float] = field(default_factory=lambda: dict(PRESSES))
    speaks: Mapping[str, float] = field(default_factory=lambda: dict(SPEAKS))
    again: float = ledger_feed.AGAIN_SHARE
    window: int = 200
    targets: Sequence[str] = ("mes",)
    # Write-backs that wait for their turn when no more is sent: with a long queue everything is
    # late, and what comes too early would not be seen.
    backlog: int = 60
    is_whole: bool = True
    # A violation of one of these is what the run is for: once it is seen, it ends.
    wanted: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="loupe-ledger-"))
        # More would only lie in the queue, whose emulator slows down with every message in it.
        self.ahead = min(MOST_AHEAD, 5 + self.tier.messages // 8)
        self.history = History(self.seed)
        self.notes = Notes()
        self.violations: list[Violation] = []
        self.staff: list[Inspector | Voice] = []
        self.crowd: list[threading.Thread] = []

    @contextmanager
    def plant(self) -> Iterator[Ground]:
        """Everything started, and ended whatever happens."""
        ground = Ground(
            self.folder,
            self.tree,
            self.seed,
            self.may_mount,
            rounds=self.tier.rounds,
            kept=self.kept[0] if self.kept else None,
            targets=self.targets,
        )
        try:
            ground.surround()
            self.queue = ground.make_queues()
            self.people = self.kept[1] if self.kept else ground.make_ready(PEOPLE + 1, LEADS)
            ground.start_web(only=self.tier.only)
            ground.start_nursery("nursery", *ROLES, only=self.tier.only)
            if self.is_whole:
                ground.start_celery()
            yield ground
        finally:
            ground.stop()
            shutil.rmtree(self.folder, ignore_errors=True)

    def everything(self) -> list[Figure]:
        """Feed it, strike it, let it come to rest, check it."""
        with self.plant() as ground:
            self.ground = ground
            began = time.monotonic()
            striker = self._storm(ground)
            if not self.violations:
                self._settle(ground)
                self._check(ground)
            self._dismiss()
            took = time.monotonic() - began
            figures = ledger_figures.of_run(
                *(ground, striker, self.notes),
                only=self.tier.only,
                sent=len(self.feed.sent),
                violations=len(self.violations),
                took=took,
            )
            if self.is_whole:
                figures += self._recovery(ground)
            if self.violations and self.is_whole:
                self._keep()
        return figures

    def _recovery(self, ground: Ground) -> list[Figure]:
        found = list(ledger_recovery.measure(ground, self.people.inspectors, self.feed))
        self.violations += [each for each in found if isinstance(each, Violation)]
        return [each for each in found if isinstance(each, Figure)]

    def _keep(self) -> None:
        kept = self.history.keep(ROOT / "var" / "faults", self.violations, self.notes)
        print(f"# the history is kept in {kept}", flush=True)
        shutil.copytree(self.folder, kept.with_suffix(""), ignore=_no_cluster)

    def _storm(self, ground: Ground) -> Striker:
        dice = random.Random(self.seed)
        self.feed = Feed(
            ground.sender, self.queue, random.Random(self.seed + 1), self.folder / "buckets"
        )
        self.feed.again, self.feed.window = self.again, self.window
        self.watch = Watch(ground.database.url)
        self.over, self.still, self.fed, self.calm = (threading.Event() for _n in range(4))
        striker = Striker(ground, self.tier.plan, dice, self.history, self.peer)
        ground.tell_peer(**self.peer, knows_keys=False)
        self._hire(ground, dice)
        feeding = threading.Thread(
            target=self.feed.send, args=(self.tier.messages, self._is_ahead, self.fed), daemon=True
        )
        self.crowd += [feeding, threading.Thread(target=self.watch.run, args=(self.over,))]
        for thread in self.crowd:
            thread.start()
        striker.strike_until(
            lambda: not feeding.is_alive(),
            lambda: len(self.feed.sent) / self.tier.messages,
            self._has_found,
        )
        self.fed.set()
        striker.rest()
        return striker

    def _hire(self, ground: Ground, dice: random.Random) -> None:
        seats, url = self.people, ground.database.url
        for number, headers in enumerate([*seats.inspectors[:PEOPLE], *seats.leads]):
            who = (number, ground.web_port, headers, seats.inspectors[-1])
            how = (random.Random(dice.random()), ledger_plant.LEASE_S, self.still.is_set)
            if number < PEOPLE:
                self.staff.append(Inspector(*who, *how, self.notes, self.acts))
                continue
            lead = Lead(*who, *how, self.notes, {**self.acts, "unsure": 0.0}, verdicts=BY_LEADS)
            lead.name, lead.url = f"lead-{number - PEOPLE}", url
            lead.is_calm, lead.presses = self.calm.is_set, self.presses
            self.staff.append(lead)
        for target, book in ground.books.items():
            where = (target, ground.web_port, seats.mes, book, url)
            for kind in (Words, Hands):
                chance = random.Random(dice.random())
                self.staff.append(kind(*where, chance, self.calm.is_set, self.notes, self.speaks))
        for each in self.staff:
            self.crowd.append(threading.Thread(target=each.work, daemon=True))

    def _is_ahead(self, sent: int) -> bool:
        """Whether messages, or write-backs that are due, wait in greater number than is useful."""
        found: list[tuple[int, int]] = []

        def ask() -> bool:
            found[:] = self.ground.outside.rows(_BEHIND)
            return True

        if not wait_for(ask, seconds=60):
            return True
        [(handled, waiting)] = found
        return sent - handled > self.ahead or waiting > self.backlog

    def _settle(self, ground: Ground) -> None:
        """No more faults; the plant has to come to rest by itself."""
        ground.tell_peer(share=0)
        ground.tell_queue(evil=False)
        self.history.note("no more faults")
        self.calm.set()
        count = ground.outside.count
        waits = (
            ("words of the MES", lambda: not any(t.is_alive() for t in self._at_work(Voice))),
            ("messages in the queue", lambda: self._left_in_queue() == 0),
            ("tasks undecided", lambda: count(_OPEN, [LEADS]) == 0),
            ("conflicts unsettled", lambda: count(_CONFLICTS) == 0),
            ("approvals unanswered", lambda: count(_UNANSWERED) == 0),
            ("write-backs unsettled", lambda: count(_UNSETTLED) == 0),
        )
        for what, holds in waits:
            if not wait_for(holds, seconds=self.settles_s):
                self.violations.append(Violation("I15", f"there are still {what}"))
        self.still.set()
        for thread in self._at_work(Inspector):
            thread.join(timeout=30)
        # A verdict may have come just before.
        wait_for(lambda: count(_UNSETTLED) == 0, seconds=self.settles_s)
        self.over.set()

    def _at_work(self, kind: type[Inspector | Voice]) -> list[threading.Thread]:
        """The threads of these of the staff; they were hired in the same order."""
        both = zip(self.staff, self.crowd, strict=False)
        return [thread for each, thread in both if isinstance(each, kind)]

    def _dismiss(self) -> None:
        self.calm.set()
        self.still.set()
        self.over.set()
        for thread in self.crowd:
            thread.join(timeout=30)

    def _has_found(self) -> bool:
        """Whether what was wanted is seen already; looked for every other second."""
        if not self.wanted or time.monotonic() < self._looks_at:
            return False
        self._looks_at = time.monotonic() + LOOKS_S
        with contextlib.suppress(psycopg.Error):
            seen = self._seen(self.ground)
            found = [*self.watch.found.values()]
            found += [each for one in ledger_checker.AT_ANY_TIME for each in one(seen)]
            self.violations += [each for each in found if each.invariant in self.wanted]
        return bool(self.violations)

    _looks_at = 0.0

    def _left_in_queue(self) -> int:
        found = self.ground.sqs.get_queue_attributes(
            QueueUrl=self.queue,
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )["Attributes"]
        return sum(int(number) for number in found.values())

    def _seen(self, ground: Ground) -> Seen:
        early = ground.queue_book.read_text().splitlines() if ground.queue_book.exists() else []
        return Seen(
            url=ground.database.url,
            books=ground.books,
            sent=self.feed.sent,
            notes=self.notes,
            lease_s=ledger_plant.LEASE_S,
            queue=ground.queue_figures(),
            deleted_early=early,
            given_out=ground.receives_of,
        )

    def _check(self, ground: Ground) -> None:
        seen = self._seen(ground)
        self.violations += self.watch.found.values()
        self.violations += ledger_checker.check(seen)
        for each in self.staff:
            if each.fault is not None:
                who = type(each).__name__.lower()
                self.violations.append(Violation("I13", f"a {who}: {each.fault!r}"))
        for row in seen.rows(ledger_checker.UNSETTLED):
            self.violations.append(Violation("I15", f"unsettled: {row}"))


def _no_cluster(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name in ("disk", "static", "buckets")]
