"""What can only be seen while it happens: leases taken early, outbox rows of another commit."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import psycopg

from benchmarks.ledger_seen import Violation

PAUSE_S: Final = 0.15
_LOST: Final = """
    SELECT a.id, a.write_back_id, clock_timestamp() FROM mes_integration_deliveryattempt a
    WHERE a.id > %s AND a.outcome = 'LOST' AND NOT EXISTS (
        -- Rejected by the target's own word while its call was open.
        SELECT FROM mes_integration_deliveryattempt r
        WHERE r.write_back_id = a.write_back_id AND r.id > a.id AND r.at = a.at
          AND r.outcome = 'REFUSED'
    ) ORDER BY a.id
"""
_LEASED: Final = """
    SELECT id, fence, lease_expires_at FROM mes_integration_writeback WHERE state = 'SENDING'
"""
_APART: Final = """
    SELECT w.uuid FROM mes_integration_writeback w
    JOIN traceability_disposition s ON s.id = w.disposition_id
    WHERE w.state = 'PENDING' AND w.fence = 0 AND w.xmin::text <> s.xmin::text
"""
_DOUBLE: Final = """
    SELECT inspection_id FROM review_reviewtask WHERE purpose = 'FIRST'
    GROUP BY 1 HAVING count(*) > 1
"""


@dataclass
class Watch:
    """Looks again and again, from a thread of its own."""

    url: str
    found: dict[str, Violation] = field(default_factory=dict)
    looks: int = 0
    _leases: dict[int, tuple[int, datetime]] = field(default_factory=dict)
    _last: int = 0

    def run(self, stop: threading.Event) -> None:
        """Until told to stop; a database that is away is looked at later."""
        while not stop.wait(PAUSE_S):
            try:
                with psycopg.connect(self.url, autocommit=True, connect_timeout=3) as connection:
                    while not stop.wait(PAUSE_S):
                        self._look(connection)
            except psycopg.Error:
                # What was leased meanwhile was not seen.
                self._leases.clear()

    def _look(self, connection: psycopg.Connection[Any]) -> None:
        for attempt, row, now in connection.execute(_LOST.encode(), [self._last]).fetchall():
            self._last = attempt
            _fence, expires = self._leases.get(row, (0, now))
            if now < expires:
                early = (expires - now).total_seconds()
                self._note("I14", f"write-back {row} lost its lease {early:.1f} s too early")
        leased = connection.execute(_LEASED.encode()).fetchall()
        self._leases = {row: (fence, expires) for row, fence, expires in leased}
        for (key,) in connection.execute(_APART.encode()).fetchall():
            self._note("I3", f"the outbox row {key} is not of its disposition's commit")
        for (inspection,) in connection.execute(_DOUBLE.encode()).fetchall():
            self._note("I1", f"inspection {inspection} has two tasks")
        self.looks += 1

    def _note(self, invariant: str, what: str) -> None:
        self.found.setdefault(what, Violation(invariant, what))
