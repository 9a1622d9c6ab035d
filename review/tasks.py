"""The bench's periodic work."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from review import queue


@shared_task
def hold_overdue() -> None:
    """Hold units nobody judged in time."""
    queue.hold_overdue(at=timezone.now())
