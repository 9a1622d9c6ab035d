"""Tasks leased to a tablet for the operators at its station, and handed on to the bench."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q, Value
from django.db.models.functions import Now

from governance import audit
from governance.access import Actor
from governance.audit import Trail
from governance.models import Device
from review import claimed, queue
from review.claimed import ClaimedTask
from review.models import ReviewTask, TaskPurpose, TaskState
from review.queue import OPEN, Lease
from traceability.statements import prepared

# What operators are asked; what was handed to a lead is his, whatever was left to them before.
FOR_OPERATORS: Final = Q(operators_until__isnull=False, is_escalated=False)
# Of its own station, left to operators by the policy. What the tablet itself holds but does not
# have any more (its store was emptied) is given again, with a fence of its own.
_CLAIM: Final = f"""
WITH picked AS (
    SELECT t.id FROM review_reviewtask t
    WHERE t.station_id = %(station)s AND t.operators_until IS NOT NULL
      AND t.state IN ('QUEUED', 'LEASED') AND t.purpose = 'FIRST' AND NOT t.is_escalated
      AND t.uuid <> ALL(%(have)s::uuid[])
      AND (t.state = 'QUEUED' OR t.lease_expires_at < clock_timestamp()
           OR t.holder_id = %(account)s)
      AND (t.reserved_for_id IS NULL OR t.reserved_until < clock_timestamp())
    ORDER BY t.due, t.severity, t.opened_at, t.id
    LIMIT %(count)s
    FOR UPDATE OF t SKIP LOCKED
), claimed AS (
    UPDATE review_reviewtask t
    SET state = 'LEASED', holder_id = %(account)s, fence = t.fence + 1,
        lease_expires_at = clock_timestamp() + %(lease)s, leased_at = clock_timestamp()
    FROM picked WHERE t.id = picked.id
    RETURNING t.*
)
{claimed.SELECT.format(source="claimed")}
ORDER BY t.due, t.severity, t.opened_at, t.id
"""  # noqa: S608  # constants only


@dataclass(frozen=True, slots=True)
class Claimed:
    """New tasks for the tablet, and those it had that are no longer its own."""

    tasks: Sequence[ClaimedTask]
    lost: Sequence[UUID]


def claim(
    *,
    actor: Actor,
    device: Device,
    have: Sequence[UUID],
    count: int,
    lease: timedelta,
    at: datetime,
) -> Claimed:
    """Renew what the tablet has and lease it more, up to what it keeps ahead.

    What operators may no longer judge, because it got worse, goes back to the queue.
    """
    kept = set(_renew(device, have, lease))
    wanted = max(0, min(count, device.ahead - len(kept)))
    with audit.recorded(actor=actor, at=at) as trail:
        graver = _give_back(device, operators_until__isnull=True)
        tasks = _lease(device, have, wanted, lease) if wanted else []
        if not (tasks or graver):
            trail.nothing_changed()
        for task in graver:
            _note(trail, "task.release", task, device)
        for leased in tasks:
            _note(trail, "task.claim", leased, device)
    return Claimed(tasks, [each for each in have if each not in kept])


def _renew(device: Device, have: Sequence[UUID], lease: timedelta) -> list[UUID]:
    if not have:
        return []
    with transaction.atomic():
        held = dict(
            ReviewTask.objects.select_for_update()
            .filter(uuid__in=have, holder=device.account_id, state=TaskState.LEASED)
            .filter(operators_until__isnull=False)
            # In the order in which the intake locks tasks.
            .order_by("pk")
            .values_list("pk", "uuid")
        )
        ReviewTask.objects.filter(pk__in=held).update(lease_expires_at=Now() + Value(lease))
    return list(held.values())


def _lease(device: Device, have: Sequence[UUID], count: int, lease: timedelta) -> list[ClaimedTask]:
    values: dict[str, Any] = {
        "station": device.station_id,
        "account": device.account_id,
        "have": list(have),
        "count": count,
        "lease": lease,
    }
    with prepared() as cursor:
        cursor.execute(_CLAIM, values)
        return [claimed.read(row) for row in cursor.fetchall()]


def to_bench(*, actor: Actor, device: Device, held: Lease, at: datetime) -> None:
    """Leave a unit to the bench. Once more it changes nothing; raises LeaseLost where others have
    it or have decided."""
    with audit.recorded(actor=actor, at=at) as trail:
        task = (
            ReviewTask.objects.select_for_update()
            .filter(uuid=held.task, station_id=device.station_id, purpose=TaskPurpose.FIRST)
            .first()
        )
        if task is None:
            raise queue.why_lost(actor, held)
        is_ours = Q(holder=held.tablet, state=TaskState.LEASED) | Q(state=TaskState.QUEUED)
        is_theirs_still = Q(state=TaskState.LEASED) | Q(operators_until__isnull=False)
        moved = ReviewTask.objects.filter(
            is_ours, is_theirs_still, pk=task.pk, fence=held.fence
        ).update(state=TaskState.QUEUED, holder=None, lease_expires_at=None, operators_until=None)
        if moved:
            _note(trail, "task.to_bench", task, device)
        elif task.operators_until is None and task.state in OPEN:
            trail.nothing_changed()
        else:
            raise queue.why_lost(actor, held)


def release_all(*, actor: Actor, device: Device, at: datetime) -> int:
    """Give back everything the tablet holds, because it was signed out; how many it were.

    What was pressed and has not come in counts all the same while nobody has had the task since.
    """
    with audit.recorded(actor=actor, at=at) as trail:
        held = _give_back(device)
        if not held:
            trail.nothing_changed()
        for task in held:
            _note(trail, "task.release", task, device)
    return len(held)


def take_from_tablets(*, trail: Trail, tasks: Sequence[ReviewTask]) -> None:
    """Put those that tablets hold back into the queue, for a tablet may be without network for as
    long as its lease lasts. The tasks are locked by the caller, and changed."""
    holders = {task.holder_id for task in tasks if task.state == TaskState.LEASED}
    if not holders:
        return
    tablets = {device.account_id: device for device in Device.objects.filter(account__in=holders)}
    for task in tasks:
        device = tablets.get(task.holder_id or 0)
        if task.state == TaskState.LEASED and device is not None:
            task.state, task.holder, task.lease_expires_at = TaskState.QUEUED, None, None
            _note(trail, "task.release", task, device)


def _give_back(device: Device, **which: Any) -> list[ReviewTask]:
    """Put those of the tablet's tasks back into the queue."""
    held = list(
        ReviewTask.objects.select_for_update()
        .filter(holder=device.account_id, state=TaskState.LEASED, **which)
        .order_by("pk")
    )
    if held:
        ReviewTask.objects.filter(pk__in=[task.pk for task in held]).update(
            state=TaskState.QUEUED, holder=None, lease_expires_at=None
        )
    return held


def _note(trail: Trail, action: str, task: ReviewTask | ClaimedTask, device: Device) -> None:
    trail.add(
        action,
        subject_kind="task",
        subject=task.uuid,
        site_id=task.site_id,
        detail={"fence": task.fence, "tablet": device.name},
    )
