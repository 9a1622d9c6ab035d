"""The pull queue: open, claim with a lease, keep, give back, escalate.

Leases are measured by the database's clock alone, so that no host's clock can hold or lose one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from governance import audit
from governance.access import Actor
from governance.audit import Trail
from governance.roles import Capability
from review import claimed, escalations
from review.claimed import ClaimedTask
from review.models import Decision, ReviewTask, Skip, TaskKind, TaskPurpose, TaskState
from review.transitions import check_transition
from traceability.models import Inspection, Site
from traceability.refusals import Conflict, Invalid, Refusal, Unknown
from traceability.statements import prepared

OPEN = (TaskState.QUEUED, TaskState.LEASED)
# What a unit waits for; a second inspection or a control keeps none.
STOPPING = (TaskPurpose.FIRST, TaskPurpose.ADJUDICATION)
MOST_AT_ONCE = 4
# Two tabs with all they look ahead; more would starve the colleagues.
MOST_HELD = 8
COUNTED_UP_TO = 1000


class LeaseLost(Conflict):
    """Somebody else holds the task by now, or it is already decided."""

    code = "lease_lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDraft:
    """A task before it is in the queue. `severity`: 0 critical, 1 major, 2 minor."""

    inspection: Inspection
    kind: TaskKind
    score: float
    defect_class: str
    policy_version: int
    review_from: float
    contain_from: float
    inclusion_probability: float
    deadline: datetime
    severity: int
    purpose: TaskPurpose = TaskPurpose.FIRST
    is_blind: bool = False
    wants_second: bool = False
    control_rate: float = 0.0
    is_escalated: bool = False
    operators_until: datetime | None = None
    second_for_scrap: bool = False
    second_for_concession: bool = True


@dataclass(frozen=True, slots=True)
class Lease:
    """What a holder shows to keep or use a task; `tablet`: the account of the tablet that holds it
    for whoever works there, as against the actor himself."""

    task: UUID
    fence: int
    tablet: int | None = None


def open_tasks(*, trail: Trail, drafts: Sequence[TaskDraft]) -> list[ReviewTask]:
    """Put inspections in the queue; one that has a task already is left as it is."""
    tasks = ReviewTask.objects.bulk_create(
        [_task(draft, at=trail.at) for draft in drafts], ignore_conflicts=True
    )
    for task in tasks:
        trail.add(
            "task.open",
            subject_kind="task",
            subject=task.uuid,
            site_id=task.site_id,
            detail={"kind": task.kind, "score": task.score, "deadline": task.deadline.isoformat()},
        )
    return tasks


def _task(draft: TaskDraft, *, at: datetime) -> ReviewTask:
    inspection = draft.inspection
    return ReviewTask(
        site_id=inspection.site_id,
        line_id=inspection.line_id,
        inspection=inspection,
        unit_id=inspection.unit_id,
        kind=draft.kind,
        purpose=draft.purpose,
        is_blind=draft.is_blind,
        wants_second=draft.wants_second,
        control_rate=draft.control_rate,
        is_escalated=draft.is_escalated,
        score=draft.score,
        defect_class=draft.defect_class,
        policy_version=draft.policy_version,
        review_from=draft.review_from,
        contain_from=draft.contain_from,
        inclusion_probability=draft.inclusion_probability,
        opened_at=at,
        deadline=draft.deadline,
        due=due_minute(draft.kind, draft.deadline),
        severity=draft.severity,
        station_id=inspection.station_id,
        operators_until=draft.operators_until,
        second_for_scrap=draft.second_for_scrap,
        second_for_concession=draft.second_for_concession,
    )


def due_minute(kind: TaskKind, deadline: datetime) -> datetime:
    """Where a task stands in the queue: at its deadline's minute; an audit sample, whose unit was
    accepted already, behind all that a line waits for."""
    far = timedelta(days=1) if kind is TaskKind.AUDIT else timedelta()
    return (deadline + far).replace(second=0, microsecond=0)


# The partial index review_task_open has the queue in its order: the claim reads from its front.
# The count is part of the text: only so the server can plan once for every claim.
_CLAIM: Final = f"""
WITH picked AS (
    SELECT t.id FROM review_reviewtask t
    WHERE t.site_id = %(site)s
      AND t.state IN ('QUEUED', 'LEASED')
      AND ({{free}})
      AND (%(every_line)s OR t.line_id = ANY(%(lines)s))
      AND (NOT t.is_escalated OR %(escalated)s OR t.line_id = ANY(%(escalated_lines)s))
      AND (SELECT count(*) FROM review_reviewtask h WHERE h.holder_id = %(holder)s
           AND h.state = 'LEASED' AND h.lease_expires_at > clock_timestamp(){{besides}})
          < {MOST_HELD}
      AND (t.reserved_for_id IS NULL OR t.reserved_for_id = %(holder)s
           OR t.reserved_until < clock_timestamp())
      AND (t.operators_until IS NULL OR t.operators_until < clock_timestamp())
      AND NOT EXISTS (
          SELECT 1 FROM review_skip s WHERE s.task_id = t.id AND s.inspector_id = %(holder)s
          AND NOT (
              EXISTS (
                  SELECT 1 FROM review_decision d
                  JOIN review_decisionwithdrawal w ON w.decision_id = d.id
                  WHERE d.task_id = s.task_id AND d.decided_by_id = s.inspector_id
                  AND d.answer = 'INCONCLUSIVE' AND d.decided_at = s.at)
              AND NOT EXISTS (
                  SELECT 1 FROM review_decision d
                  LEFT JOIN review_decisionwithdrawal w ON w.decision_id = d.id
                  WHERE d.task_id = s.task_id AND d.decided_by_id = s.inspector_id
                  AND d.answer = 'INCONCLUSIVE' AND w.id IS NULL)))
      AND (t.purpose = 'FIRST' OR NOT EXISTS (
          SELECT 1 FROM review_decision d JOIN review_reviewtask o ON o.id = d.task_id
          WHERE o.inspection_id = t.inspection_id AND d.decided_by_id = %(holder)s))
      AND (t.purpose <> 'FIRST' OR NOT t.wants_second OR NOT EXISTS (
          SELECT 1 FROM review_decision d JOIN review_reviewtask o ON o.id = d.task_id
          WHERE o.inspection_id = t.inspection_id AND o.purpose = 'SECOND'
          AND d.decided_by_id = %(holder)s))
      AND (t.purpose <> 'CONTROL' OR t.holder_id = %(holder)s)
    ORDER BY {{order}}
    LIMIT {{count}}
    FOR UPDATE OF t SKIP LOCKED
), claimed AS (
    UPDATE review_reviewtask t
    SET state = 'LEASED', holder_id = %(holder)s, fence = t.fence + 1,
        lease_expires_at = clock_timestamp() + %(lease)s, leased_at = clock_timestamp()
    FROM picked WHERE t.id = picked.id
    RETURNING t.*
)
{claimed.SELECT.format(source="claimed")}
ORDER BY {{order}}
"""  # noqa: S608  # constants only
_FREE: Final = "t.state = 'QUEUED' OR t.lease_expires_at < clock_timestamp()"
_URGENT: Final = "t.due, t.severity, t.opened_at, t.id"
CLAIM: Final = {
    count: _CLAIM.format(count=count, free=_FREE, besides="", order=_URGENT)
    for count in range(1, MOST_AT_ONCE + 1)
}
# What this person still holds counts as free: the tab that held it is gone, or is a copy of this.
_CLAIM_THESE: Final = _CLAIM.format(
    count="%(count)s",
    free=f"t.uuid = ANY(%(these)s::uuid[]) AND ({_FREE} OR t.holder_id = %(holder)s)",
    besides=" AND h.uuid <> ALL(%(these)s::uuid[])",
    order="array_position(%(these)s::uuid[], t.uuid)",
)


def claim(
    *, actor: Actor, site: Site, count: int, lease: timedelta, at: datetime
) -> list[ClaimedTask]:
    """The next tasks for this inspector, most urgent first, leased to him.

    A task whose lease has run out is taken over; its earlier holder's fence is stale from then on.
    """
    if not 1 <= count <= MOST_AT_ONCE:
        raise Invalid(_("Claim 1 to %(most)d tasks at a time.") % {"most": MOST_AT_ONCE})
    return _claim(CLAIM[count], _asked(actor, site, lease), actor=actor, at=at)


def claim_these(
    *, actor: Actor, site: Site, tasks: Sequence[UUID], count: int, lease: timedelta, at: datetime
) -> list[ClaimedTask]:
    """Up to `count` of these tasks, in this order: where an inspector stopped he goes on.

    Left out is what is no longer open, not his to judge, or a colleague's by now.
    """
    values = {**_asked(actor, site, lease), "these": list(tasks), "count": count}
    return _claim(_CLAIM_THESE, values, actor=actor, at=at)


def _asked(actor: Actor, site: Site, lease: timedelta) -> dict[str, Any]:
    scopes = [s for s in actor.scopes_for(Capability.REVIEW) if s.site_id == site.pk]
    if not scopes or actor.user_id is None:
        raise Unknown(_("There is no such site for you."))
    leads = [s for s in actor.scopes_for(Capability.REVIEW_ESCALATED) if s.site_id == site.pk]
    return {
        "site": site.pk,
        "every_line": any(s.line_id is None for s in scopes),
        "lines": [s.line_id for s in scopes if s.line_id is not None],
        "escalated": any(s.line_id is None for s in leads),
        "escalated_lines": [s.line_id for s in leads if s.line_id is not None],
        "holder": actor.user_id,
        "lease": lease,
    }


def _claim(
    statement: str, values: dict[str, Any], *, actor: Actor, at: datetime
) -> list[ClaimedTask]:
    with audit.recorded(actor=actor, at=at) as trail:
        with prepared() as cursor:
            cursor.execute(statement, values)
            tasks = [claimed.read(row) for row in cursor.fetchall()]
        if not tasks:
            trail.nothing_changed()
        for task in tasks:
            _note(trail, "task.claim", task)
    return tasks


_ONE: Final = claimed.SELECT.format(source="review_reviewtask") + " WHERE t.id = %s"


def shown(*, task_id: int) -> ClaimedTask:
    """One task with everything the bench shows of it, in one query."""
    with prepared() as cursor:
        cursor.execute(_ONE, [task_id])
        return claimed.read(cursor.fetchone())


def keep(
    *, actor: Actor, leases: Iterable[Lease], lease: timedelta
) -> tuple[list[UUID], list[UUID]]:
    """Renew the leases this actor still holds; returns (kept, lost).

    Not audited: nothing changes hands.
    """
    kept: list[UUID] = []
    lost: list[UUID] = []
    for held in leases:
        renewed = _held(actor, held).update(lease_expires_at=Now() + Value(lease))
        (kept if renewed else lost).append(held.task)
    return kept, lost


def held_by(*, actor: Actor) -> list[UUID]:
    """What is leased to this actor; a bench that misses one of its own asks why."""
    held = ReviewTask.objects.filter(holder_id=actor.user_id, state=TaskState.LEASED)
    return list(held.values_list("uuid", flat=True)[: 4 * MOST_HELD])


def release(*, actor: Actor, held: Lease, at: datetime) -> None:
    """Give a task back unseen."""
    with audit.recorded(actor=actor, at=at) as trail:
        _note(trail, "task.release", _put_back(actor, held))


def skip(*, actor: Actor, held: Lease, reason: str, at: datetime) -> None:
    """Give a task back with a reason; this inspector is not offered it again."""
    if not reason.strip():
        raise Invalid(_("Say why you skip this unit."))
    with audit.recorded(actor=actor, at=at) as trail:
        task = _put_back(actor, held, is_for_others=True)
        Skip.objects.create(
            site_id=task.site_id,
            task=task,
            inspector_id=cast(int, actor.user_id),
            reason=reason,
            at=at,
        )
        _note(trail, "task.skip", task, reason=reason)


def escalate(*, actor: Actor, held: Lease, comment: str, at: datetime) -> None:
    """Hand a task to a lead; inspectors are not offered it any more."""
    with audit.recorded(actor=actor, at=at) as trail:
        task = _put_back(actor, held, is_escalated=True, is_for_others=True)
        escalations.note(
            trail=trail, site_id=task.site_id, task_id=task.pk, fence=held.fence, comment=comment
        )
        _note(trail, "task.escalate", task, reason=comment)


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """The queue in numbers; `waiting` stops counting at COUNTED_UP_TO."""

    waiting: int
    oldest_deadline: datetime | None
    oldest_opened_at: datetime | None


def _judged_by(actor: Actor) -> QuerySet[Decision]:
    """Verdicts of this person on the task's inspection, on whatever task they were given."""
    return Decision.objects.filter(
        decided_by_id=actor.user_id, task__inspection_id=OuterRef("inspection_id")
    )


