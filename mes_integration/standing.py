"""Where a disposition stands with all it goes to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mes_integration.models import WriteBack
from mes_integration.transitions import State

_FARTHEST_FIRST: Final = (
    State.NEEDS_PERSON,
    State.REJECTED,
    State.UNCERTAIN,
    State.RETRY,
    State.PENDING,
    State.SENDING,
    State.SENT,
    State.SUPERSEDED,
    State.WITHDRAWN,
    State.ACKNOWLEDGED,
)


def farthest_behind(rows: Iterable[WriteBack]) -> WriteBack | None:
    """Of one disposition's write-backs the one with most left to do; None when it has none."""
    return min(rows, key=lambda row: _FARTHEST_FIRST.index(State(row.state)), default=None)
