"""Tiles of large and of 12- or 16-bit images: cut once, kept beside the previews.

Level 0 is the coarsest and fits one tile, each further one has twice the width and height, the
last one is the image itself. `about.json` is written last: without it a pyramid is not there.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q
from django.urls import get_script_prefix
from django.utils.translation import gettext as _

from traceability import originals, rasters
from traceability.addresses import TILES
from traceability.cutting import TILE
from traceability.decoders import LONG_SIDE
from traceability.gateways import object_store
from traceability.gateways.object_store import ObjectMissing, ObjectStore
from traceability.models import Capture
from traceability.rasters import Tile
from traceability.refusals import Invalid, Unavailable, Unknown

log = logging.getLogger(__name__)

# More pixels than this are shown by tiles.
LARGE_PIXELS: Final = 16_000_000
# Longer than the task that makes them may run.
GIVEN_UP: Final = timedelta(minutes=11)
MOST_KILLED: Final = 3
LATE: Final = timedelta(minutes=10)
WRITERS: Final = 8
WAITING: Final = 32
_LOCK: Final = 0x10_0BE_71_1E5
_KINDS: Final = {"jpeg": ("jpg", "image/jpeg"), "grey16": ("png", "image/png")}


class TilesPending(Unavailable):
    """The tiles are being made; ask again in a second."""

    code = "tiles_pending"


@dataclass(frozen=True, slots=True)
class About:
    """What a pyramid is like; `low` and `high` are the window a grey one is first shown in."""

    width: int
    height: int
    size: int
    levels: int
    format: str
    bits: int
    low: int
    high: int


def is_large(capture: Capture) -> bool:
    """Whether its pixels alone make tiles of it."""
    return capture.width * capture.height > LARGE_PIXELS


def levels_of(width: int, height: int) -> int:
    """Levels until the image fits one tile."""
    levels = 1
    while max(width, height) > TILE:
        width, height = -(-width // 2), -(-height // 2)
        levels += 1
    return levels


def shown(
    name: UUID, *, depth: int, levels: int, low: int, high: int, at: datetime
) -> dict[str, Any]:
    """A ready pyramid as a view of the API has it."""
    return {
        "url": f"{get_script_prefix()}tiles/{TILES.token(name, at=at)}",
        "size": TILE,
        "levels": levels,
        "format": _format(depth),
        "bits": depth,
        "low": low,
        "high": high,
    }


def shown_of(capture: Capture, *, at: datetime) -> dict[str, Any] | None:
    """The same for a capture; None while it has no tiles, or needs none."""
    if capture.tiles != Capture.Tiles.READY:
        return None
    return shown(
        capture.uuid,
        depth=capture.depth,
        levels=capture.tile_levels,
        low=capture.window_low,
        high=capture.window_high,
        at=at,
    )


def tile(capture: Capture, *, level: int, column: int, row: int) -> tuple[bytes, str]:
    """A tile and its media type. Raises TilesPending, or Unknown for one that is not there."""
    if capture.tiles == Capture.Tiles.PENDING:
        raise TilesPending(_("The tiles are being made."))
    halvings = capture.tile_levels - 1 - level
    if capture.tiles != Capture.Tiles.READY or halvings < 0:
        raise Unknown(_("The image has no such tile."))
    across = -(-capture.width // (TILE << halvings))
    down = -(-capture.height // (TILE << halvings))
    if column >= across or row >= down:
        raise Unknown(_("The image has no such tile."))
    ending, media_type = _KINDS[_format(capture.depth)]
    key = f"{_folder(capture.sha256)}/{level}/{column}_{row}.{ending}"
    try:
        return object_store.datasets().read(key), media_type
    except ObjectMissing as error:
        _lost(capture)
        raise TilesPending(_("The tiles are being made again.")) from error


def _lost(capture: Capture) -> None:
    """Tiles may be deleted: without its note the pyramid is cut anew, whatever is left of it."""
    object_store.datasets().put(_about_key(capture.sha256), b"null")
    Capture.objects.filter(pk=capture.pk, tiles=Capture.Tiles.READY).update(
        tiles=Capture.Tiles.PENDING, tile_levels=0
    )


def about(sha256: str) -> About | None:
    """The pyramid of the image with this hash; None while it is not whole."""
    try:
        said = json.loads(object_store.datasets().read(_about_key(sha256)))
    except ObjectMissing:
        return None
    return About(**said) if said else None


def make_tiles(*, capture_id: int, at: datetime) -> None:
    """Cut the image if that was not done yet; safe to repeat. Raises Unavailable."""
    capture = Capture.objects.get(pk=capture_id)
    if capture.tiles != Capture.Tiles.PENDING:
        return
    try:
        with originals.streamed(capture) as original:
            made = about(capture.sha256)
            if made is None:
                with rasters.cut(original, width=capture.width, height=capture.height) as cut:
                    made = _kept(capture, cut)
    except ObjectMissing as error:
        if at - capture.captured_at >= LATE:
            _refuse(capture, error.sentence)
    except Invalid as error:
        _refuse(capture, error.sentence)
    else:
        Capture.objects.filter(pk=capture_id).update(
            tiles=Capture.Tiles.READY, tile_levels=made.levels
        )


def _kept(capture: Capture, cut: Iterator[Tile]) -> About:
    """Every tile stored, and after the last of them the note that the pyramid is whole."""
    store, folder = object_store.datasets(), _folder(capture.sha256)
    kind = _format(capture.depth)
    with ThreadPoolExecutor(WRITERS, thread_name_prefix="tiles") as pool:
        running: set[Future[None]] = set()
        for one in cut:
            if len(running) >= WAITING:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for finished in done:
                    finished.result()
            running.add(pool.submit(_put, store, folder, kind, one))
        for left in running:
            left.result()
    made = About(
        width=capture.width,
        height=capture.height,
        size=TILE,
        levels=levels_of(capture.width, capture.height),
        format=kind,
        bits=capture.depth,
        low=capture.window_low,
        high=capture.window_high,
    )
    about_it = json.dumps(asdict(made)).encode()
    store.put(_about_key(capture.sha256), about_it, content_type="application/json")
    return made


def _put(store: ObjectStore, folder: str, kind: str, one: Tile) -> None:
    ending, media_type = _KINDS[kind]
    data = rasters.grey16(one.data) if kind == "grey16" else one.data
    key = f"{folder}/{one.level}/{one.column}_{one.row}.{ending}"
    store.put(key, data, content_type=media_type)


def _refuse(capture: Capture, sentence: str) -> None:
    """Without tiles the preview stands for the image."""
    log.warning("no tiles of capture %d: %s", capture.pk, sentence)
    Capture.objects.filter(pk=capture.pk).update(tiles=Capture.Tiles.REFUSED)


def _give_up(capture: Capture) -> None:
    sentence = _("The image takes longer to be made ready than it may.")
    _refuse(capture, sentence)
    Capture.objects.filter(pk=capture.pk, preview=Capture.Preview.PENDING).update(
        preview=Capture.Preview.REFUSED, preview_refusal=sentence
    )


def begin(*, capture_id: int, at: datetime) -> bool:
    """Whether this worker is to make the pictures of a large image now; others wait their turn.

    Whoever was told so calls `end`; who did not (a worker that was killed) is given up. An image
    that has outlived MOST_KILLED workers is left without tiles: it would do so for ever.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        unmade = Capture.objects.filter(tiles=Capture.Tiles.PENDING)
        held = set(unmade.filter(making_since__gt=at - GIVEN_UP).values_list("id", flat=True))
        if capture_id in held or len(held) >= settings.LOUPE.large_images_at_once:
            return False
        capture = unmade.filter(pk=capture_id).first()
        if capture is None:
            return False
        killed = capture.making_killed + (capture.making_since is not None)
        if killed >= MOST_KILLED:
            _give_up(capture)
            return False
        return unmade.filter(pk=capture_id).update(making_since=at, making_killed=killed) == 1


