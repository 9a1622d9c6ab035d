"""What a lead sees of the queue, and what he may do with a task that is somebody's or nobody's.

Every figure costs the same whatever waits: the counts stop at the COUNTED_UP_TO most urgent tasks
of a site.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import F, Q
from django.utils.translation import gettext as _

from governance import unseen
from governance.access import Actor
from governance.models import Grant, User
from governance.roles import Capability, roles_with
from review import own_bench
from review.forecast import Forecast, Measured, forecast
from review.models import Decision, Escalation, ReviewTask, Skip, TaskPurpose, TaskState
from review.queue import COUNTED_UP_TO, OPEN
from traceability.refusals import Unknown

SHOWN: Final = 50
NEXT_SHOWN: Final = 20
LOOKED_BACK: Final = 1000
ACTIVE: Final = timedelta(minutes=10)
WINDOW: Final = timedelta(hours=1)

# The front of each site's queue, read in the order of the index.
_FRONT: Final = """
WITH front AS (
    SELECT t.* FROM unnest(%(sites)s::bigint[]) s(id) CROSS JOIN LATERAL (
        SELECT t.id, t.site_id, t.line_id, t.unit_id, t.kind, t.is_escalated, t.opened_at,
            t.deadline, t.due, t.severity
        FROM review_reviewtask t
        WHERE t.site_id = s.id AND t.state IN ('QUEUED', 'LEASED') AND t.purpose <> 'CONTROL'
          AND (t.site_id = ANY(%(whole)s::bigint[]) OR t.line_id = ANY(%(lines)s::bigint[]))
        ORDER BY t.due, t.severity, t.opened_at, t.id LIMIT %(most)s
    ) t
)
"""
_GROUPS: Final = f"""{_FRONT}
SELECT s.code, l.code, coalesce(n.number, ''), count(*), min(f.opened_at), min(f.deadline),
    count(*) FILTER (WHERE f.deadline < %(at)s AND f.kind <> 'AUDIT'),
    array_agg(f.id) FILTER (WHERE f.is_escalated)
FROM front f
JOIN traceability_site s ON s.id = f.site_id
JOIN traceability_line l ON l.id = f.line_id
CROSS JOIN LATERAL (
    SELECT u.part_revision_id FROM traceability_unit u WHERE u.id = f.unit_id LIMIT 1
) u
LEFT JOIN traceability_partrevision r ON r.id = u.part_revision_id
LEFT JOIN traceability_partnumber n ON n.id = r.part_number_id
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""  # noqa: S608  # constants only
# Of what came and was decided in the window, no more than a busy hour's is read.
_PACE: Final = f"""{_FRONT}
SELECT s.code,
    (SELECT count(*) FROM (SELECT t.opened_at FROM review_reviewtask t WHERE t.site_id = s.id
        AND t.purpose <> 'CONTROL' ORDER BY t.id DESC LIMIT 4000) t WHERE t.opened_at > %(since)s),
    d.decided, d.minutes,
    (SELECT count(*) FROM (
        SELECT d.decided_by_id FROM review_decision d
            WHERE d.site_id = s.id AND d.decided_at > %(active)s
        UNION SELECT h.holder_id FROM review_reviewtask h WHERE h.site_id = s.id
            AND h.state = 'LEASED' AND h.lease_expires_at > clock_timestamp()
            AND h.leased_at > %(active)s) p),
    (SELECT array_agg(extract(epoch FROM f.deadline - %(at)s)::float8
        ORDER BY f.due, f.severity, f.opened_at, f.id)
        FROM front f WHERE f.site_id = s.id AND f.kind <> 'AUDIT'),
    (SELECT array_agg(extract(epoch FROM f.deadline - f.opened_at)::float8)
        FROM front f WHERE f.site_id = s.id AND f.kind <> 'AUDIT')
FROM traceability_site s CROSS JOIN LATERAL (
    SELECT count(*) AS decided,
        count(DISTINCT (d.decided_by_id, date_trunc('minute', d.decided_at))) AS minutes
    FROM (SELECT decided_by_id, decided_at FROM review_decision
        WHERE site_id = s.id AND decided_at > %(since)s AND decided_at <= %(at)s
        ORDER BY decided_at DESC LIMIT 4000) d
) d
WHERE s.id = ANY(%(sites)s::bigint[]) ORDER BY s.code
"""  # noqa: S608  # constants only


@dataclass(frozen=True, slots=True)
class Group:
    """What waits of one part number on one line."""

    site: str
    line: str
    part: str
    count: int
    oldest: datetime
    deadline: datetime
    overdue: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranded:
    """A task nobody will take by himself, or one that waits for a lead, and why."""

    task: ReviewTask
    why: str
    is_stuck: bool


