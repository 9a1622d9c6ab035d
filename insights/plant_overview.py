"""The plant in one look: a handful of bounded queries, whatever the size of the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery

from governance.access import Actor
from governance.roles import Capability
from insights.quality_rates import Rate, Stretch, by_model, course
from mes_integration.models import WriteBack
from mes_integration.standing import farthest_behind
from retraining.models import Deployment, RegisteredModel
from review import approvals, own_bench
from review.models import Answer, Decision, ReviewTask, TaskPurpose, TaskState
from review.queue import STOPPING
from traceability.models import (
    Disposition,
    DispositionKind,
    ModelVersion,
    Prediction,
    Route,
    Site,
    Unit,
)

COUNTED_UP_TO: Final = 1000
RECENT: Final = 1200
STRETCH: Final = 40
ROWS: Final = 12
SEE: Final = Capability.SEE_PLANT
STUCK: Final = (
    WriteBack.State.REJECTED,
    WriteBack.State.NEEDS_PERSON,
)


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits for a person; `waiting` stops counting at COUNTED_UP_TO."""

    waiting: int
    oldest_deadline: datetime | None


@dataclass(frozen=True, slots=True)
class Unacknowledged:
    """Write-backs the MES has not acknowledged; `stuck` ones need a person.

    `target` is where the oldest should go, `is_late` that an alarm is due for it. Counting stops at
    COUNTED_UP_TO.
    """

    count: int
    stuck: int
    oldest: datetime | None
    target: str = ""
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Since midnight at the site, those taken back left out."""

    total: int
    confirmed: int
    false_calls: int


@dataclass(frozen=True, slots=True)
class Doubt:
    """How often the latest models were in doubt, the newest model first, and its course in time."""

    models: Sequence[tuple[ModelVersion, Rate]]
    course: Sequence[Stretch]
    seen: int


@dataclass(frozen=True, slots=True)
class Passed:
    """One unit that came down the line, with what was done with it."""

    prediction: Prediction
    disposition: Disposition | None
    write_back: WriteBack | None


def queue(*, actor: Actor, site: Site) -> Queue:
    """Waiting tasks and the most urgent deadline."""
    deadlines = list(
        ReviewTask.objects.filter(
            actor.within(SEE), site=site, state__in=(TaskState.QUEUED, TaskState.LEASED)
        )
        .filter(purpose__in=STOPPING)
        .order_by("due", "severity", "opened_at", "id")
        .values_list("deadline", flat=True)[:COUNTED_UP_TO]
    )
    return Queue(len(deadlines), deadlines[0] if deadlines else None)


def to_approve(*, actor: Actor, site: Site) -> int:
    """What waits for this actor as the second person; asks nothing for who may not be it."""
    if not actor.can(Capability.APPROVE_DISPOSITIONS):
        return 0
    waiting = approvals.waiting(actor).filter(site=site).exclude(asked_by=actor.user_id)
    return waiting.order_by()[:COUNTED_UP_TO].count()


def on_hold(*, actor: Actor, site: Site) -> int | None:
    """Units held at the site; None for who sees only a line of it."""
    if not any(s.site_id == site.pk and s.line_id is None for s in actor.scopes_for(SEE)):
        return None
    return Unit.objects.filter(site=site, disposition=DispositionKind.HOLD)[:COUNTED_UP_TO].count()


def unacknowledged(*, actor: Actor, site: Site, at: datetime) -> Unacknowledged:
    """What the MES has not acknowledged yet, the oldest first."""
    found = list(
        WriteBack.objects.filter(
            actor.within(SEE, line="disposition__inspection__line_id"),
            site=site,
            settled_at__isnull=True,
        )
        .order_by("enqueued_at")
        .values_list("state", "enqueued_at", "target")[:COUNTED_UP_TO]
    )
    if not found:
        return Unacknowledged(0, 0, None)
    _state, oldest, target = found[0]
    return Unacknowledged(
        count=len(found),
        stuck=sum(state in STUCK for state, _enqueued, _target in found),
        oldest=oldest,
        target=target,
        is_late=at - oldest > timedelta(seconds=settings.LOUPE.mes_alarm_s),
    )


def verdicts_today(*, actor: Actor, site: Site, at: datetime) -> Verdicts:
    """What inspectors said since midnight."""
    midnight = at.astimezone(ZoneInfo(site.time_zone)).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    found = Decision.objects.filter(
        actor.within(SEE, line="task__line_id"),
        site=site,
        decided_at__gte=midnight,
        withdrawal__isnull=True,
        # Each part once: not again by who checks the answer, and no control.
        task__purpose=TaskPurpose.FIRST,
    ).aggregate(
        total=Count("pk"),
        confirmed=Count("pk", filter=Q(answer=Answer.CONFIRMED)),
        false_calls=Count("pk", filter=Q(answer=Answer.FALSE_CALL)),
    )
    return Verdicts(found["total"], found["confirmed"], found["false_calls"])


def model_in_force(*, site: Site) -> RegisteredModel | None:
    """The site's model with `since`, when it was put in force (None for one brought along)."""
    latest = Deployment.objects.filter(model=OuterRef("pk")).order_by("-at").values("at")[:1]
    return (
        RegisteredModel.objects.filter(site=site, state=RegisteredModel.State.IN_FORCE)
        .select_related("model_version")
        .annotate(since=Subquery(latest))
        .first()
    )


def doubt(*, actor: Actor, site: Site) -> Doubt:
    """The share of doubtful parts over the last predictions, by model version."""
    rows = _recent(actor, site).values_list("model_version_id", "route")[:RECENT]
    newest_first = [(model, route == Route.REVIEW) for model, route in rows]
    rates = by_model(newest_first)
    versions = ModelVersion.objects.in_bulk(rates)
    return Doubt(
        models=[(versions[pk], rate) for pk, rate in rates.items()],
        course=course(newest_first[::-1], length=STRETCH),
        seen=len(newest_first),
    )


def last_units(*, actor: Actor, site: Site) -> list[Passed]:
    """The last units down the line, newest first; `is_held` marks what the actor is judging himself
    right now, of which his bench alone says what he may know, `is_lot_held` what one verdict on a
    lot took together with it."""
    unit = "capture__inspection__unit"
    predictions = list(
        _recent(actor, site)
        .annotate(
            is_held=own_bench.is_his(actor, unit=unit),
            is_lot_held=own_bench.is_of_his_lot(actor, unit=unit),
        )
        .select_related(
            "model_version", "capture__inspection__unit", "capture__inspection__station"
        )[:ROWS]
    )
    dispositions = {
        d.inspection_id: d
        for d in Disposition.objects.filter(
            inspection__in=[p.capture.inspection_id for p in predictions],
            withdrawal__isnull=True,
        )
        .prefetch_related("write_backs")
        .order_by("revision")
    }
    return [_passed(p, dispositions.get(p.capture.inspection_id)) for p in predictions]


def _passed(prediction: Prediction, disposition: Disposition | None) -> Passed:
    rows = disposition.write_backs.all() if disposition else ()
    return Passed(prediction, disposition, farthest_behind(rows))


def _recent(actor: Actor, site: Site) -> QuerySet[Prediction]:
    return Prediction.objects.filter(
        actor.within(SEE, line="capture__inspection__line_id"), site=site
    ).order_by("-received_at", "-id")
