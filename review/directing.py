"""What a lead does with a task: take it back, give it to an inspector, move it to the front."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models.functions import Now
from django.utils.translation import gettext as _

from governance import audit
from governance.access import Actor
from governance.audit import Trail
from governance.roles import Capability
from review import supervision
from review.models import ReviewTask, TaskState
from review.queue import OPEN
from review.transitions import check_transition
from traceability.refusals import Conflict, Invalid, Unknown

RESERVED: Final = timedelta(minutes=30)
LONGEST: Final = 300


@contextmanager
def _open_task(
    actor: Actor, task_id: UUID, reason: str, at: datetime
) -> Iterator[tuple[Trail, ReviewTask]]:
    """The task, locked; Unknown where the actor does not direct the queue, Conflict if answered."""
    if len(reason) > LONGEST:
        raise Invalid(_("A reason has at most %(n)d characters.") % {"n": LONGEST})
    with audit.recorded(actor=actor, at=at) as trail:
        task = (
            ReviewTask.objects.filter(actor.within(Capability.SUPERVISE), uuid=task_id)
            .select_for_update(of=("self",))
            .select_related("line", "unit", "holder", "reserved_for")
            .first()
        )
        if task is None:
            raise Unknown(_("There is no such task for you."))
        if task.state not in OPEN:
            raise Conflict(_("%(unit)s has been decided in the meantime.") % {"unit": task.unit})
        yield trail, task


def release(*, actor: Actor, task_id: UUID, reason: str, at: datetime) -> ReviewTask:
    """Take a task from its holder; what he still sends for it is refused."""
    with _open_task(actor, task_id, reason, at) as (trail, task):
        if task.state != TaskState.LEASED:
            raise Conflict(_("Nobody holds %(unit)s.") % {"unit": task.unit})
        _note(trail, "task.take_back", task, reason, holder=str(task.holder))
        _put_back(task)
        return task


def reassign(*, actor: Actor, task_id: UUID, person: str, reason: str, at: datetime) -> ReviewTask:
    """Keep a task for one inspector for a while; a colleague who holds it loses it."""
    with _open_task(actor, task_id, reason, at) as (trail, task):
        allowed = supervision.choices(task)
        chosen = next((p for p in allowed if p.username == person), None)
        if chosen is None:
            names = ", ".join(str(p) for p in allowed) or _("nobody")
            raise Invalid(
                _("Choose who may judge this unit: %(names)s.") % {"names": names}, code="not_there"
            )
        if task.holder_id == chosen.pk:
            raise Conflict(_("%(who)s has it already.") % {"who": chosen})
        _note(
            trail,
            "task.reassign",
            task,
            reason,
            holder=str(task.holder or ""),
            reserved_for=chosen.username,
        )
        if task.state == TaskState.LEASED:
            _put_back(task)
        task.reserved_for, task.reserved_until = chosen, Now() + RESERVED
        task.save(update_fields=["reserved_for", "reserved_until"])
        return task


def to_the_front(*, actor: Actor, task_id: UUID, reason: str, at: datetime) -> ReviewTask:
    """Let a task be the next that is offered; its deadline stays what it is."""
    with _open_task(actor, task_id, reason, at) as (trail, task):
        first = (
            ReviewTask.objects.filter(site_id=task.site_id, state__in=OPEN)
            .order_by("due", "severity", "opened_at", "id")
            .values_list("due", flat=True)[0]
        )
        before = task.due
        task.due = min(first, at.replace(second=0, microsecond=0)) - timedelta(minutes=1)
        task.raised_at = at
        task.save(update_fields=["due", "raised_at"])
        _note(trail, "task.raise", task, reason, due=before.isoformat())
        return task


def _put_back(task: ReviewTask) -> None:
    check_transition(TaskState(task.state), TaskState.QUEUED)
    task.state, task.holder, task.lease_expires_at = TaskState.QUEUED, None, None
    task.fence += 1
    task.save(update_fields=["state", "holder", "lease_expires_at", "fence"])


def _note(trail: Trail, action: str, task: ReviewTask, reason: str, **was: str) -> None:
    trail.add(
        action,
        subject_kind="task",
        subject=task.uuid,
        site_id=task.site_id,
        detail={"fence": task.fence, "unit": task.unit.serial, **was},
        reason=reason,
    )