def figures(*, actor: Actor, site: Site) -> QueueFigures:
    """What waits for this actor at this site, at a cost that does not grow with the queue."""
    # In the order of the index, counting too: without an order the server may read the table from
    # its front, where the tasks long decided lie.
    waiting = (
        ReviewTask.objects.filter(actor.within(Capability.REVIEW), site=site, state__in=OPEN)
        .filter(Q(is_escalated=False) | actor.within(Capability.REVIEW_ESCALATED))
        .exclude(purpose=TaskPurpose.CONTROL)
        .filter(Q(operators_until__isnull=True) | Q(operators_until__lte=Now()))
        .filter(Q(purpose=TaskPurpose.FIRST) | ~Exists(_judged_by(actor)))
        .exclude(
            Exists(_judged_by(actor).filter(task__purpose=TaskPurpose.SECOND)),
            purpose=TaskPurpose.FIRST,
            wants_second=True,
        )
        .exclude(
            Exists(Skip.objects.standing().filter(task=OuterRef("pk"), inspector=actor.user_id))
        )
        .order_by("due", "severity", "opened_at", "id")
    )
    first = waiting.values_list("deadline", "opened_at").first()
    return QueueFigures(
        waiting=len(waiting.values_list("pk", flat=True)[:COUNTED_UP_TO]),
        oldest_deadline=first[0] if first else None,
        oldest_opened_at=first[1] if first else None,
    )


