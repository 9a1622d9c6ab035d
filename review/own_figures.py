"""What an inspector sees of his own work. Every figure is of the actor alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median
from typing import Final
from zoneinfo import ZoneInfo

from django.db.models import QuerySet

from governance.access import Actor
from review.agreement import Agreement, Share, agreement, standing
from review.models import Answer, ControlSample, Decision, TaskPurpose

DAYS: Final = 14
# Agreement and controls are seldom: they are counted over a longer time.
LONGER: Final = timedelta(days=180)
MOST: Final = 20_000
_CHECKED: Final = (TaskPurpose.FIRST, TaskPurpose.SECOND)


@dataclass(frozen=True, slots=True)
class Controls:
    """What he said of parts whose truth is known."""

    hits: Share
    misses: Share
    false_alarms: Share


@dataclass(frozen=True, slots=True)
class OwnFigures:
    """The page `mine`."""

    per_day: Sequence[tuple[date, int]]
    busiest: int
    total: int
    median_seconds: float | None
    overturned: Share
    agreement: Agreement
    controls: Controls


def own_figures(*, actor: Actor, at: datetime) -> OwnFigures:
    """The actor's verdicts of the last DAYS, and his agreement over a longer time."""
    zone = ZoneInfo(actor.sites[0].time_zone) if actor.sites else at.tzinfo
    today = at.astimezone(zone).date()
    days = [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    rows = list(
        _mine(actor, at - timedelta(days=DAYS + 1)).values_list("decided_at", "seconds")[:MOST]
    )
    on_day = Counter(decided_at.astimezone(zone).date() for decided_at, _seconds in rows)
    seconds = [s for at_, s in rows if s is not None and at_.astimezone(zone).date() in days]
    per_day = [(day, on_day[day]) for day in days]
    return OwnFigures(
        per_day=per_day,
        busiest=max((count for _day, count in per_day), default=0),
        total=sum(count for _day, count in per_day),
        median_seconds=median(seconds) if seconds else None,
        overturned=_overturned(actor, at - LONGER),
        agreement=_agreement(actor, at - LONGER),
        controls=_controls(actor, at - LONGER),
    )


def _mine(actor: Actor, since: datetime) -> QuerySet[Decision]:
    """Verdicts this very person gave and did not take back."""
    return Decision.objects.filter(
        decided_by_id=actor.user_id, decided_at__gte=since, withdrawal__isnull=True
    )


def _overturned(actor: Actor, since: datetime) -> Share:
    """Of his verdicts that a lead has adjudicated: how many the lead did not share."""
    own = {
        inspection: said
        for inspection, *said in _mine(actor, since)
        .filter(task__purpose__in=_CHECKED)
        .order_by("pk")
        .values_list("task__inspection", "answer", "defect_class")
    }
    ruled = (
        standing(TaskPurpose.ADJUDICATION)
        .filter(task__inspection__in=own)
        .exclude(answer=Answer.INCONCLUSIVE)
        .values_list("task__inspection", "answer", "defect_class")
    )
    differs = [own[inspection] != said for inspection, *said in ruled]
    return Share(sum(differs), len(differs))


def _agreement(actor: Actor, since: datetime) -> Agreement:
    """On parts that he and a colleague judged independently, whoever was first."""
    said = {
        purpose: {
            inspection: (answer, code, by)
            for inspection, answer, code, by in standing(purpose)
            .filter(decided_at__gte=since, task__inspection__in=_twice(actor, since))
            .values_list("task__inspection", "answer", "defect_class", "decided_by")
        }
        for purpose in _CHECKED
    }
    first, second = said[TaskPurpose.FIRST], said[TaskPurpose.SECOND]
    pairs = []
    for inspection in first.keys() & second.keys():
        one, other = first[inspection], second[inspection]
        mine, theirs = (one, other) if one[2] == actor.user_id else (other, one)
        pairs.append((mine[:2], theirs[:2]))
    return agreement(pairs)


def _twice(actor: Actor, since: datetime) -> QuerySet[Decision, int]:
    """Inspections of which he gave one of the two verdicts."""
    mine = _mine(actor, since).filter(task__purpose__in=_CHECKED)
    return mine.values_list("task__inspection", flat=True)


def _controls(actor: Actor, since: datetime) -> Controls:
    """A hit: a defect confirmed, of whatever class. What he could not tell is neither."""
    said = list(
        _mine(actor, since)
        .filter(task__purpose=TaskPurpose.CONTROL)
        .values_list("task__inspection", "answer")
    )
    truths = dict(
        ControlSample.objects.filter(inspection__in={i for i, _answer in said}).values_list(
            "inspection", "truth"
        )
    )
    bad = [answer for i, answer in said if truths.get(i) == Answer.CONFIRMED]
    good = [answer for i, answer in said if truths.get(i) == Answer.FALSE_CALL]
    return Controls(
        hits=Share(bad.count(Answer.CONFIRMED), len(bad)),
        misses=Share(bad.count(Answer.FALSE_CALL), len(bad)),
        false_alarms=Share(good.count(Answer.CONFIRMED), len(good)),
    )
