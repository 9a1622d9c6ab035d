"""What happens to a unit whose verdict does not come in time."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext as _

from governance import audit
from governance.access import system
from review import dispositions
from review.models import ReviewTask, TaskKind
from review.queue import OPEN, STOPPING
from traceability.models import DeciderKind, DispositionKind


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
            .filter(purpose__in=STOPPING)
            .exclude(kind=TaskKind.AUDIT)
            .order_by("deadline")[:limit]
        )
        if not overdue:
            trail.nothing_changed()
            return 0
        ReviewTask.objects.filter(pk__in=[t.pk for t in overdue]).update(held_at=at)
        for task in overdue:
            trail.add(
                "task.overdue",
                subject_kind="task",
                subject=task.uuid,
                site_id=task.site_id,
                detail={"fence": task.fence},
            )
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
