"""Statements the server keeps parsed and planned, for the paths where every millisecond counts.

Planning a claim costs the database three times what running it does.
"""

from __future__ import annotations

from time import monotonic
from typing import Any, Final
from weakref import WeakKeyDictionary

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.utils import CursorWrapper
from psycopg import Connection, Cursor

# A table that was empty when a statement was planned is read from end to end by that plan. The
# server plans anew when it has counted the table again; this is for when it has not come to it.
PLANS_HOLD_S: Final = 30
_planned: WeakKeyDictionary[Connection[Any], float] = WeakKeyDictionary()


class _PreparedCursor(Cursor[Any]):
    """Sends its parameters beside the statement, which is prepared at its first use."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        """As the driver's, always prepared."""
        return super().execute(query, params, **{**options, "prepare": True})

    def _send_query_prepared(self, name: bytes, pgq: Any, **options: Any) -> None:
        # The driver remembers unprepared statements only; Django's query log reads this.
        self._query = pgq
        super()._send_query_prepared(name, pgq, **options)


def prepared() -> CursorWrapper:
    """A cursor like `connection.cursor()`, for statements whose text never changes.

    Behind PgBouncer in transaction mode this needs its 1.21 or later (`max_prepared_statements`).
    """
    # `django.db.connection` looks the connection up anew at each mention of it.
    database = connections[DEFAULT_DB_ALIAS]
    database.close_if_health_check_failed()
    # As Django's own error where the server does not answer, which is what others look for.
    database.ensure_connection()
    raw = database.connection
    if raw.prepare_threshold is None:
        # Django turns preparing off altogether; its own cursors never prepare anyway.
        raw.prepare_threshold = 0
    if monotonic() - _planned.setdefault(raw, monotonic()) > PLANS_HOLD_S:
        with database.wrap_database_errors:
            raw.execute("DISCARD PLANS")
        _planned[raw] = monotonic()
    own: Any = _PreparedCursor(raw)
    return database.make_debug_cursor(own) if database.queries_logged else database.make_cursor(own)
