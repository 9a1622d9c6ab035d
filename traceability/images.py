"""Images of captures: the original as evidence, the preview, and its short-lived address."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.urls import get_script_prefix
from django.utils.translation import gettext as _

from traceability import originals, previews, pyramids, rasters
from traceability.addresses import IMAGES
from traceability.gateways import object_store
from traceability.gateways.object_store import ObjectMissing
from traceability.models import Capture
from traceability.previews import Unfit
from traceability.refusals import Conflict, Invalid, Unavailable

# How long after its capture an image may still be on its way into the store.
LATE: Final = timedelta(minutes=10)


class PreviewPending(Unavailable):
    """The preview is being made; ask again in a second."""

    code = "preview_pending"


def address(capture: Capture, *, at: datetime) -> str:
    """Where a browser of this site finds the capture's preview, for the next 4 to 5 minutes."""
    return address_of(capture.uuid, at=at)


def address_of(capture: UUID, *, at: datetime) -> str:
    """The same for a capture of which only the identifier is at hand."""
    return f"{get_script_prefix()}images/{IMAGES.token(capture, at=at)}"


def read_token(token: str, *, at: datetime) -> UUID:
    """The capture an address names; Unknown when it is forged or has run out."""
    return IMAGES.read(token, at=at)


def preview_key(sha256: str) -> str:
    """Where the preview of the image with this hash is kept."""
    return f"previews/1/{sha256[:2]}/{sha256[2:4]}/{sha256}.jpg"


def preview(capture: Capture) -> bytes:
    """The preview's bytes (JPEG). Raises PreviewPending, or Conflict when it was refused."""
    if capture.preview == Capture.Preview.REFUSED:
        raise Conflict(capture.preview_refusal, code="image_refused")
    if capture.preview == Capture.Preview.READY:
        try:
            return object_store.datasets().read(preview_key(capture.sha256))
        except ObjectMissing as error:
            raise PreviewPending(_("The preview is being made again.")) from error
    raise PreviewPending(_("The preview is being made."))


def original(capture: Capture) -> bytes:
    """The stored bytes, proven to be those the event named.

    Raises ObjectMissing, Unfit, and TooLarge for what is shown by tiles alone.
    """
    return originals.read(capture)


def make_preview(*, capture_id: int, at: datetime) -> None:
    """Make the preview if it is not there; an unfit image is marked as refused, with the reason.

    The same image is decoded once, however many captures name it. Safe to repeat. Afterwards the
    capture says whether its image is to be cut into tiles.
    """
    capture = Capture.objects.get(pk=capture_id)
    if capture.preview == Capture.Preview.REFUSED:
        return
    try:
        facts = _made(capture)
    except ObjectMissing as error:
        if at - capture.captured_at >= LATE:
            refuse(capture_id=capture_id, sentence=error.sentence)
    except Invalid as error:
        refuse(capture_id=capture_id, sentence=error.sentence)
    else:
        # Somebody may have cut it since: what has its tiles does not wait for them again.
        wants_tiles = facts.pop("wants_tiles", False)
        shown = Capture.objects.filter(pk=capture_id).exclude(preview=Capture.Preview.REFUSED)
        if shown.update(preview=Capture.Preview.READY, **facts) and wants_tiles:
            pyramids.want(capture_id=capture_id)


def _made(capture: Capture) -> dict[str, Any]:
    """What is known of the image once its preview is there, by column; nothing of an ordinary one.

    Raises ObjectMissing or Unfit.
    """
    is_ordinary = originals.is_ordinary(capture)
    if pyramids.is_large(capture) or not is_ordinary:
        return {**_looked_at(capture), "learnable": is_ordinary}
    data = originals.read(capture)
    size = {"width": capture.width, "height": capture.height}
    if previews.check_header(data, **size):
        return _looked_at(capture)
    shelf, key = object_store.datasets(), preview_key(capture.sha256)
    if not shelf.exists(key):
        shelf.put(key, previews.render(data, **size), content_type=previews.MEDIA_TYPE)
    return {}


def _looked_at(capture: Capture) -> dict[str, Any]:
    """The same for a large or deep image, which never is in this process's memory."""
    shelf, key = object_store.datasets(), preview_key(capture.sha256)
    with originals.streamed(capture) as original:
        about = pyramids.about(capture.sha256)
        if about is not None and shelf.exists(key):
            if (about.width, about.height) != (capture.width, capture.height):
                raise Unfit(
                    _("The image has %(w)d x %(h)d pixels, the event says %(width)d x %(height)d.")
                    % {
                        "w": about.width,
                        "h": about.height,
                        "width": capture.width,
                        "height": capture.height,
                    }
                )
            return {
                "depth": about.bits,
                "window_low": about.low,
                "window_high": about.high,
                "tiles": Capture.Tiles.READY,
                "tile_levels": about.levels,
            }
        look = rasters.look(original, width=capture.width, height=capture.height)
    shelf.put(key, look.preview, content_type=previews.MEDIA_TYPE)
    facts: dict[str, Any] = {
        "depth": look.depth,
        "window_low": look.low,
        "window_high": look.high,
    }
    facts["wants_tiles"] = look.depth > 8 or pyramids.is_large(capture)
    return facts


def refuse(*, capture_id: int, sentence: str) -> None:
    """Mark a capture's image as not to be shown nor learnt from."""
    Capture.objects.filter(pk=capture_id).update(
        preview=Capture.Preview.REFUSED,
        preview_refusal=sentence[:300],
        tiles=Capture.Tiles.NONE,
        tile_levels=0,
    )


def leave_out(*, capture_id: int) -> None:
    """Mark a capture's image as too large to learn from; it is shown all the same."""
    Capture.objects.filter(pk=capture_id).update(learnable=False)


def pending(*, at: datetime, limit: int) -> list[int]:
    """Captures whose preview should have been there by now; the newest first.

    Large ones wait with their tiles, see `pyramids.next_waiting`.
    """
    return list(
        Capture.objects.filter(
            preview=Capture.Preview.PENDING, captured_at__lt=at - timedelta(seconds=10)
        )
        .exclude(tiles=Capture.Tiles.PENDING)
        .order_by("-id")
        .values_list("id", flat=True)[:limit]
    )
