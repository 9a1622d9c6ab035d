"""What the checks look at: tables, books, figures, and what clients were told."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg

from benchmarks.ledger_feed import Sent
from benchmarks.ledger_notes import Notes

TAKEN: Final = (200, 201)


@dataclass(frozen=True)
class Violation:
    """An invariant that does not hold, and where."""

    invariant: str
    what: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.what}"


@dataclass
class Seen:
    """Everything the checks look at."""

    url: str
    # What each target applied.
    books: Mapping[str, Path]
    sent: Sequence[Sent]
    notes: Notes
    lease_s: float
    queue: dict[str, int]
    deleted_early: Sequence[str] = ()
    # How often the queue gave out a message: one that it never did was lost before Loupe.
    given_out: Callable[[str], int] | None = None
    # Effects whose keys the tables need not know: made after the backup that was restored.
    forgotten: frozenset[str] = frozenset()

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(query.encode(), values).fetchall()

    def effects(self, target: str) -> list[tuple[int, str, str, int, str]]:
        """(number, key, serial, revision, disposition), in the target's order."""
        return self.in_book(
            target, "SELECT n, key, serial, revision, disposition FROM effect ORDER BY n"
        )

    def in_book(self, target: str, query: str) -> list[Any]:
        """What a target's own book answers."""
        with contextlib.closing(sqlite3.connect(self.books[target])) as connection:
            return connection.execute(query).fetchall()

    def count(self, query: str) -> int:
        """The one number a query answers."""
        return int(self.rows(query)[0][0])
