"""The database's time, for what must not hang on the clock of the host that asks."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from django.db import connection


class DatabaseClock:
    """Read now and then, and counted on by a clock that nobody sets in between.

    A host whose own clock is hours ahead would cut every quarantine short; threads may share one.
    """

    def __init__(self) -> None:
        self._known: tuple[datetime, float] | None = None

    def read(self) -> datetime:
        """The time by the database, just now."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            at: datetime = cursor.fetchone()[0]
        # Counted from after the answer: rather a little late than early.
        self._known = at, time.monotonic()
        return at

    def now(self) -> datetime:
        """The same without asking, once it was read."""
        if self._known is None:
            return self.read()
        at, read = self._known
        return at + timedelta(seconds=time.monotonic() - read)


def read() -> datetime:
    """The database's time for one write, from which the unit's next revision counts its wait."""
    return DatabaseClock().read()
