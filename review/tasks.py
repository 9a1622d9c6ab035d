"""The bench's periodic work."""

from __future__ import annotations

from typing import Final

from celery import shared_task
from django.utils import timezone

from review import approvals, controls, deadlines

BATCH: Final = 200


@shared_task
def hold_overdue() -> None:
    """Hold units nobody judged in time, all of them; put away what nobody answers any more."""
    controls.close_forgotten(at=timezone.now())
    approvals.close_overtaken(at=timezone.now())
    while deadlines.hold_overdue(at=timezone.now(), limit=BATCH) == BATCH:
        pass
