"""Verdicts from tablets that came too late to count: kept, and shown to a lead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from governance import audit
from governance.access import Actor
from governance.models import Device
from governance.roles import Capability
from review import own_bench
from review.models import ReviewTask, SecondOpinion
from traceability.refusals import Unknown

SHOWN: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class TooLate:
    """A row of a tablet that could not count, and the sentence why."""

    key: UUID
    said: dict[str, Any]
    why: SecondOpinion.Why
    sentence: str
    task: ReviewTask | None
    made_at: datetime


def note(*, actor: Actor, device: Device, late: TooLate, at: datetime) -> SecondOpinion:
    """Keep it; the same row once more is the same opinion."""
    with audit.recorded(actor=actor, at=at) as trail:
        made, is_new = SecondOpinion.objects.get_or_create(
            key=late.key,
            defaults={
                "site_id": device.site_id,
                "station_id": device.station_id,
                "task": late.task,
                "device": device,
                "by_id": actor.user_id or device.account_id,
                "said": late.said,
                "why": late.why,
                "sentence": late.sentence[:300],
                "made_at": late.made_at,
                "at": at,
            },
        )
        if not is_new:
            trail.nothing_changed()
            return made
        trail.add(
            "opinion.keep",
            subject_kind="task",
            subject=late.task.uuid if late.task else late.key,
            site_id=device.site_id,
            detail={"why": late.why, "tablet": device.name, "key": str(late.key)},
            reason=late.sentence[:1000],
        )
        return made


def withdraw(*, actor: Actor, opinion: SecondOpinion, at: datetime) -> None:
    """The operator took it back at the tablet; it stays on record."""
    with audit.recorded(actor=actor, at=at) as trail:
        withdrawn = SecondOpinion.objects.filter(pk=opinion.pk, withdrawn_at__isnull=True)
        if not withdrawn.update(withdrawn_at=at):
            trail.nothing_changed()
            return
        trail.add(
            "opinion.withdraw",
            subject_kind="opinion",
            subject=opinion.uuid,
            site_id=opinion.site_id,
        )


def unseen(actor: Actor) -> QuerySet[SecondOpinion]:
    """Those no lead has seen, the oldest first."""
    return _for(actor).filter(seen_at__isnull=True).order_by("pk")


def latest(actor: Actor) -> Sequence[SecondOpinion]:
    """The latest ones a lead has seen already."""
    return list(_for(actor).filter(seen_at__isnull=False).order_by("-pk")[:SHOWN])


def see(*, actor: Actor, opinion_id: UUID, at: datetime) -> SecondOpinion:
    """A lead has read it. Raises Unknown for what is not his."""
    with audit.recorded(actor=actor, at=at) as trail:
        opinion = _for(actor).select_for_update(of=("self",)).filter(uuid=opinion_id).first()
        if opinion is None:
            raise Unknown(_("There is no such opinion for you."))
        if opinion.seen_at is not None:
            trail.nothing_changed()
            return opinion
        opinion.seen_by_id, opinion.seen_at = actor.user_id, at
        opinion.save(update_fields=["seen_by", "seen_at"])
        trail.add(
            "opinion.see", subject_kind="opinion", subject=opinion.uuid, site_id=opinion.site_id
        )
        return opinion


def _for(actor: Actor) -> QuerySet[SecondOpinion]:
    """Marked where the actor is judging the unit, or a part of its lot, himself."""
    return (
        SecondOpinion.objects.filter(actor.within(Capability.SUPERVISE, line="station__line_id"))
        .annotate(is_held=own_bench.is_his(actor, unit="task__unit"))
        .annotate(is_lot_held=own_bench.is_of_his_lot(actor, unit="task__unit"))
        .select_related("task__unit", "station__line", "device", "by", "seen_by")
    )
