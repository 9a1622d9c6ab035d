"""Previews, tiles and heat maps, made beside the requests."""

from __future__ import annotations

import logging
import time

from celery import shared_task
from django.utils import timezone

from traceability import heat_maps, images, pyramids
from traceability.models import Capture
from traceability.refusals import Unavailable, Unknown

log = logging.getLogger(__name__)

SWEPT = 200
CHUNK = 20
ENOUGH_S = 60


@shared_task(time_limit=300)
def make_previews(capture_ids: list[int]) -> None:
    """The previews of these captures, each on its own: what fails for one harms no other.

    Large images are left to a task of their own, so that none waits behind them.
    """
    until = time.monotonic() + ENOUGH_S
    for capture in Capture.objects.filter(pk__in=capture_ids).order_by("pk"):
        if time.monotonic() > until:
            # A store that answers too slowly for all of them; the sweep asks for the rest.
            return
        if pyramids.is_large(capture) and capture.preview == Capture.Preview.PENDING:
            pyramids.want(capture_id=capture.pk)
        else:
            _make_preview(capture.pk)
    _make_heat_maps(heat_maps.waiting(capture_ids=capture_ids, at=timezone.now()), until)
    if pyramids.are_wanted(capture_ids):
        make_large.delay()


def _make_preview(capture_id: int) -> None:
    try:
        images.make_preview(capture_id=capture_id, at=timezone.now())
    except Unavailable as reason:
        # Stays pending; the sweep asks for it again.
        log.warning("the preview of capture %d waits: %s", capture_id, reason.sentence)
    except Unknown as refusal:
        images.refuse(capture_id=capture_id, sentence=refusal.sentence)


def _make_heat_maps(prediction_ids: list[int], until: float) -> None:
    for prediction_id in prediction_ids:
        if time.monotonic() > until:
            return
        try:
            heat_maps.make(prediction_id=prediction_id, at=timezone.now())
        except Unavailable as reason:
            log.warning("the heat map of prediction %d waits: %s", prediction_id, reason.sentence)


@shared_task(time_limit=600)
def make_large() -> None:
    """Preview and tiles of the large and deep images that wait, the newest first.

    No more of these run at a time than there may; who comes too many leaves it to the others.
    """
    until, tried = time.monotonic() + ENOUGH_S, set[int]()
    while (capture_id := pyramids.next_waiting(at=timezone.now(), tried=tried)) is not None:
        if time.monotonic() > until:
            make_large.delay()
            return
        if not pyramids.begin(capture_id=capture_id, at=timezone.now()):
            return
        tried.add(capture_id)
        try:
            _make_preview(capture_id)
            pyramids.make_tiles(capture_id=capture_id, at=timezone.now())
        except Unavailable as reason:
            log.warning("the tiles of capture %d wait: %s", capture_id, reason.sentence)
        finally:
            pyramids.end(capture_id=capture_id)


@shared_task(ignore_result=True)
def sweep_previews() -> None:
    """Pictures nobody made because something was killed in between."""
    waiting = images.pending(at=timezone.now(), limit=SWEPT)
    for start in range(0, len(waiting), CHUNK):
        make_previews.delay(waiting[start : start + CHUNK])
    if pyramids.next_waiting(at=timezone.now()) is not None:
        make_large.delay()
    _make_heat_maps(heat_maps.waiting(at=timezone.now()), until=time.monotonic() + ENOUGH_S)
