"""The pull queue: open, claim with a lease, keep, give back, escalate, expire.

Leases are measured by the database's clock alone, so that no host's clock can hold or lose one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, Value
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from governance import audit
from governance.access import Actor, system
from governance.audit import Trail
from governance.roles import Capability
from review import claimed, dispositions
from review.claimed import ClaimedTask
from review.models import ReviewTask, Skip, TaskKind, TaskState
from review.transitions import check_transition
from traceability.models import DeciderKind, DispositionKind, Inspection, Site
from traceability.refusals import Conflict, Invalid, Refusal, Unknown
from traceability.statements import prepared

OPEN = (TaskState.QUEUED, TaskState.LEASED)
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


@dataclass(frozen=True, slots=True)
class Lease:
    """What a holder shows to keep or use a task."""

    task: UUID
    fence: int


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
      AND (t.state = 'QUEUED' OR t.lease_expires_at < clock_timestamp())
      AND (%(every_line)s OR t.line_id = ANY(%(lines)s))
      AND (NOT t.is_escalated OR %(escalated)s OR t.line_id = ANY(%(escalated_lines)s))
      AND (SELECT count(*) FROM review_reviewtask h WHERE h.holder_id = %(holder)s
           AND h.state = 'LEASED' AND h.lease_expires_at > clock_timestamp()) < {MOST_HELD}
      AND NOT EXISTS (
          SELECT 1 FROM review_skip s WHERE s.task_id = t.id AND s.inspector_id = %(holder)s)
    ORDER BY t.due, t.severity, t.opened_at, t.id
    LIMIT {{count}}
    FOR UPDATE OF t SKIP LOCKED
), claimed AS (
    UPDATE review_reviewtask t
    SET state = 'LEASED', holder_id = %(holder)s, fence = t.fence + 1,
        lease_expires_at = clock_timestamp() + %(lease)s
    FROM picked WHERE t.id = picked.id
    RETURNING t.*
)
{claimed.SELECT.format(source="claimed")}
ORDER BY t.due, t.severity, t.opened_at, t.id
"""  # noqa: S608  # constants only
CLAIM: Final = {count: _CLAIM.format(count=count) for count in range(1, MOST_AT_ONCE + 1)}


def claim(
    *, actor: Actor, site: Site, count: int, lease: timedelta, at: datetime
) -> list[ClaimedTask]:
    """The next tasks for this inspector, most urgent first, leased to him.

    A task whose lease has run out is taken over; its earlier holder's fence is stale from then on.
    """
    if not 1 <= count <= MOST_AT_ONCE:
        raise Invalid(_("Claim 1 to %(most)d tasks at a time.") % {"most": MOST_AT_ONCE})
    scopes = [s for s in actor.scopes_for(Capability.REVIEW) if s.site_id == site.pk]
    if not scopes or actor.user_id is None:
        raise Unknown(_("There is no such site for you."))
    leads = [s for s in actor.scopes_for(Capability.REVIEW_ESCALATED) if s.site_id == site.pk]
    values: dict[str, Any] = {
        "site": site.pk,
        "every_line": any(s.line_id is None for s in scopes),
        "lines": [s.line_id for s in scopes if s.line_id is not None],
        "escalated": any(s.line_id is None for s in leads),
        "escalated_lines": [s.line_id for s in leads if s.line_id is not None],
        "holder": actor.user_id,
        "lease": lease,
    }
    with audit.recorded(actor=actor, at=at) as trail:
        with prepared() as cursor:
            cursor.execute(CLAIM[count], values)
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


def release(*, actor: Actor, held: Lease, at: datetime) -> None:
    """Give a task back unseen."""
    with audit.recorded(actor=actor, at=at) as trail:
        _note(trail, "task.release", _put_back(actor, held))


def skip(*, actor: Actor, held: Lease, reason: str, at: datetime) -> None:
    """Give a task back with a reason; this inspector is not offered it again."""
    if not reason.strip():
        raise Invalid(_("Say why you skip this unit."))
    with audit.recorded(actor=actor, at=at) as trail:
        task = _put_back(actor, held)
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
        task = _put_back(actor, held, is_escalated=True)
        _note(trail, "task.escalate", task, reason=comment)


def hold_overdue(*, at: datetime, limit: int = 200) -> int:
    """Put units whose deadline has passed unanswered on HOLD; returns how many tasks it found.

    The task stays open: a later verdict still releases the unit. Audit samples have no deadline
    for the line: their units were accepted already.
    """
    with audit.recorded(actor=system("deadline"), at=at) as trail:
        overdue = list(
            ReviewTask.objects.select_for_update(skip_locked=True, of=("self",))
            .select_related("inspection", "unit")
            .filter(state__in=OPEN, held_at__isnull=True, deadline__lte=at)
            .exclude(kind=TaskKind.AUDIT)
            .order_by("deadline")[:limit]
        )
        if not overdue:
            trail.nothing_changed()
            return 0
        ReviewTask.objects.filter(pk__in=[t.pk for t in overdue]).update(held_at=at)
        for task in overdue:
            _note(trail, "task.overdue", task)
        dispositions.dispose_all(
            trail=trail,
            drafts=[
                dispositions.Draft(
                    inspection=task.inspection,
                    kind=DispositionKind.HOLD,
                    decider_kind=DeciderKind.RULE,
                    decider="deadline",
                    policy_version=task.policy_version,
                    reason=_("No verdict before the deadline."),
                )
                for task in overdue
                if task.unit.disposition not in (DispositionKind.HOLD, DispositionKind.SCRAP)
            ],
            due_at=at,
        )
        return len(overdue)


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """The queue in numbers; `waiting` stops counting at COUNTED_UP_TO."""

    waiting: int
    oldest_deadline: datetime | None
    oldest_opened_at: datetime | None


def figures(*, actor: Actor, site: Site) -> QueueFigures:
    """What waits for this actor at this site, at a cost that does not grow with the queue."""
    # In the order of the index, counting too: without an order the server may read the table from
    # its front, where the tasks long decided lie.
    waiting = (
        ReviewTask.objects.filter(actor.within(Capability.REVIEW), site=site, state__in=OPEN)
        .filter(Q(is_escalated=False) | actor.within(Capability.REVIEW_ESCALATED))
        .exclude(Exists(Skip.objects.filter(task=OuterRef("pk"), inspector_id=actor.user_id)))
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


def _put_back(actor: Actor, held: Lease, *, is_escalated: bool | None = None) -> ReviewTask:
    """The task, locked and back in the queue; LeaseLost when the lease is not this actor's."""
    task = _held(actor, held).select_for_update().first()
    if task is None:
        raise why_lost(actor, held)
    check_transition(TaskState(task.state), TaskState.QUEUED)
    task.state, task.holder, task.lease_expires_at = TaskState.QUEUED, None, None
    task.is_escalated = task.is_escalated if is_escalated is None else is_escalated
    task.save(update_fields=["state", "holder", "lease_expires_at", "is_escalated"])
    found: ReviewTask = task
    return found


def why_lost(actor: Actor, held: Lease) -> Refusal:
    """Why a lease does not hold: no such task for this actor, or lost."""
    task = ReviewTask.objects.filter(actor.within(Capability.REVIEW), uuid=held.task).first()
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
