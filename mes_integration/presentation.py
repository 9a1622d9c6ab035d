"""Write-backs as pages and the API show them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from governance.access import Actor
from governance.roles import Capability
from mes_integration.models import DeliveryAttempt, WriteBack
from mes_integration.resolution import LINE
from mes_integration.transitions import RESOLVABLE, SETTLED, Outcome, State
from traceability.models import DispositionKind
from traceability.refusals import Invalid

_TONES: Final = {
    State.PENDING: "quiet",
    State.SENDING: "quiet",
    State.RETRY: "warn",
    State.UNCERTAIN: "warn",
    State.ACKNOWLEDGED: "ok",
    State.REJECTED: "hold",
    State.NEEDS_PERSON: "hold",
    State.WITHDRAWN: "quiet",
    State.SUPERSEDED: "quiet",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """One row of the table. `age` is up to now, or up to when it was settled."""

    write_back: WriteBack
    word: str
    tone: str
    disposition: str
    age: str
    needs_person: bool


def selection(
    *, actor: Actor, state: str = "", unit: str = "", before: str = ""
) -> QuerySet[WriteBack]:
    """The actor's write-backs, newest first; `before` is the id the page before ended with."""
    rows = WriteBack.objects.filter(actor.within(Capability.SEE_WRITE_BACKS, line=LINE))
    last = rows.filter(uuid=_uuid(before)).first() if before else None
    if before and last is None:
        raise Invalid(_("There is no write-back %(id)s to go on from.") % {"id": before})
    if state:
        rows = rows.filter(state=_state(state))
    if unit:
        rows = rows.filter(unit__serial=unit.replace("\0", ""))
    if last is not None:
        rows = rows.filter(pk__lt=last.pk)
    return rows.select_related("unit", "site", "disposition").order_by("-pk")


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise Invalid(_("“before” is the id of a write-back.")) from error


def _state(text: str) -> State:
    try:
        return State(text)
    except ValueError as error:
        raise Invalid(
            _("The state is one of: %(states)s.") % {"states": ", ".join(State)}
        ) from error


def shown(rows: Iterable[WriteBack], *, at: datetime) -> list[Shown]:
    """The rows in words."""
    return [_shown(row, at) for row in rows]


def _shown(row: WriteBack, at: datetime) -> Shown:
    state = State(row.state)
    until = row.settled_at if state in SETTLED and row.settled_at else at
    return Shown(
        write_back=row,
        word=str(state.label),
        tone=_TONES[state],
        disposition=str(DispositionKind(row.disposition.kind).label),
        age=age((until - row.enqueued_at).total_seconds()),
        needs_person=state in RESOLVABLE,
    )


@dataclass(frozen=True, slots=True)
class Tried:
    """One attempt in words."""

    attempt: DeliveryAttempt
    word: str


def tried(write_back: WriteBack, *, limit: int) -> list[Tried]:
    """The latest attempts, newest first."""
    return [
        Tried(attempt, str(Outcome(attempt.outcome).label))
        for attempt in write_back.delivery_attempts.order_by("-pk")[:limit]
    ]


def age(seconds: float) -> str:
    """A duration in one number and one unit."""
    whole = max(0, int(seconds))
    for size, words in ((86400, _("%d d")), (3600, _("%d h")), (60, _("%d min"))):
        if whole >= size:
            return words % (whole // size)
    return _("%d s") % whole
