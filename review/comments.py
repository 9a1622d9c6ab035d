"""What people note about an inspection, for everyone who judges or looks at the unit."""

from __future__ import annotations

from datetime import datetime
from typing import Final, cast
from uuid import UUID

from django.utils.translation import gettext as _

from governance import audit
from governance.access import Actor
from governance.roles import Capability
from review.models import Comment, ReviewTask
from traceability.refusals import Invalid, Unknown

LONGEST: Final = 1000


def add(*, actor: Actor, task_id: UUID, text: str, at: datetime) -> Comment:
    """Note something about the task's inspection; not tied to a claim: it may be another's."""
    said = text.strip()
    if not said:
        raise Invalid(_("Write what you saw, then send it."))
    if len(said) > LONGEST:
        raise Invalid(_("A comment has at most %(n)d characters.") % {"n": LONGEST})
    task = (
        ReviewTask.objects.filter(actor.within(Capability.REVIEW), uuid=task_id)
        .select_related("unit")
        .first()
    )
    if task is None:
        raise Unknown(_("There is no such task for you."))
    with audit.recorded(actor=actor, at=at) as trail:
        comment = Comment.objects.create(
            site_id=task.site_id,
            inspection_id=task.inspection_id,
            author_id=cast(int, actor.user_id),
            text=said,
            at=at,
        )
        trail.add(
            "unit.comment",
            subject_kind="unit",
            subject=task.unit.serial,
            site_id=task.site_id,
            detail={"task": str(task.uuid), "text": said},
        )
        return comment
