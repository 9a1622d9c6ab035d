"""The bench's periodic work."""

from __future__ import annotations

from typing import Final

from celery import shared_task
from django.utils import timezone

from review import queue

BATCH: Final = 200


@shared_task
def hold_overdue() -> None:
    """Hold units nobody judged in time, all of them."""
    while queue.hold_overdue(at=timezone.now(), limit=BATCH) == BATCH:
        pass
