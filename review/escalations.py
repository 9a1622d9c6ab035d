"""What an inspector handed to a lead, and the lead's answer on its way back to him."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, cast
from uuid import UUID

from django.db.models import Exists, F, OuterRef, QuerySet, Subquery

from governance import audit
from governance.access import Actor
from governance.audit import Trail
from governance.roles import Capability
from review.models import Decision, Escalation

SHOWN: Final = 50
LOOKED_BACK: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One of the inspector's own escalations with what a lead decided."""

    escalation: Escalation
    decision: Decision


def note(
    *,
    trail: Trail,
    site_id: int,
    task_id: int,
    fence: int,
    comment: str = "",
    inspector_id: int | None = None,
) -> None:
    """Remember who handed the task on, so that the answer finds him: the actor unless named."""
    Escalation.objects.create(
        site_id=site_id,
        task_id=task_id,
        fence=fence,
        inspector_id=inspector_id or cast(int, trail.actor.user_id),
        comment=comment,
        at=trail.at,
    )


def forget(*, task_id: int, fence: int) -> None:
    """The verdict that handed the task on was taken back."""
    Escalation.objects.filter(task_id=task_id, fence=fence).delete()


def _answers(at: datetime) -> QuerySet[Decision]:
    """Verdicts on an escalation's task given after it by another person, undo no longer open."""
    return Decision.objects.filter(
        task_id=OuterRef("task_id"),
        fence__gt=OuterRef("fence"),
        withdrawal__isnull=True,
        undo_until__lte=at,
    ).exclude(decided_by_id=OuterRef("inspector_id"))


def _mine(actor: Actor, at: datetime) -> QuerySet[Escalation]:
    return Escalation.objects.filter(
        actor.within(Capability.REVIEW, line="task__line_id"),
        inspector_id=actor.user_id,
        at__gte=at - LOOKED_BACK,
    )


def unseen(*, actor: Actor, at: datetime) -> int:
    """How many answers wait for this inspector; stops counting at SHOWN."""
    waiting = _mine(actor, at).filter(Exists(_answers(at)), seen_at__isnull=True)
    return len(waiting.values_list("pk", flat=True)[:SHOWN])


def answered(*, actor: Actor, since: datetime | None, at: datetime) -> Sequence[Answered]:
    """Answers to this inspector's own escalations, the newest first."""
    latest = _answers(at).order_by("-decided_at").values("pk")[:1]
    rows = list(
        _mine(actor, at)
        .annotate(answer_id=Subquery(latest))
        .filter(answer_id__isnull=False)
        .select_related("task__unit", "task__line")
        .order_by(F("answer_id").desc())[:SHOWN]
    )
    found = Decision.objects.select_related("disposition", "decided_by").in_bulk(
        [row.answer_id for row in rows]
    )
    pairs = [Answered(escalation=row, decision=found[row.answer_id]) for row in rows]
    return [p for p in pairs if since is None or p.decision.undo_until > since]


def mark_seen(*, actor: Actor, escalations: Sequence[UUID], at: datetime) -> int:
    """Note that the inspector has read these answers; returns how many were new to him."""
    with audit.recorded(actor=actor, at=at) as trail:
        rows = list(
            _mine(actor, at)
            .filter(uuid__in=escalations, seen_at__isnull=True)
            .select_related("task")
            .select_for_update(of=("self",))
        )
        if not rows:
            trail.nothing_changed()
        Escalation.objects.filter(pk__in=[row.pk for row in rows]).update(seen_at=at)
        for row in rows:
            trail.add(
                "escalation.seen", subject_kind="task", subject=row.task.uuid, site_id=row.site_id
            )
        return len(rows)
