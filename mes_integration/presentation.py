"""Write-backs as pages and the API show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from governance import unseen
from governance.access import Actor
from governance.roles import Capability
from mes_integration.models import DeliveryAttempt, WriteBack
from mes_integration.next_steps import Code, Step, next_steps
from mes_integration.permits import covers
from mes_integration.resolution import LINE
from mes_integration.targets import targets
from mes_integration.transitions import RESOLVABLE, SETTLED, Outcome, State
from traceability.models import DispositionKind
from traceability.refusals import Invalid

_TONES: Final = {
    State.PENDING: "quiet",
    State.SENDING: "quiet",
    State.SENT: "quiet",
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
    """One row of the table. `age`: since when it waits; `took`: how long until it was acknowledged.
    Of both at most one is said. `may_...`: what the person who looks may do about this one.
    `unseen`: stands in place of what he is not told, because he is judging the unit himself."""

    write_back: WriteBack
    word: str
    tone: str
    disposition: str
    age: str
    took: str
    may_resend: bool
    may_resolve: bool
    may_map: bool
    is_configured: bool
    why: str
    step: Step
    is_blocked: bool
    unseen: str = ""


def selection(
    *, actor: Actor, state: str = "", target: str = "", unit: str = "", before: str = ""
) -> QuerySet[WriteBack]:
    """The actor's write-backs, newest first; `before` is the id the page before ended with."""
    rows = WriteBack.objects.filter(actor.within(Capability.SEE_WRITE_BACKS, line=LINE))
    last = rows.filter(uuid=_uuid(before)).first() if before else None
    if before and last is None:
        raise Invalid(_("There is no write-back %(id)s to go on from.") % {"id": before})
    if state:
        rows = rows.filter(state=_state(state))
    if target:
        rows = rows.filter(target=target.replace("\0", ""))
    if unit:
        rows = rows.filter(unit__serial=unit.replace("\0", ""))
    if last is not None:
        rows = rows.filter(pk__lt=last.pk)
    return rows.select_related("unit", "site", "disposition__inspection").order_by("-pk")


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


def shown(
    rows: Iterable[WriteBack],
    *,
    actor: Actor,
    at: datetime,
    withheld: Mapping[int, str] | None = None,
) -> list[Shown]:
    """The rows in words; each comes with its disposition and inspection. `withheld`: as
    `unseen.units` has it of this actor, where it is known already."""
    known = {found.name for found in targets()}
    found = list(rows)
    hidden = unseen.units(actor) if withheld is None else withheld
    steps = zip(found, next_steps(found, at=at), strict=True)
    return [
        _without(
            _shown(row, step, actor, at, is_configured=row.target in known),
            hidden.get(row.unit_id, ""),
        )
        for row, step in steps
    ]


def _without(said: Shown, phrase: str) -> Shown:
    """The same without what was decided of the unit, where the phrase says why."""
    if not phrase:
        return said
    # What is to be done next names the verdict that the target has no word for, or tells by its
    # code alone that it has none, or that a later revision has overtaken it.
    return replace(
        said,
        disposition=phrase,
        why=phrase if said.write_back.last_error else said.why,
        step=Step(phrase, Code.WITHHELD),
        unseen=phrase,
    )


def _shown(row: WriteBack, step: Step, actor: Actor, at: datetime, *, is_configured: bool) -> Shown:
    state, site, line = State(row.state), row.site_id, row.disposition.inspection.line_id
    may_resolve = covers(actor, Capability.RESOLVE_WRITE_BACKS, site_id=site, line_id=line)
    return Shown(
        write_back=row,
        word=str(state.label),
        tone=_TONES[state],
        disposition=disposition_word(row),
        age="" if state in SETTLED else age((at - row.enqueued_at).total_seconds()),
        took=_took(row, state),
        may_resend=may_resolve and state in RESOLVABLE,
        may_resolve=may_resolve,
        may_map=covers(actor, Capability.MANAGE_MAPPINGS, site_id=site, line_id=None),
        is_configured=is_configured,
        why=_why(row, state, at),
        step=step,
        is_blocked=state is State.NEEDS_PERSON and row.message is None,
    )


def _took(row: WriteBack, state: State) -> str:
    if state is not State.ACKNOWLEDGED or row.settled_at is None:
        return ""
    return age((row.settled_at - row.enqueued_at).total_seconds())


def disposition_word(row: WriteBack) -> str:
    """What was decided; a concession is an acceptance of its own kind."""
    if row.disposition.concession:
        return _("Concession")
    return str(DispositionKind(row.disposition.kind).label)


def _why(row: WriteBack, state: State, at: datetime) -> str:
    """Why it stands where it stands."""
    if row.last_error or state in SETTLED:
        return row.last_error
    if state is State.SENT:
        return _("Handed over; its acknowledgement has not come yet.")
    if state is State.SENDING:
        return _("It is being sent right now.")
    if row.due_at > at:
        wait = age((row.due_at - at).total_seconds())
        return _("Leaves in %(wait)s.") % {"wait": wait}
    return _("Waits for its turn.")


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
