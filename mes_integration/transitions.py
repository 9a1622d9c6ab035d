"""What a write-back may become, and what an answer makes of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from mes_integration.adapters.protocol import Answer, Applied, Refused, TryLater, Uncertain
from mes_integration.models import WriteBack
from traceability.refusals import Conflict

State = WriteBack.State

TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    State.PENDING: frozenset({State.SENDING, State.WITHDRAWN, State.SUPERSEDED}),
    State.SENDING: frozenset(
        {
            State.ACKNOWLEDGED,
            State.RETRY,
            State.UNCERTAIN,
            State.REJECTED,
            State.NEEDS_PERSON,
        }
    ),
    State.RETRY: frozenset({State.SENDING, State.SUPERSEDED, State.RETRY, State.ACKNOWLEDGED}),
    State.UNCERTAIN: frozenset({State.SENDING, State.RETRY, State.ACKNOWLEDGED}),
    State.REJECTED: frozenset({State.RETRY, State.ACKNOWLEDGED}),
    State.NEEDS_PERSON: frozenset({State.RETRY, State.ACKNOWLEDGED}),
    State.ACKNOWLEDGED: frozenset(),
    State.WITHDRAWN: frozenset(),
    State.SUPERSEDED: frozenset(),
}
SETTLED: Final = frozenset(state for state, following in TRANSITIONS.items() if not following)
"""Nothing follows, and the row carries the time it was settled at."""

HOLDS_BACK: Final = frozenset({State.PENDING, State.SENDING, State.RETRY, State.UNCERTAIN})
"""While a unit's revision stands here, its later revisions wait."""

LEASABLE: Final = frozenset({State.PENDING, State.RETRY, State.UNCERTAIN})
RESOLVABLE: Final = frozenset({State.REJECTED, State.NEEDS_PERSON, State.RETRY, State.UNCERTAIN})
"""Where a person can send again or settle."""


class Outcome(models.TextChoices):
    """What one call came to."""

    APPLIED = "APPLIED", _lazy("Acknowledged")
    REFUSED = "REFUSED", _lazy("Refused")
    # It never left, or the MES said that it did not take it.
    NOT_TAKEN = "NOT_TAKEN", _lazy("Not taken")
    # The MES failed, before or after it applied.
    FAILED = "FAILED", _lazy("The MES failed")
    UNCERTAIN = "UNCERTAIN", _lazy("Uncertain")
    # Whoever was sending it stopped before the answer was recorded.
    LOST = "LOST", _lazy("Cut off")
    # The last three are answers to reading back.
    NOT_FOUND = "NOT_FOUND", _lazy("Asked: not held")
    UNREAD = "UNREAD", _lazy("Asked: no answer")
    UNREADABLE = "UNREADABLE", _lazy("Asked: settles nothing")


MAY_HAVE_ARRIVED: Final = frozenset(
    {Outcome.FAILED, Outcome.UNCERTAIN, Outcome.LOST, Outcome.UNREAD}
)
"""After these the MES is asked before anything is sent again."""


def check(before: State, after: State) -> None:
    """Raise Conflict unless the table has the step."""
    if after not in TRANSITIONS[before]:
        raise Conflict(
            _("A write-back that is “%(before)s” cannot become “%(after)s”.")
            % {"before": before.label, "after": after.label}
        )


def after_post(answer: Answer) -> tuple[State, Outcome]:
    """What a sent write-back becomes."""
    match answer:
        case Applied():
            return State.ACKNOWLEDGED, Outcome.APPLIED
        case Refused():
            return State.REJECTED, Outcome.REFUSED
        case TryLater(may_have_arrived=True):
            return State.RETRY, Outcome.FAILED
        case TryLater():
            return State.RETRY, Outcome.NOT_TAKEN
        case Uncertain():
            return State.UNCERTAIN, Outcome.UNCERTAIN


def after_read_back(answer: Answer | None) -> tuple[State, Outcome]:
    """What a write-back becomes that the MES was asked for; None is "not held"."""
    match answer:
        case None:
            return State.RETRY, Outcome.NOT_FOUND
        case Applied():
            return State.ACKNOWLEDGED, Outcome.APPLIED
        case TryLater():
            return State.UNCERTAIN, Outcome.UNREAD
        case Refused() | Uncertain():
            return State.NEEDS_PERSON, Outcome.UNREADABLE


LONGEST_WAIT_S: Final = 60.0


def backoff(attempts: int, *, jitter: float) -> float:
    """Seconds until the next attempt: doubling from one, never above a minute.

    `jitter` (0-1) takes up to half of it away, so that what failed together does not return
    together.
    """
    whole = min(LONGEST_WAIT_S, 2.0 ** min(max(attempts, 1) - 1, 10))
    return whole * (1 - jitter / 2)
