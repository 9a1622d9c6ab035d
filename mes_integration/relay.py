"""The relay: the loop that delivers write-backs, hosted by a worker; any number may run."""

from __future__ import annotations

import contextlib
import logging
import threading
from datetime import datetime
from typing import Final

from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError, close_old_connections, connections

from mes_integration import delivery, leases, turns
from mes_integration.adapters.protocol import Listening
from mes_integration.database_clock import DatabaseClock
from mes_integration.delivery import Called
from mes_integration.targets import adapter_of, targets
from mes_integration.transitions import Outcome, backoff

_DATABASE_AWAY: Final = (OperationalError, InterfaceError)
THREADS: Final = 4
AT_ONCE: Final = 20
PAUSE_S: Final = 0.3
PATIENCE: Final = 3
"""Calls in a row a target may leave untaken before its carriers wait between calls."""
LONGEST_PAUSE_S: Final = 5.0
_MISCONFIGURED_S: Final = 60.0
_log = logging.getLogger(__name__)


class Crew:
    """The threads that carry to one target; a slow or dead target keeps no other waiting.

    They are daemons: a call that hangs does not hold up the end, its lease runs out.
    """

    def __init__(self, target: str, stop: threading.Event) -> None:
        self.target = target
        self.due = threading.Event()
        self._stop = stop
        self._living: list[threading.Thread] = []
        self._untaken = 0

    def man(self) -> None:
        """Four living threads; one that a fault has ended is replaced, its row's lease runs out."""
        self._living = [thread for thread in self._living if thread.is_alive()]
        for _number in range(THREADS - len(self._living)):
            thread = threading.Thread(target=self._carry, name="relay-carrier", daemon=True)
            thread.start()
            self._living.append(thread)

    def end(self) -> None:
        """Wait a moment for those who are between two calls."""
        self.due.set()
        for thread in self._living:
            thread.join(timeout=1)

    def _carry(self) -> None:
        """Drain what is due, then sleep until woken."""
        try:
            self._listen()
            while not self._stop.is_set():
                if not self.due.wait(timeout=1):
                    continue
                try:
                    if not self._drain():
                        self.due.clear()
                except _DATABASE_AWAY as error:
                    _wait_for_database(self._stop, error)
                except ImproperlyConfigured as error:
                    # Mended by other settings, with which this process is started anew.
                    _log.error("Nothing goes to %s: %s", self.target, error)
                    self._stop.wait(_MISCONFIGURED_S)
                close_old_connections()
        finally:
            connections.close_all()

    def _listen(self) -> None:
        """Acknowledgements may come of what another worker sent, or sent yesterday."""
        # An adapter that cannot be opened is complained of when something is due.
        with contextlib.suppress(ImproperlyConfigured):
            mes = adapter_of(self.target)
            if isinstance(mes, Listening):
                mes.listen()

    def _drain(self) -> bool:
        """Some calls, one after the other; whether there may be more to do."""
        mes = adapter_of(self.target)
        if mes is None:
            return False
        for _number in range(AT_ONCE):
            if self._stop.is_set():
                return False
            called = delivery.deliver_one(mes=mes, target=self.target, at=_now)
            if called is None:
                return False
            self._breathe(called)
        return True

    def _breathe(self, called: Called) -> None:
        """A target that takes nothing is asked less often, whatever waits for it.

        The count is shared without a lock: one more or less changes nothing but a pause.
        """
        if called.outcome is not Outcome.NOT_TAKEN:
            self._untaken = 0
            return
        self._untaken += 1
        if self._untaken > PATIENCE:
            pause = backoff(self._untaken - PATIENCE, jitter=0)
            self._stop.wait(min(pause, LONGEST_PAUSE_S))


def run(stop: threading.Event) -> None:
    """Deliver until told to stop.

    This thread looks for what is due and wakes the crew of its target.
    """
    crews: dict[str, Crew] = {}
    try:
        while not stop.is_set():
            for target in targets():
                crews.setdefault(target.name, Crew(target.name, stop)).man()
            try:
                _look(crews)
            except _DATABASE_AWAY as error:
                _wait_for_database(stop, error)
            stop.wait(PAUSE_S)
    finally:
        for crew in crews.values():
            crew.end()
        connections.close_all()


def _look(crews: dict[str, Crew]) -> None:
    """Free what a crash left leased, and wake those who have something to carry."""
    if not crews:
        return
    close_old_connections()
    at = _clock.read()
    leases.recover(at=at)
    for name, crew in crews.items():
        if turns.deliverable(at=at, target=name, limit=1):
            crew.due.set()


_clock: Final = DatabaseClock()


def _now() -> datetime:
    """What is due, and how long the doubtful rests, is not for this host's clock to say."""
    return _clock.now()


def _wait_for_database(stop: threading.Event, error: Exception) -> None:
    """What was being sent keeps its lease until that runs out, and is then read back."""
    _log.warning("The database does not answer, trying again in a second: %s", error)
    connections.close_all()
    stop.wait(1)
