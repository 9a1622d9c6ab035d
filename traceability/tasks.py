"""Previews, made beside the requests."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from traceability import images
from traceability.refusals import Unavailable

SWEPT = 200
CHUNK = 20


@shared_task(autoretry_for=(Unavailable,), retry_backoff=2, max_retries=5, time_limit=120)
def make_previews(capture_ids: list[int]) -> None:
    """The previews of these captures; those that are there already cost a look each."""
    for capture_id in capture_ids:
        images.make_preview(capture_id=capture_id, at=timezone.now())


@shared_task(ignore_result=True)
def sweep_previews() -> None:
    """Previews nobody made because something was killed in between."""
    waiting = images.pending(at=timezone.now(), limit=SWEPT)
    for start in range(0, len(waiting), CHUNK):
        make_previews.delay(waiting[start : start + CHUNK])
