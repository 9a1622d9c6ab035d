"""What a tablet kept while it had no network, taken in row by row, each once.

A row leaves the tablet only when its key is answered: applied; superseded, where what it asks for
had come about without it; conflict, where it came too late and is kept as a second opinion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext as _

from governance.access import Actor
from governance.devices import operator_of
from governance.models import Attendance, Device
from governance.standing import clamped, tablet_itself
from review import decisions
from review.line import calls, checks, claims, holds, opinions, stations
from review.line.reading import Row, Unreadable, read, storable
from review.models import Decision, ReviewTask, SecondOpinion
from review.queue import Lease, LeaseLost
from review.verdicts import Verdict
from traceability.refusals import NotAllowed, Refusal

MOST_ROWS: Final = 50


class State(StrEnum):
    """What became of a row."""

    APPLIED = "applied"
    SUPERSEDED = "superseded"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Taken:
    """The answer to one row; `sentence` says why it did not count, `more` what the screen shows."""

    key: str
    state: State
    sentence: str = ""
    more: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One row with who brings it, and when."""

    device: Device
    actor: Actor
    row: Row
    at: datetime

    @property
    def held(self) -> Lease:
        """The tablet's hold on the task that the row is about."""
        body = self.row.body
        return Lease(UUID(body["task"]), body["fence"], tablet=self.device.account_id)

    @property
    def pressed(self) -> dict[str, Any]:
        """When and where it was pressed, for the record."""
        return {
            "tablet": self.device.name,
            "at": self.row.made_at.isoformat(),
            "age_s": self.row.age_s,
            "skew_s": self.row.skew_s,
            "app": self.row.app,
        }


def take_in(*, device: Device, raw: Sequence[Any], at: datetime) -> list[Taken]:
    """Carry out the rows in their order, each in a transaction of its own.

    A row that names nobody who was ever at a tablet of the site has no answer: it stays where it
    is, and the others go on.
    """
    answers = (_one(device, each, at) for each in raw)
    return [answer for answer in answers if answer is not None]


def _one(device: Device, raw: Any, at: datetime) -> Taken | None:
    try:
        row = read(raw)
    except Unreadable as error:
        return _unreadable(device, raw, error, at) if error.key else None
    known = SecondOpinion.objects.filter(key=row.key).first()
    if known is not None:
        return Taken(str(row.key), State.CONFLICT, known.sentence)
    if row.attendance is None:
        # Nobody has to sign in first to call for help or to stop.
        caller = replace(tablet_itself(device), user_id=None)
        return _KINDS[row.kind](Delivery(device, caller, row, at))
    try:
        actor = operator_of(device, attendance=row.attendance, at=at)
    except NotAllowed as refusal:
        who = _who_it_was(device, row.attendance)
        if who is None:
            return None
        return _keep(Delivery(device, who, row, at), refusal.sentence, SecondOpinion.Why.REFUSED)
    return _KINDS[row.kind](Delivery(device, actor, row, at))


def _who_it_was(device: Device, attendance: UUID | None) -> Actor | None:
    """Whoever it was, though he may decide nothing by it: too long ago, or at another tablet."""
    if attendance is None:
        return None
    there = Attendance.objects.filter(uuid=attendance, site=device.site_id)
    found = there.select_related("user").first()
    return clamped(found.user, device) if found else None


def _decide(delivery: Delivery) -> Taken:
    row, held = delivery.row, delivery.held
    try:
        recorded = decisions.decide(
            actor=delivery.actor,
            held=held,
            verdict=_verdict(row.body),
            key=str(row.key),
            undo_window=timedelta(seconds=settings.LOUPE.undo_window_s),
            at=delivery.at,
            pressed=delivery.pressed,
        )
    except LeaseLost as refusal:
        return _too_late(delivery, refusal)
    except Refusal as refusal:
        return _keep(delivery, refusal.sentence, SecondOpinion.Why.REFUSED)
    left = (recorded.decision.undo_until - delivery.at).total_seconds()
    disposed = recorded.decision.disposition
    return Taken(
        str(row.key),
        State.APPLIED,
        disposed.reason if disposed and disposed.kind != row.body["disposition"] else "",
        {
            "undo_seconds": max(0.0, left),
            "disposition": disposed.kind if disposed else recorded.decision.disposition_kind,
        },
    )


def _verdict(body: Mapping[str, Any]) -> Verdict:
    return Verdict(
        answer=body["answer"],
        disposition=body["disposition"],
        defect_class=body["defect_class"],
        seconds=body["seconds"],
        images_seen=body["images"],
    )


def _too_late(delivery: Delivery, refusal: LeaseLost) -> Taken:
    """Somebody else has it or has decided: his answer counts, this one is shown to a lead."""
    other = (
        Decision.objects.filter(task__uuid=delivery.held.task, withdrawal__isnull=True)
        .select_related("decided_by", "task__unit")
        .order_by("-decided_at")
        .first()
    )
    if other is None:
        return _keep(delivery, refusal.sentence, SecondOpinion.Why.TAKEN)
    sentence = _("%(name)s decided %(serial)s before: %(answer)s, %(disposition)s.") % {
        "name": other.decided_by,
        "serial": other.task.unit.serial,
        "answer": other.get_answer_display(),
        "disposition": other.get_disposition_kind_display(),
    }
    return _keep(delivery, sentence, SecondOpinion.Why.DECIDED)