@dataclass(frozen=True, slots=True)
class Board:
    """Everything on the supervisor's page."""

    groups: Sequence[Group]
    is_cut: bool
    held: Sequence[ReviewTask]
    stranded: Sequence[Stranded]
    upcoming: Sequence[ReviewTask]
    forecasts: Sequence[tuple[str, Forecast | None]]


def board(*, actor: Actor, at: datetime) -> Board:
    """The queue of every site and line this actor directs, in a fixed number of statements."""
    values = _values(actor, at)
    with connection.cursor() as cursor:
        cursor.execute(_GROUPS, values)
        rows = cursor.fetchall()
        cursor.execute(_PACE, values)
        paces = cursor.fetchall()
    groups = [Group(*row[:7]) for row in rows]
    escalated = [pk for row in rows for pk in row[7] or ()]
    waiting = _open(actor).filter(state=TaskState.QUEUED)
    return Board(
        groups=groups,
        is_cut=sum(group.count for group in groups) >= COUNTED_UP_TO,
        held=list(
            _open(actor)
            .filter(state=TaskState.LEASED)
            .select_related("holder")
            .order_by("holder__username", "leased_at", "pk")[: 2 * SHOWN]
        ),
        stranded=[_untold(each) for each in _stranded(actor, escalated, values["sites"])[:SHOWN]],
        upcoming=list(
            waiting.select_related("reserved_for").order_by("due", "severity", "opened_at", "id")[
                :NEXT_SHOWN
            ]
        ),
        forecasts=[(row[0], forecast(_measured(row))) for row in paces],
    )


def _measured(row: Sequence[Any]) -> Measured:
    _site, arrived, decided, minutes, people, left, allowed = row
    return Measured(
        arrived=arrived,
        decided=decided,
        window_s=WINDOW.total_seconds(),
        person_minutes=minutes,
        people=people,
        left_s=left or (),
        allowed_s=allowed or (),
    )


def _values(actor: Actor, at: datetime) -> dict[str, Any]:
    scopes = actor.scopes_for(Capability.SUPERVISE)
    return {
        "sites": sorted({s.site_id for s in scopes}),
        "whole": [s.site_id for s in scopes if s.line_id is None],
        "lines": [s.line_id for s in scopes if s.line_id is not None],
        "most": COUNTED_UP_TO,
        "at": at,
        "since": at - WINDOW,
        "active": at - ACTIVE,
    }


def stuck(
    *, actor: Actor, capability: Capability, site_id: int, escalated: Sequence[int]
) -> list[Stranded]:
    """Tasks at the site nobody will take by himself; `escalated` are those known to be so."""
    found = _stranded(actor, escalated, [site_id], capability)
    return [stranded for stranded in found if stranded.is_stuck]


def _open(actor: Actor, capability: Capability = Capability.SUPERVISE) -> Any:
    return ReviewTask.objects.filter(
        # Controls are shown to nobody but who judges them.
        ~Q(purpose=TaskPurpose.CONTROL),
        actor.within(capability),
        state__in=OPEN,
    ).select_related("site", "line", "unit")


def _stranded(
    actor: Actor,
    escalated: Sequence[int],
    sites: Sequence[int],
    capability: Capability = Capability.SUPERVISE,
) -> list[Stranded]:
    """Escalated tasks, and those everyone who may judge them has put back."""
    # From the latest hand-overs and skips, not from the queue: it may be long.
    handed = Escalation.objects.filter(site_id__in=sites).order_by("-pk")
    put_back = Skip.objects.filter(site_id__in=sites).order_by("-pk")
    found = {
        *escalated,
        *handed.values_list("task_id", flat=True)[:LOOKED_BACK],
        *put_back.values_list("task_id", flat=True)[:LOOKED_BACK],
    }
    tasks = list(
        _open(actor, capability)
        .filter(pk__in=found)
        .annotate(is_held=own_bench.is_his(actor, unit="unit_id"))
        .annotate(is_lot_held=own_bench.is_of_his_lot(actor, unit="unit_id"))
        .select_related("reserved_for", "holder")
        .order_by("due", "severity", "opened_at", "id")[:LOOKED_BACK]
    )
    skips: dict[int, dict[int, str]] = defaultdict(dict)
    pks = [task.pk for task in tasks]
    for skip in Skip.objects.standing().filter(task_id__in=pks).order_by("pk"):
        skips[skip.task_id][skip.inspector_id] = skip.reason
    asked: dict[int, Escalation] = {
        each.task_id: each
        for each in Escalation.objects.filter(task_id__in=pks).select_related("inspector")
    }
    staff, given = _staff(sites), _given(tasks)
    judged = [
        _why(t, skips[t.pk], asked.get(t.pk), _judges(t, staff), given[t.inspection_id])
        for t in tasks
    ]
    return [stranded for stranded in judged if stranded is not None]


