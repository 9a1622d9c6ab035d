"""What a write-back may become, and what an answer makes of it. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mes_integration.adapters.protocol import (
    Answer,
    Applied,
    Handed,
    Refused,
    TryLater,
    Uncertain,
)
from mes_integration.mapping import Capabilities
from mes_integration.models import WriteBack
from traceability.refusals import Conflict

State = WriteBack.State

TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    State.PENDING: frozenset(
        {
            State.SENDING,
            State.WITHDRAWN,
            State.SUPERSEDED,
            State.NEEDS_PERSON,
            State.ACKNOWLEDGED,
            State.REJECTED,
        }
    ),
    State.SENDING: frozenset(
        {
            State.ACKNOWLEDGED,
            State.SENT,
            State.RETRY,
            State.UNCERTAIN,
            State.REJECTED,
            State.NEEDS_PERSON,
        }
    ),
    State.SENT: frozenset(
        {State.SENDING, State.ACKNOWLEDGED, State.REJECTED, State.RETRY, State.NEEDS_PERSON}
    ),
    State.RETRY: frozenset(
        {
            State.SENDING,
            State.SUPERSEDED,
            State.RETRY,
            State.ACKNOWLEDGED,
            State.REJECTED,
            State.NEEDS_PERSON,
        }
    ),
    State.UNCERTAIN: frozenset(
        {
            State.SENDING,
            State.SUPERSEDED,
            State.RETRY,
            State.ACKNOWLEDGED,
            State.REJECTED,
            State.NEEDS_PERSON,
        }
    ),
    State.REJECTED: frozenset({State.RETRY, State.ACKNOWLEDGED}),
    State.NEEDS_PERSON: frozenset({State.RETRY, State.ACKNOWLEDGED, State.REJECTED}),
    # Only where a reconciliation found it missing there, by `exceptions.send_missing`.
    State.ACKNOWLEDGED: frozenset({State.RETRY}),
    State.WITHDRAWN: frozenset(),
    State.SUPERSEDED: frozenset(),
}
SETTLED: Final = frozenset({State.ACKNOWLEDGED, State.WITHDRAWN, State.SUPERSEDED})
"""Nothing more is to be done, and the row carries the time it was settled at."""

HOLDS_BACK: Final = frozenset(
    {State.PENDING, State.SENDING, State.SENT, State.RETRY, State.UNCERTAIN}
)
"""While a unit's revision stands here, its later revisions wait; so they do for a rejected one
whose call may land yet (`turns`)."""

LEASABLE: Final = frozenset({State.PENDING, State.RETRY, State.SENT, State.UNCERTAIN})
RESOLVABLE: Final = frozenset(
    {State.REJECTED, State.NEEDS_PERSON, State.RETRY, State.SENT, State.UNCERTAIN}
)
"""Where a person can send again or settle."""


class Outcome(models.TextChoices):
    """What one call came to."""

    APPLIED = "APPLIED", gettext_lazy("Acknowledged")
    # A middleman took it; the acknowledgement comes by itself.
    HANDED = "HANDED", gettext_lazy("Handed over")
    REFUSED = "REFUSED", gettext_lazy("Refused")
    # It never left, or the MES said that it did not take it.
    NOT_TAKEN = "NOT_TAKEN", gettext_lazy("Not taken")
    # The MES failed, before or after it applied.
    FAILED = "FAILED", gettext_lazy("The MES failed")
    UNCERTAIN = "UNCERTAIN", gettext_lazy("Uncertain")
    # Whoever was sending it stopped before the answer was recorded.
    LOST = "LOST", gettext_lazy("Cut off")
    # Answers to reading back.
    NOT_FOUND = "NOT_FOUND", gettext_lazy("Asked: not held")
    UNREAD = "UNREAD", gettext_lazy("Asked: no answer")
    UNREADABLE = "UNREADABLE", gettext_lazy("Asked: settles nothing")
    # Acknowledged once, found missing by a reconciliation, and sent again by a person.
    REOPENED = "REOPENED", gettext_lazy("Missing there")
    # No call was made.
    WAITING = "WAITING", gettext_lazy("Waiting for its acknowledgement")
    SILENT = "SILENT", gettext_lazy("No acknowledgement came")
    BLOCKED = "BLOCKED", gettext_lazy("Cannot be said")
    PERSON = "PERSON", gettext_lazy("Sent again by a person")


MAY_HAVE_ARRIVED: Final = frozenset(
    {
        Outcome.HANDED,
        Outcome.FAILED,
        Outcome.UNCERTAIN,
        Outcome.LOST,
        Outcome.UNREAD,
        Outcome.REOPENED,
    }
)
"""After these the target is asked before anything is sent again."""


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
        case Handed():
            return State.SENT, Outcome.HANDED
        case Refused():
            return State.REJECTED, Outcome.REFUSED
        case TryLater(may_have_arrived=True):
            return State.RETRY, Outcome.FAILED
        case TryLater():
            return State.RETRY, Outcome.NOT_TAKEN
        case Uncertain():
            state = State.NEEDS_PERSON if answer.for_person else State.UNCERTAIN
            return state, Outcome.UNCERTAIN


def after_read_back(answer: Answer | None) -> tuple[State, Outcome]:
    """What a write-back becomes that the target was asked for; None is "not held"."""
    match answer:
        case None:
            return State.RETRY, Outcome.NOT_FOUND
        case Applied():
            return State.ACKNOWLEDGED, Outcome.APPLIED
        case Handed():
            return State.SENT, Outcome.HANDED
        case TryLater():
            return State.UNCERTAIN, Outcome.UNREAD
        case Refused():
            return State.REJECTED, Outcome.REFUSED
        case Uncertain():
            return State.NEEDS_PERSON, Outcome.UNREADABLE


def after_silence(can: Capabilities, *, waits_on: bool) -> tuple[State, Outcome]:
    """What becomes of one that was handed over and whose acknowledgement has not come."""
    if waits_on:
        return State.SENT, Outcome.WAITING
    if can.read_back:
        return State.RETRY, Outcome.NOT_FOUND
    # SILENT is no sign of arrival: it is sent again, which such a target takes once.
    return (State.RETRY if can.key or can.upsert else State.NEEDS_PERSON), Outcome.SILENT


class Step(enum.Enum):
    """What is done with a write-back whose turn it is."""

    POST = enum.auto()
    READ_BACK = enum.auto()
    # It may have arrived, and the target can neither be asked nor told twice.
    ASK_PERSON = enum.auto()


def next_step(state: State, last: Outcome | None, can: Capabilities) -> Step:
    """How to go on from a state whose last call came to `last`, with what the target can do."""
    if state is State.SENT:
        return Step.READ_BACK
    if last not in MAY_HAVE_ARRIVED:
        return Step.POST
    if can.read_back:
        return Step.READ_BACK
    return Step.POST if can.key or can.upsert else Step.ASK_PERSON


LONGEST_WAIT_S: Final = 60.0


def backoff(attempts: int, *, jitter: float) -> float:
    """Seconds until the next attempt: doubling from one, never above a minute.

    `jitter` (0-1) takes up to half of it away, so that what failed together does not return
    together.
    """
    whole = min(LONGEST_WAIT_S, 2.0 ** min(max(attempts, 1) - 1, 10))
    return whole * (1 - jitter / 2)
