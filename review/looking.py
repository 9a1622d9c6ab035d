"""A held task as it is by now: a view may have come since it was claimed."""

from __future__ import annotations

from governance.access import Actor
from review import queue
from review.claimed import ClaimedTask
from review.models import ReviewTask, TaskState
from review.queue import Lease


def again(*, actor: Actor, held: Lease) -> ClaimedTask:
    """The task with all its views; LeaseLost when it is this actor's no more."""
    task = ReviewTask.objects.filter(
        uuid=held.task, fence=held.fence, holder_id=actor.user_id, state=TaskState.LEASED
    ).first()
    if task is None:
        raise queue.why_lost(actor, held)
    return queue.shown(task_id=task.pk)
