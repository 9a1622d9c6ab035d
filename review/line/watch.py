"""Waits for a station to change: one look for all that wait, a few times a second.

Who waits costs nothing but a sleeping thread; nobody waits, and nothing is looked at. The rows
themselves are asked rather than a notification sent with each commit: sending one would make
every commit of the plant wait for every other, and what is not sent cannot be forgotten.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from typing import Final

from django.db import DatabaseError, InterfaceError, connection

from review.line.versions import versions_of

log = logging.getLogger(__name__)
LOOKED_EVERY_S: Final = 0.35


class Watch:
    """The stations that are waited for, each with the version known there, and the latest ones."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: Counter[tuple[int, str]] = Counter()
        self._versions: dict[int, str] = {}
        self._looker: threading.Thread | None = None

    def wait(self, station_id: int, version: str, *, seconds: float) -> bool:
        """Whether the station has another version than this one by now, or comes to in time."""
        known = (station_id, version)
        with self._changed:
            self._waiting[known] += 1
            self._look_on()
            try:
                return self._changed.wait_for(lambda: self._is_old(known), timeout=seconds)
            finally:
                self._waiting[known] -= 1
                if not self._waiting[known]:
                    del self._waiting[known]
                if station_id not in self._stations():
                    self._versions.pop(station_id, None)

    def _is_old(self, known: tuple[int, str]) -> bool:
        station_id, version = known
        return self._versions.get(station_id, version) != version

    def _stations(self) -> set[int]:
        return {station_id for station_id, _version in self._waiting}

    def _look_on(self) -> None:
        if self._looker is None or not self._looker.is_alive():
            self._looker = threading.Thread(target=self._look, name="line watch", daemon=True)
            self._looker.start()

    def _look(self) -> None:
        pause = threading.Event()
        try:
            while (asked := self._asked()) is not None:
                try:
                    found = versions_of(asked)
                except (DatabaseError, InterfaceError):
                    # They go on waiting; the database is asked again on a new connection.
                    log.warning("the stations' versions could not be read", exc_info=True)
                    connection.close()
                    found = {}
                with self._changed:
                    self._versions.update(found)
                    # Hundreds wait, and mostly for nothing: they are not woken to find that out.
                    if any(map(self._is_old, self._waiting)):
                        self._changed.notify_all()
                pause.wait(LOOKED_EVERY_S)
        finally:
            connection.close()

    def _asked(self) -> list[int] | None:
        """The stations to look at; None, and the looker ends, when nobody waits."""
        with self._changed:
            if self._waiting:
                return list(self._stations())
            self._looker = None
            return None


WATCH: Final = Watch()
