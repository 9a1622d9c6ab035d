"""Previews, made beside the requests."""

from __future__ import annotations

import logging
import time

from celery import shared_task
from django.utils import timezone

from traceability import images
from traceability.refusals import Unavailable, Unknown

log = logging.getLogger(__name__)

SWEPT = 200
CHUNK = 20
ENOUGH_S = 60


@shared_task(time_limit=120)
def make_previews(capture_ids: list[int]) -> None:
    """The previews of these captures, each on its own: what fails for one harms no other."""
    until = time.monotonic() + ENOUGH_S
    for capture_id in capture_ids:
        if time.monotonic() > until:
            # A store that answers too slowly for all of them; the sweep asks for the rest.
            return
        try:
            images.make_preview(capture_id=capture_id, at=timezone.now())
        except Unavailable as reason:
            # Stays pending; the sweep asks for it again.
            log.warning("the preview of capture %d waits: %s", capture_id, reason.sentence)
        except Unknown as refusal:
            images.refuse(capture_id=capture_id, sentence=refusal.sentence)


@shared_task(ignore_result=True)
def sweep_previews() -> None:
    """Previews nobody made because something was killed in between."""
    waiting = images.pending(at=timezone.now(), limit=SWEPT)
    for start in range(0, len(waiting), CHUNK):
        make_previews.delay(waiting[start : start + CHUNK])