def end(*, capture_id: int) -> None:
    """The other half of `begin`."""
    Capture.objects.filter(pk=capture_id).update(making_since=None, making_killed=0)


def want(*, capture_id: int) -> None:
    """Note that the image is to be cut into tiles."""
    Capture.objects.filter(pk=capture_id, tiles=Capture.Tiles.NONE).update(
        tiles=Capture.Tiles.PENDING
    )


def want_sharper(capture: Capture) -> bool:
    """Note that somebody looks closer than the preview can show; whether tiles come of it.

    Most images are never looked at so closely: those in between are cut when they are.
    """
    if max(capture.width, capture.height) <= LONG_SIDE or capture.tiles != Capture.Tiles.NONE:
        return False
    if capture.preview != Capture.Preview.READY:
        return False
    want(capture_id=capture.pk)
    capture.tiles = Capture.Tiles.PENDING
    return True


def are_wanted(capture_ids: Collection[int]) -> bool:
    """Whether any of these images is to be cut."""
    return Capture.objects.filter(pk__in=capture_ids, tiles=Capture.Tiles.PENDING).exists()


def next_waiting(*, at: datetime, tried: Collection[int] = ()) -> int | None:
    """The newest image whose tiles nobody makes, but for those that were tried already."""
    unmade = Capture.objects.filter(tiles=Capture.Tiles.PENDING).exclude(pk__in=tried)
    free = unmade.filter(Q(making_since=None) | Q(making_since__lte=at - GIVEN_UP))
    return free.order_by("-id").values_list("id", flat=True).first()


def _format(depth: int) -> str:
    return "grey16" if depth > 8 else "jpeg"


def _folder(sha256: str) -> str:
    return f"pyramids/1/{sha256[:2]}/{sha256[2:4]}/{sha256}"


def _about_key(sha256: str) -> str:
    return f"{_folder(sha256)}/about.json"
