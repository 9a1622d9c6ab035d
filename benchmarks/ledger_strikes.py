"""The faults, one after the other and over each other, in an order that a seed makes again."""

from __future__ import annotations

import heapq
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import psycopg

from benchmarks import ledger_rules
from benchmarks.ledger_history import History
from benchmarks.ledger_plant import Ground

# Longer than a call's lease (three time-outs and ten seconds) and than the peer's quarantine
# behind it, than a message's visibility, than an inspector's lease.
STOPS_S: Final = {"relay": (12.5, 18.0), "consumer": (11.0, 14.0), "web": (2.2, 4.0)}
# What a dead inspector held is with another this long after his lease, at the latest.
VISIBLE_AGAIN_S: Final = 5.0
DISK_FULL_S: Final = 1.5
SILENCE_S: Final = 1.5


@dataclass(frozen=True)
class Plan:
    """How much of each there is to be."""

    kills: int
    stops: int
    restarts: int
    seconds: float
    with_once: bool = True
    # Times `seconds`: then no more is sent, and what was sent is what was reached.
    latest: float = 1.1


@dataclass
class Striker:
    """Strikes from the main thread, which alone may start processes."""

    ground: Ground
    plan: Plan
    dice: random.Random
    history: History
    # What the peer is told when it is back.
    peer: Mapping[str, object] = field(default_factory=lambda: {"share": 0.2})
    done: Counter[str] = field(default_factory=Counter)
    _later: list[tuple[float, int, Callable[[], object]]] = field(default_factory=list)
    _number: int = 0

    def strike_until(
        self,
        is_over: Callable[[], bool],
        progress: Callable[[], float],
        is_enough: Callable[[], bool],
    ) -> None:
        """Every fault of the plan, spread over the time; on a slow machine that is the end."""
        waiting = self._drawn()
        count, began, passed = len(waiting), time.monotonic(), 0.0
        while (waiting or (not is_over() and passed < self.plan.latest)) and not is_enough():
            self._do_later()
            passed = (time.monotonic() - began) / self.plan.seconds
            due = max(passed, 0.9 * progress())
            if waiting and (count - len(waiting)) / count <= due:
                name = waiting.pop()
                getattr(self, f"_{name}")()
                self.done[name] += 1
            elif not waiting and not is_over():
                # What was planned is done, and there is work left: nothing is spared that.
                self._kill()
                self.done["kill"] += 1
                time.sleep(1.0)
            time.sleep(0.02)

    def rest(self) -> None:
        """Whatever was to go on after a stop goes on; every process is there."""
        while self._later:
            self._do_later()
            time.sleep(0.05)
        self.ground.wire("latency", seconds=0)

    def _drawn(self) -> list[str]:
        plan = self.plan
        drawn = ["kill"] * plan.kills + ["stop"] * plan.stops + ["restart"] * plan.restarts
        if plan.with_once:
            tens = max(1, plan.kills // 20)
            for name in ("lose_commits", "reset", "silence", "slow", "slice", "terminate", "grip"):
                drawn += [name] * tens
            drawn += ["kill_peer", "kill_whole", "policy", "mapping"] * max(1, plan.kills // 60)
            drawn += ["second_relay", "roll", "keys"] * 1
            if self.ground.database.is_small:
                drawn += ["fill_disk"] * max(1, plan.kills // 60)
        self.dice.shuffle(drawn)
        return drawn

    # --- processes ---

    def _living(self) -> list[tuple[int, str]]:
        both = (self.ground.children(name) for name in ("web", "nursery"))
        return [pair for children in both for pair in children.items()]

    def _kill(self) -> None:
        """SIGKILL to a web worker, a consumer or a relay."""
        living = self._living()
        if living:
            pid, role = self.dice.choice(living)
            self.history.note("kill", role=role)
            _signal(pid, signal.SIGKILL)

    def _stop(self) -> None:
        """A process stands still for longer than its lease, and goes on as if nothing was."""
        living = self._living()
        if not living:
            return
        pid, role = self.dice.choice(living)
        seconds = self.dice.uniform(*STOPS_S[role.rstrip("0123456789+-")])
        self.history.note("stop", role=role, seconds=seconds)
        _signal(pid, signal.SIGSTOP)
        self._in(seconds, lambda: _signal(pid, signal.SIGCONT))

    def _kill_whole(self) -> None:
        """A whole server with all its children."""
        name = self.dice.choice([n for n in ("web", "nursery", "celery") if n in self._names()])
        self.history.note("kill whole", name=name)
        self.ground.restart(name)

    def _names(self) -> list[str]:
        return list(self.ground.running)

    def _second_relay(self) -> None:
        """Somebody starts the relay a second time by mistake."""
        self.history.note("second relay")
        self.ground.start_nursery("mistake", "relay", armed=False)

    def _roll(self) -> None:
        """A migration under load, then every process anew, one after the other."""
        self.history.note("rolling migration")
        with psycopg.connect(self.ground.database.url, autocommit=True) as hand:
            for table in ("mes_integration_writeback", "review_decision"):
                hand.execute(f"ALTER TABLE {table} ADD COLUMN next_release int DEFAULT 1".encode())
            hand.execute(b"CREATE INDEX CONCURRENTLY next_release ON review_decision (fence)")
        for pid in self.ground.children("web"):
            _signal(pid, signal.SIGTERM)
        for pid in self.ground.children("nursery"):
            _signal(pid, signal.SIGTERM)

    # --- the database and the way to it ---

    def _restart(self) -> None:
        self.history.note("restart")
        self.ground.database.restart_at_once()

    def _fill_disk(self) -> None:
        self.history.note("disk full")
        self.ground.database.fill_disk()
        time.sleep(DISK_FULL_S)
        self.ground.database.free_disk()

    def _lose_commits(self) -> None:
        self.history.note("lose commits")
        self.ground.wire("lose_commits", count=self.dice.randint(1, 4))

    def _reset(self) -> None:
        self.history.note("reset")
        self.ground.wire("reset")

    def _silence(self) -> None:
        self.history.note("silence")
        self.ground.wire("silence", seconds=SILENCE_S)

    def _slice(self) -> None:
        self.ground.wire("slice")

    def _slow(self) -> None:
        self.history.note("slow")
        self.ground.wire("latency", seconds=0.02)
        self._in(1.0, lambda: self.ground.wire("latency", seconds=0))

    def _terminate(self) -> None:
        """Every session of the product is ended by the server."""
        self.history.note("terminate")
        with psycopg.connect(self.ground.database.url, autocommit=True) as hand:
            hand.execute(
                b"SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                b" WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    def _grip(self) -> None:
        """A deadlock: a hand in the tables takes the locks of a verdict the other way round."""
        self.history.note("grip")
        hand = threading.Thread(target=_cross_locks, args=(self.ground.database.url,), daemon=True)
        hand.start()

    # --- what surrounds it ---

    def _kill_peer(self) -> None:
        target = self.dice.choice(self.ground.targets)
        self.history.note("peer away", target=target)
        self.ground.end(target)
        self._in(2.0, lambda: self._peer_is_back(target))

    def _peer_is_back(self, target: str) -> None:
        self.ground.start_peer(target)
        self.ground.until_peer_answers(target)
        self.ground.tell_peer(target, **self.peer, knows_keys=self._knows_keys)

    _knows_keys: bool = False

    def _keys(self) -> None:
        """From now on the peer knows a key again; until now it would have applied it twice."""
        self.history.note("keys")
        self._knows_keys = True
        self.ground.tell_peer(knows_keys=True)

    def _policy(self) -> None:
        """Thresholds change while messages are on their way."""
        low = round(self.dice.uniform(0.15, 0.4), 2)
        self.history.note("policy", review_from=low)
        ledger_rules.next_policy(self.ground.database.url, low=low)

    def _mapping(self) -> None:
        """Another version of the mapping comes into force; what was said before stays said."""
        self.history.note("mapping")
        self.ground.describe_peer()

    def _in(self, seconds: float, what: Callable[[], object]) -> None:
        self._number += 1
        heapq.heappush(self._later, (time.monotonic() + seconds, self._number, what))

    def _do_later(self) -> None:
        while self._later and self._later[0][0] <= time.monotonic():
            heapq.heappop(self._later)[2]()


def _cross_locks(url: str) -> None:
    """Lock a unit, wait until a verdict waits for it, then ask for the task it has locked."""
    try:
        with psycopg.connect(url) as hand:
            row = hand.execute(
                b"SELECT unit_id, id FROM review_reviewtask WHERE state = 'LEASED' LIMIT 1"
            ).fetchone()
            if row is None:
                return
            hand.execute(b"SET statement_timeout = '4s'")
            hand.execute(b"SELECT id FROM traceability_unit WHERE id = %s FOR UPDATE", [row[0]])
            ends = time.monotonic() + 2
            while time.monotonic() < ends:
                waits = hand.execute(
                    b"SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                    b" AND datname = current_database()"
                ).fetchone()
                if waits and waits[0]:
                    break
                time.sleep(0.05)
            hand.execute(b"SELECT id FROM review_reviewtask WHERE id = %s FOR UPDATE", [row[1]])
    except psycopg.Error:
        # The server may have chosen this side to end, or have been restarted.
        return


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
