"""How long a write-back rests, because the target may still be at work on an earlier call; and
what is told of it where the target would apply it twice."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from django.db.models import Exists, OuterRef, QuerySet
from django.utils.translation import gettext as _

from mes_integration import messages, turns
from mes_integration.mapping import Capabilities
from mes_integration.models import DeliveryAttempt, WriteBack
from mes_integration.transitions import (
    MAY_HAVE_ARRIVED,
    RESOLVABLE,
    Outcome,
    State,
    Step,
    next_step,
)
from traceability.refusals import Refusal

# It is asked only once what was sent must be done.
_NOTHING_AT_WORK: Final = frozenset({Outcome.NOT_TAKEN, Outcome.UNREAD, Outcome.UNREADABLE})
AT_WORK: Final = MAY_HAVE_ARRIVED - _NOTHING_AT_WORK


def until(row: WriteBack, *, at: datetime) -> datetime:
    """When the target must be done with all it was sent; the row is as it was before `at`.

    What is being sent right now may leave as late as its lease allows.
    """
    if row.lease_expires_at is not None:
        return at + messages.lease_time(row) + messages.quarantine(row)
    due = since_sent(row, at=at)
    # One to be sent again may be resting from such a call already.
    rests = row.state == State.RETRY and bool(resting([row], at=at))
    return max(due, row.due_at) if rests else due


def since_sent(row: WriteBack, *, at: datetime, ended: Collection[Outcome] = AT_WORK) -> datetime:
    """When the target must be done with what its calls have brought there that `ended` so."""
    arrived = row.delivery_attempts.filter(outcome__in=ended).order_by("-pk")
    last = arrived.values_list("at", flat=True).first()
    return at if last is None else max(at, last + messages.quarantine(row))


def resting(rows: Iterable[WriteBack], *, at: datetime) -> set[int]:
    """Which of the rows nobody can hurry, because an earlier call may still be at work."""
    waiting = [row for row in rows if row.due_at > at and row.state in RESOLVABLE]
    known: dict[tuple[int, str, int | None, str | None], bool] = {}
    found = set()
    for row in waiting:
        key = (row.site_id, row.target, row.profile_version, row.profile_name)
        if key not in known:
            known[key] = messages.doubles(row)
        if known[key]:
            found.add(row.pk)
    return found - _idle(found) if found else found


def _idle(found: Iterable[int]) -> set[int]:
    """Those whose last call left nothing to wait for."""
    last = _last_outcomes(DeliveryAttempt.objects.filter(write_back__in=found))
    return {pk for pk, outcome in last.items() if outcome in _NOTHING_AT_WORK}


def _last_outcomes(attempts: QuerySet[DeliveryAttempt]) -> dict[int, str]:
    """What the last of these attempts of each write-back came to."""
    last = attempts.order_by("write_back", "-pk").distinct("write_back")
    return dict(last.values_list("write_back", "outcome"))


def sentences(rows: Iterable[WriteBack], *, at: datetime) -> dict[int, str]:
    """Of those that rest: when each goes on, what is done first then, and why not before."""
    waiting = list(rows)
    resting_now = resting(waiting, at=at)
    resting_rows = [row for row in waiting if row.pk in resting_now]
    first = _first_steps(resting_rows) if resting_rows else {}
    return {row.pk: _sentence(row, first[row.pk], at=at) for row in resting_rows}


def behind(rows: Iterable[WriteBack], *, at: datetime) -> dict[int, str]:
    """Of those that have not left: when each goes that waits for what of its unit was rejected."""
    waiting = [row for row in rows if row.state == State.PENDING and row.revision > 1]
    if not waiting:
        return {}
    lands = DeliveryAttempt.objects.filter(write_back=OuterRef("pk"), outcome__in=turns.MAY_LAND)
    rejected = WriteBack.objects.filter(
        Exists(lands),
        unit__in=[row.unit_id for row in waiting],
        state=State.REJECTED,
        due_at__gt=at,
    ).order_by("due_at")
    # The last to be over stays.
    ahead = {(each.unit_id, each.target): each for each in rejected}
    return {
        row.pk: _behind(row, before, at=at)
        for row in waiting
        if (before := ahead.get((row.unit_id, row.target))) and before.revision < row.revision
    }


def _behind(row: WriteBack, before: WriteBack, *, at: datetime) -> str:
    return _(
        "Leaves at %(time)s: until then the call of revision %(n)s, which was rejected, may still "
        "be at work there."
    ) % {"time": _clock(max(row.due_at, before.due_at), at=at), "n": before.revision}


def pressed(row: WriteBack, *, at: datetime) -> str:
    """What a person is told who has just had it sent again."""
    first = _first_steps([row])[row.pk]
    if row.due_at > at:
        return _sentence(row, first, at=at)
    match first:
        case Step.READ_BACK:
            return _("The MES is asked now whether it has it; it is sent only if not.")
        case Step.ASK_PERSON:
            return cannot_tell()
        case Step.POST:
            return _("It is sent again now.")


def cannot_tell() -> str:
    """Why nothing is sent before a person has looked."""
    return _(
        "It may have arrived, and the target can neither be asked nor told twice. Look there, "
        "then settle it or send it again."
    )


def _first_steps(rows: Sequence[WriteBack]) -> dict[int, Step]:
    """What each is begun with when it is sent again, as `leases` decides at its turn."""
    tried = [row.pk for row in rows if row.attempts]
    # That it was blocked since says nothing about what may have arrived.
    attempts = DeliveryAttempt.objects.filter(write_back__in=tried)
    last = _last_outcomes(attempts.exclude(outcome=Outcome.BLOCKED))
    known: dict[tuple[int, str, int | None, str | None], Capabilities | None] = {}
    found = {}
    for row in rows:
        key = (row.site_id, row.target, row.profile_version, row.profile_name)
        if key not in known:
            known[key] = _capabilities(row)
        found[row.pk] = _first_step(row, last.get(row.pk), known[key])
    return found


def may_be_sending(row: WriteBack) -> bool:
    """Whether its open call may send it; of one that was handed over before it may only be asked
    for its acknowledgement, which the row does not tell."""
    return _first_steps([row])[row.pk] is Step.POST


def _capabilities(row: WriteBack) -> Capabilities | None:
    try:
        return messages.profile_of(row)[1].capabilities
    except Refusal:
        return None


def _first_step(row: WriteBack, last: str | None, can: Capabilities | None) -> Step:
    if can is None:
        return Step.POST
    step = next_step(State.RETRY, Outcome(last) if last else None, can)
    # Who has such a one sent again has looked there.
    looked = step is Step.ASK_PERSON and row.state == State.NEEDS_PERSON
    return Step.POST if looked else step


def _sentence(row: WriteBack, first: Step, *, at: datetime) -> str:
    return _goes_on(State(row.state), first) % {"time": _clock(row.due_at, at=at)}


def _clock(due: datetime, *, at: datetime) -> str:
    # Times of day stand in UTC, as in the tables beside it.
    due = due.astimezone(UTC)
    form = "%H:%M:%S" if due.date() == at.astimezone(UTC).date() else "%Y-%m-%d %H:%M"
    return f"{due:{form}} UTC"


def _goes_on(state: State, first: Step) -> str:
    if state is State.SENT:
        return _("Its acknowledgement is looked for again at %(time)s.")
    if state is State.UNCERTAIN:
        return _("Rests until %(time)s: the earlier call may still be at work there.")
    match first:
        case Step.READ_BACK:
            return _(
                "At %(time)s the MES is asked whether it has it, and it is sent only if not: until "
                "then the earlier call may still be at work there."
            )
        case Step.ASK_PERSON:
            return _(
                "Rests until %(time)s: the earlier call may still be at work there. Then somebody "
                "has to look whether the MES has it, for it can neither be asked nor told twice."
            )
        case Step.POST:
            return _("Leaves at %(time)s: until then the earlier call may still be at work there.")