def _keep(delivery: Delivery, sentence: str, why: SecondOpinion.Why) -> Taken:
    row = delivery.row
    task = None
    if "task" in row.body:
        named = UUID(row.body["task"])
        task = ReviewTask.objects.filter(uuid=named, site=delivery.device.site_id).first()
    kept = opinions.note(
        actor=delivery.actor,
        device=delivery.device,
        late=opinions.TooLate(
            key=row.key,
            said={"kind": row.kind, **row.body},
            why=why,
            sentence=sentence,
            task=task,
            made_at=row.made_at,
        ),
        at=delivery.at,
    )
    return Taken(str(row.key), State.CONFLICT, kept.sentence)


def _undo(delivery: Delivery) -> Taken:
    row = delivery.row
    key = row.body["decision_key"]
    opinion = SecondOpinion.objects.filter(
        key=key, device=delivery.device, by=delivery.actor.user_id
    ).first()
    if opinion is not None:
        opinions.withdraw(actor=delivery.actor, opinion=opinion, at=delivery.at)
        return Taken(str(row.key), State.APPLIED)
    decision = (
        Decision.objects.filter(idempotency_key=key).select_related("withdrawal", "task").first()
    )
    if decision is None:
        return _keep(
            delivery, _("The verdict to take back has not come in."), SecondOpinion.Why.REFUSED
        )
    if not hasattr(decision, "withdrawal"):
        try:
            decisions.undo(
                actor=delivery.actor,
                decision_id=decision.uuid,
                lease=_lease(),
                at=delivery.at,
                tablet=delivery.device.account_id,
            )
        except Refusal as refusal:
            return _keep(delivery, refusal.sentence, SecondOpinion.Why.REFUSED)
    return Taken(str(row.key), State.APPLIED)


def _to_bench(delivery: Delivery) -> Taken:
    try:
        claims.to_bench(
            actor=delivery.actor, device=delivery.device, held=delivery.held, at=delivery.at
        )
    except Refusal as refusal:
        return Taken(str(delivery.row.key), State.SUPERSEDED, refusal.sentence)
    return Taken(str(delivery.row.key), State.APPLIED)


def _hold_done(delivery: Delivery) -> Taken:
    row, body = delivery.row, delivery.row.body
    put = holds.Putting(
        serial=body["serial"],
        held_since=datetime.fromisoformat(body["held_since"]),
        place=body["place"],
        key=row.key,
        made_at=row.made_at,
    )
    try:
        made = holds.acknowledge(
            actor=delivery.actor,
            device=delivery.device,
            station=stations.of_device(delivery.device),
            put=put,
            at=delivery.at,
        )
    except Refusal as refusal:
        return _keep(delivery, refusal.sentence, SecondOpinion.Why.REFUSED)
    return Taken(str(row.key), State.APPLIED if made.key == row.key else State.SUPERSEDED)


def _check_done(delivery: Delivery) -> Taken:
    row = delivery.row
    try:
        checks.done(
            actor=delivery.actor,
            check_id=UUID(row.body["check"]),
            key=row.key,
            made_at=row.made_at,
            at=delivery.at,
        )
    except Refusal as refusal:
        return Taken(str(row.key), State.SUPERSEDED, refusal.sentence)
    return Taken(str(row.key), State.APPLIED)


def _call(delivery: Delivery) -> Taken:
    row = delivery.row
    try:
        made = calls.call(
            actor=delivery.actor,
            device=delivery.device,
            kind=row.body["kind"],
            key=row.key,
            made_at=row.pressed_at(delivery.at),
            at=delivery.at,
        )
    except Refusal as refusal:
        return _keep(delivery, refusal.sentence, SecondOpinion.Why.REFUSED)
    return Taken(
        str(row.key),
        State.APPLIED if made.key == row.key else State.SUPERSEDED,
        more={"call": str(made.uuid)},
    )


def _call_close(delivery: Delivery) -> Taken:
    row, body = delivery.row, delivery.row.body
    try:
        calls.close(
            actor=delivery.actor,
            call_id=UUID(body["call"]) if body.get("call") else None,
            call_key=UUID(body["call_key"]) if body.get("call_key") else None,
            station=stations.of_device(delivery.device),
            at=delivery.at,
        )
    except Refusal as refusal:
        return Taken(str(row.key), State.SUPERSEDED, refusal.sentence)
    return Taken(str(row.key), State.APPLIED)


_KINDS: Final[Mapping[str, Callable[[Delivery], Taken]]] = {
    "decision": _decide,
    "undo": _undo,
    "to_bench": _to_bench,
    "hold_done": _hold_done,
    "check_done": _check_done,
    "call": _call,
    "call_close": _call_close,
}


def _unreadable(device: Device, raw: Any, error: Unreadable, at: datetime) -> Taken | None:
    """A row of which only key and attendance can be read is kept for a lead as it came."""
    actor = _who_it_was(device, error.attendance)
    if actor is None:
        return None
    kept = opinions.note(
        actor=actor,
        device=device,
        late=opinions.TooLate(
            key=error.key or UUID(int=0),
            said={"raw": storable(raw)},
            why=SecondOpinion.Why.REFUSED,
            sentence=error.sentence,
            task=None,
            made_at=at,
        ),
        at=at,
    )
    return Taken(str(error.key), State.CONFLICT, kept.sentence)


def _lease() -> timedelta:
    return timedelta(seconds=settings.LOUPE.line_lease_s)
