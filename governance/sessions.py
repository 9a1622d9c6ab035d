"""Sessions in the database, read by one plain statement: it runs before every other."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.utils import timezone

from traceability.statements import prepared

LOOK_UP: Final = (
    "SELECT session_data FROM django_session WHERE session_key = %s AND expire_date > %s"
)


class SessionStore(DatabaseStore):
    """Django's own store; only the look-up is another."""

    def load(self) -> dict[str, Any]:
        """What the session holds; nothing when it has run out or is gone."""
        with prepared() as cursor:
            cursor.execute(LOOK_UP, [self.session_key, timezone.now()])
            row = cursor.fetchone()
        if row is None:
            self._session_key = None
            return {}
        found: dict[str, Any] = self.decode(row[0])
        return found
