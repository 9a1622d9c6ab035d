"""Consumers and relays as children of one process, so that a killed one is replaced at once.

`python -m benchmarks.ledger_nursery consumer relay relay+10800`: a role may carry seconds by which
its clock is wrong. Told a folder, the first child of each role walks over all crash points, the
others over the rare ones.
What a child runs is the very loop that the worker hosts.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from types import FrameType
from typing import Final

import django

django.setup()

from django.db import connections  # noqa: E402  # Django first
from django.utils import timezone  # noqa: E402
from django.utils.module_loading import import_string  # noqa: E402

from benchmarks import ledger_crashing  # noqa: E402
from config import celery  # noqa: E402

LOOPS: Final[dict[str, Callable[[threading.Event], None]]] = {
    "consumer": import_string(celery.Consumer.runs),
    "relay": import_string(celery.Relay.runs),
}
_PR_SET_PDEATHSIG: Final = 1


def main() -> int:
    """Keep one child for each role until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ledger_nursery")
    parser.add_argument("roles", nargs="+")
    parser.add_argument("--pids", type=Path, required=True, help="written: {pid: role}")
    parser.add_argument("--points", type=Path, help="folder in which crash points are kept")
    parser.add_argument("--rounds", type=int, default=1, help="how often each point is met")
    parser.add_argument("--only", nargs="+", default=[], help="transactions that are walked over")
    given = parser.parse_args()
    nursery = Nursery(given.pids, given.points, given.rounds, given.only)
    signal.signal(signal.SIGTERM, nursery.stop)
    for number, role in enumerate(given.roles):
        nursery.bear(role, is_first=role not in given.roles[:number])
    return nursery.watch()


class Nursery:
    """The children there are, and which of them walk over the crash points."""

    def __init__(self, pids: Path, points: Path | None, rounds: int, only: Sequence[str]) -> None:
        self._pids = pids
        self._only = only
        self._points = points
        self._rounds = rounds
        self._children: dict[int, tuple[str, bool]] = {}
        self._ends = False

    def stop(self, _number: int, _frame: FrameType | None) -> None:
        """Tell every child, and bear no more."""
        self._ends = True
        for pid in self._children:
            os.kill(pid, signal.SIGTERM)

    def bear(self, role: str, *, is_first: bool) -> None:
        """Another child for a role."""
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)
            self._work(role, is_first=is_first)
            os._exit(0)
        self._children[pid] = (role, is_first)
        self._write()

    def _work(self, role: str, *, is_first: bool) -> None:
        """A child's whole life."""
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
        kind, _sign, seconds = role.partition("+")
        if "-" in role:
            kind, _sign, seconds = role.partition("-")
            seconds = f"-{seconds}"
        if seconds:
            shift_clock(timedelta(seconds=float(seconds)))
        if self._points is not None:
            ledger_crashing.arm(
                *(kind, self._points), rounds=self._rounds, only=self._only, is_first=is_first
            )
        LOOPS[kind](stop)
        connections.close_all()

    def watch(self) -> int:
        """Replace who dies, until there is nobody left to wait for."""
        while self._children:
            pid, _status = os.wait()
            role, is_first = self._children.pop(pid)
            if not self._ends:
                self.bear(role, is_first=is_first)
        return 0

    def _write(self) -> None:
        unfinished = self._pids.with_suffix(".new")
        unfinished.write_text(json.dumps({pid: role for pid, (role, _f) in self._children.items()}))
        unfinished.rename(self._pids)


def shift_clock(by: timedelta) -> None:
    """Let every clock that the product reads in this process be wrong by so much."""
    real_time = time.time

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Shifted:
            return super().now(tz) + by

    time.time = lambda: real_time() + by.total_seconds()
    timezone.datetime = Shifted  # type: ignore[attr-defined]  # what timezone.now() asks
    for name, module in list(sys.modules.items()):
        if name.startswith(("mes_integration.", "inference_bridge.", "review.")) and (
            getattr(module, "datetime", None) is datetime
        ):
            module.datetime = Shifted  # type: ignore[attr-defined]  # what it asks for the time


if __name__ == "__main__":
    sys.exit(main())