def _untold(found: Stranded) -> Stranded:
    """The same without what others said of the unit, for who is judging it himself; what a signed
    handover keeps comes from elsewhere, and is whole."""
    task: Any = found.task
    if not (task.is_held or task.is_lot_held):
        return found
    phrase = unseen.own_phrase() if task.is_held else unseen.lot_phrase()
    return replace(found, why=phrase, is_stuck=False)


def _given(tasks: Sequence[ReviewTask]) -> defaultdict[int, set[int]]:
    """Who has judged the parts that somebody else is to judge now, by inspection."""
    others = [task.inspection_id for task in tasks if task.purpose != TaskPurpose.FIRST]
    found: defaultdict[int, set[int]] = defaultdict(set)
    if others:
        rows = Decision.objects.filter(task__inspection__in=others)
        for inspection, person in rows.values_list("task__inspection", "decided_by"):
            found[inspection].add(person)
    return found


def _why(
    task: ReviewTask,
    skips: dict[int, str],
    asked: Escalation | None,
    judges: Sequence[User],
    given: Collection[int],
) -> Stranded | None:
    if not judges:
        without = _("%(line)s has no lead."), _("%(line)s has no inspector.")
        why = without[0 if task.is_escalated else 1] % {"line": task.line.code}
        return Stranded(task=task, why=why, is_stuck=True)
    if task.purpose != TaskPurpose.FIRST:
        judges = [person for person in judges if person.pk not in given]
        if not judges:
            why = _("Everyone who may judge it has judged it before.")
            return Stranded(task=task, why=why, is_stuck=True)
    if all(person.pk in skips for person in judges):
        reasons = "; ".join(sorted({reason for reason in skips.values() if reason}))
        why = _("Skipped by everyone who may judge it: %(why)s") % {"why": reasons}
        return Stranded(task=task, why=why, is_stuck=True)
    if task.is_escalated:
        return Stranded(task=task, why=_asked_in_words(asked), is_stuck=False)
    return None


def _asked_in_words(asked: Escalation | None) -> str:
    if asked is None:
        return _("Waits for a lead.")
    words = _("Escalated by %(who)s.") % {"who": asked.inspector}
    return f"{words} {asked.comment}".strip()


def _staff(sites: Sequence[int]) -> list[Grant]:
    """Everyone who may judge anything at these sites."""
    return list(
        Grant.objects.filter(
            site_id__in=sites, role__in=roles_with(Capability.REVIEW), user__is_active=True
        )
        .select_related("user")
        .order_by("user__username", "pk")
    )


def _judges(task: ReviewTask, staff: Sequence[Grant]) -> list[User]:
    capability = Capability.REVIEW_ESCALATED if task.is_escalated else Capability.REVIEW
    roles = roles_with(capability)
    found = {
        grant.user_id: grant.user
        for grant in staff
        if grant.site_id == task.site_id
        and grant.line_id in (None, task.line_id)
        and grant.role in roles
    }
    return list(found.values())


def choices(task: ReviewTask) -> list[User]:
    """Who may be given the task: judges there who have not put it back, nor judged the unit."""
    from_others = Skip.objects.standing().filter(task=task).values_list("inspector_id", flat=True)
    decided = ReviewTask.objects.filter(
        inspection_id=task.inspection_id, decisions__isnull=False
    ).values_list(F("decisions__decided_by_id"), flat=True)
    barred = set(from_others)
    if task.purpose == TaskPurpose.FIRST:
        decided = decided.filter(purpose=TaskPurpose.SECOND)
    if task.purpose != TaskPurpose.FIRST or task.wants_second:
        barred |= set(decided)
    return [p for p in _judges(task, _staff([task.site_id])) if p.pk not in barred]


def find(*, actor: Actor, task_id: UUID) -> ReviewTask:
    """The task of this id where the actor directs the queue; Unknown elsewhere."""
    found: ReviewTask | None = (
        ReviewTask.objects.filter(actor.within(Capability.SUPERVISE), uuid=task_id)
        .select_related("site", "line", "unit", "holder", "reserved_for")
        .first()
    )
    if found is None:
        raise Unknown(_("There is no such task for you."))
    return found
