"""What the beat starts."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from retraining import runs, triggers


@shared_task
def fire_triggers() -> None:
    """Request the runs whose triggers are met."""
    triggers.fire(at=timezone.now())


@shared_task
def advance_runs() -> None:
    """Take every open run and deployment as far as it goes."""
    runs.advance_all(at=timezone.now())