def _held(actor: Actor, held: Lease) -> Any:
    return ReviewTask.objects.filter(
        uuid=held.task, fence=held.fence, holder_id=actor.user_id, state=TaskState.LEASED
    )


def _put_back(
    actor: Actor, held: Lease, *, is_escalated: bool = False, is_for_others: bool = False
) -> ReviewTask:
    """The task, locked and back in the queue; LeaseLost when the lease is not this actor's.

    `is_for_others`: it is kept for nobody any longer, since who it was kept for will not have it.
    """
    task = _held(actor, held).select_for_update().first()
    if task is None:
        raise why_lost(actor, held)
    # A control is for the one it was shown to; what he does not judge is not shown to others.
    after = TaskState.CLOSED if task.purpose == TaskPurpose.CONTROL else TaskState.QUEUED
    check_transition(TaskState(task.state), after)
    task.state, task.holder, task.lease_expires_at = after, None, None
    task.is_escalated = task.is_escalated or is_escalated
    if is_for_others and task.purpose != TaskPurpose.CONTROL:
        task.reserved_for, task.reserved_until = None, None
    task.save(
        update_fields=[
            *("state", "holder", "lease_expires_at", "is_escalated"),
            *("reserved_for", "reserved_until"),
        ]
    )
    found: ReviewTask = task
    return found


def why_lost(actor: Actor, held: Lease) -> Refusal:
    """Why a lease does not hold: no such task for this actor, or lost."""
    may = Capability.JUDGE_AT_LINE if held.tablet else Capability.REVIEW
    task = ReviewTask.objects.filter(actor.within(may), uuid=held.task).first()
    if task is None:
        return Unknown(_("There is no such task for you."))
    if task.state == TaskState.DECIDED:
        return LeaseLost(_("This unit has been decided in the meantime."))
    return LeaseLost(_("Your hold on this unit ran out and it went back to the queue."))


def _note(trail: Trail, action: str, task: ReviewTask | ClaimedTask, *, reason: str = "") -> None:
    trail.add(
        action,
        subject_kind="task",
        subject=task.uuid,
        site_id=task.site_id,
        detail={"fence": task.fence},
        reason=reason,
    )
