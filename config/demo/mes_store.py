"""What the demo MES holds: every disposition it was sent, and where each unit stands by it.

An SQLite file in WAL mode, written in full before a request is answered, so that what was
acknowledged is still there after a kill.
"""

import hashlib
import json
import sqlite3
import threading
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

STATES = {"HOLD": "HOLD", "ACCEPT": "RELEASED", "REWORK": "REWORK", "SCRAP": "SCRAPPED"}
"""What a disposition makes of the unit, in the words of the shop floor."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS dispositions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE,
    body_sha256 TEXT NOT NULL,
    site TEXT NOT NULL,
    serial TEXT NOT NULL,
    revision INTEGER NOT NULL CHECK (revision >= 1),
    disposition TEXT NOT NULL,
    stale INTEGER NOT NULL,
    received_at TEXT NOT NULL,
    event TEXT NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS one_event_a_revision ON dispositions (site, serial, revision);
CREATE TABLE IF NOT EXISTS deliveries (outcome TEXT PRIMARY KEY, count INTEGER NOT NULL);
"""

_BY_ID = "SELECT * FROM dispositions WHERE event_id = ?"
_BY_REVISION = "SELECT * FROM dispositions WHERE site = ? AND serial = ? AND revision = ?"
_NEWEST = """
FROM dispositions d
JOIN (SELECT site, serial, MAX(revision) AS revision FROM dispositions GROUP BY site, serial) newest
  ON (d.site, d.serial, d.revision) = (newest.site, newest.serial, newest.revision)
"""
_UNITS = (
    f"SELECT d.* {_NEWEST} WHERE :disposition IS NULL OR d.disposition = :disposition"
    " ORDER BY d.number DESC LIMIT :limit"
)
_COUNTS = f"SELECT d.disposition, COUNT(*) AS count {_NEWEST} GROUP BY d.disposition"


class Outcome(Enum):
    """What became of one delivery."""

    APPLIED = "applied"
    REPEATED = "repeated"
    STALE = "stale"
    KEY_CONFLICT = "key_conflict"
    REVISION_CONFLICT = "revision_conflict"


@dataclass(frozen=True)
class Event:
    """A disposition event as far as the MES reads it; `body` is what was sent, to the byte."""

    id: str
    site: str
    serial: str
    revision: int
    disposition: str
    body: bytes


@dataclass(frozen=True)
class Held:
    """One disposition as it is held."""

    reference: str
    event_id: str
    site: str
    serial: str
    revision: int
    disposition: str
    stale: bool
    received_at: datetime
    event: dict[str, Any]

    @property
    def state(self) -> str:
        """HOLD, RELEASED, REWORK or SCRAPPED."""
        return STATES[self.disposition]


@dataclass(frozen=True)
class Receipt:
    """The answer to one delivery; `held` is None where a conflict kept it out."""

    outcome: Outcome
    held: Held | None


class Store:
    """One connection a thread on one SQLite file."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "mes.sqlite3"
        self._threads = threading.local()
        with self._connection() as connection:
            connection.executescript(_SCHEMA)

    def _connection(self) -> sqlite3.Connection:
        connection = getattr(self._threads, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self._path, timeout=20, isolation_level=None)
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            self._threads.connection = connection
        return connection

    def close(self) -> None:
        """Close this thread's connection; an SQLite connection must not live through a fork."""
        self._connection().close()
        del self._threads.connection

    def apply(self, event: Event, *, at: datetime) -> Receipt:
        """Hold the event once, and say what it turned out to be."""
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            receipt = _apply(connection, event, at)
            connection.execute(
                "INSERT INTO deliveries VALUES (?, 1) "
                "ON CONFLICT (outcome) DO UPDATE SET count = count + 1",
                (receipt.outcome.value,),
            )
        return receipt

    def find(self, event_id: str) -> Held | None:
        """The disposition sent under this event id."""
        return _one(self._connection(), _BY_ID, (event_id,))

    def units(self, *, limit: int = 10_000, disposition: str | None = None) -> list[Held]:
        """Each unit by its newest revision, the last arrival first; all dispositions or one."""
        chosen = {"limit": limit, "disposition": disposition}
        return [_held(row) for row in self._connection().execute(_UNITS, chosen)]

    def counts(self) -> dict[str, int]:
        """How many units stand at each disposition."""
        rows = self._connection().execute(_COUNTS).fetchall()
        counted = {str(row["disposition"]): int(row["count"]) for row in rows}
        return {disposition: counted.get(disposition, 0) for disposition in STATES}

    def deliveries(self) -> dict[str, int]:
        """How many deliveries had which outcome."""
        rows = self._connection().execute("SELECT outcome, count FROM deliveries").fetchall()
        counted = {str(row["outcome"]): int(row["count"]) for row in rows}
        return {outcome.value: counted.get(outcome.value, 0) for outcome in Outcome}


def _apply(connection: sqlite3.Connection, event: Event, at: datetime) -> Receipt:
    digest = hashlib.sha256(event.body).hexdigest()
    known = connection.execute(_BY_ID, (event.id,)).fetchone()
    if known is not None:
        if known["body_sha256"] != digest:
            return Receipt(Outcome.KEY_CONFLICT, None)
        return Receipt(Outcome.REPEATED, _held(known))
    unit = (event.site, event.serial)
    newest = connection.execute(
        "SELECT MAX(revision) FROM dispositions WHERE site = ? AND serial = ?", unit
    ).fetchone()[0]
    if _one(connection, _BY_REVISION, (*unit, event.revision)):
        return Receipt(Outcome.REVISION_CONFLICT, None)
    stale = newest is not None and event.revision < newest
    connection.execute(
        "INSERT INTO dispositions (event_id, body_sha256, site, serial, revision, disposition,"
        " stale, received_at, event) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (event.id, digest, *unit, event.revision, event.disposition, stale, at.isoformat(),
         event.body.decode()),
    )  # fmt: skip
    outcome = Outcome.STALE if stale else Outcome.APPLIED
    return Receipt(outcome, _one(connection, _BY_ID, (event.id,)))


def _one(connection: sqlite3.Connection, query: str, values: tuple[str | int, ...]) -> Held | None:
    row = connection.execute(query, values).fetchone()
    return None if row is None else _held(row)


def _held(row: sqlite3.Row) -> Held:
    return Held(
        reference=f"MES-{row['number']:06d}",
        event_id=row["event_id"],
        site=row["site"],
        serial=row["serial"],
        revision=row["revision"],
        disposition=row["disposition"],
        stale=bool(row["stale"]),
        received_at=datetime.fromisoformat(row["received_at"]),
        event=json.loads(row["event"]),
    )
