"""Images of captures: the original as evidence, the preview, and its short-lived address."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.core.signing import BadSignature, Signer
from django.urls import get_script_prefix
from django.utils.translation import gettext as _

from traceability import previews
from traceability.gateways import object_store
from traceability.gateways.object_store import ObjectMissing
from traceability.models import Capture
from traceability.previews import Unfit
from traceability.refusals import Conflict, Invalid, Unavailable, Unknown

# An address is made for the minute and holds for five: a prefetched image and the one that is
# shown have the same address, and with it the same place in the browser's cache.
MINUTE: Final = 60
HOLDS_S: Final = 300
# How long after its capture an image may still be on its way into the store.
LATE: Final = timedelta(minutes=10)
_SIGNER: Final = "traceability.images"


class PreviewPending(Unavailable):
    """The preview is being made; ask again in a second."""

    code = "preview_pending"


def address(capture: Capture, *, at: datetime) -> str:
    """Where a browser of this site finds the capture's preview, for the next 4 to 5 minutes."""
    return address_of(capture.uuid, at=at)


def address_of(capture: UUID, *, at: datetime) -> str:
    """The same for a capture of which only the identifier is at hand."""
    until = int(at.timestamp()) // MINUTE * MINUTE + HOLDS_S
    token = Signer(salt=_SIGNER, sep=".").sign(f"{capture.hex}.{until:x}")
    return f"{get_script_prefix()}images/{token}"


def read_token(token: str, *, at: datetime) -> UUID:
    """The capture an address names; Unknown when it is forged or has run out."""
    try:
        name, until = Signer(salt=_SIGNER, sep=".").unsign(token).split(".")
        ends, capture = int(until, 16), UUID(hex=name)
    except (BadSignature, ValueError) as error:
        raise Unknown(_("This image address is not one of Loupe's.")) from error
    if at.timestamp() >= ends:
        raise Unknown(_("This image address has run out. Load the page again."))
    return capture


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
    """The stored bytes, proven to be those the event named. Raises ObjectMissing or Unfit."""
    bucket = object_store.store(capture.bucket)
    previews.check_bytes(bucket.size(capture.key))
    data = bucket.read(capture.key)
    previews.check_bytes(len(data))
    if hashlib.sha256(data).hexdigest() != capture.sha256:
        raise Unfit(_("The stored image is not the one that was captured: its SHA-256 is another."))
    return data


def make_preview(*, capture_id: int, at: datetime) -> None:
    """Make the preview if it is not there; an unfit image is marked as refused, with the reason.

    The same image is decoded once, however many captures name it. Safe to repeat.
    """
    capture = Capture.objects.get(pk=capture_id)
    if capture.preview == Capture.Preview.REFUSED:
        return
    shelf, key = object_store.datasets(), preview_key(capture.sha256)
    size = {"width": capture.width, "height": capture.height}
    try:
        data = original(capture)
        if shelf.exists(key):
            previews.check_header(data, **size)
        else:
            shelf.put(key, previews.render(data, **size), content_type=previews.MEDIA_TYPE)
    except ObjectMissing as error:
        if at - capture.captured_at >= LATE:
            refuse(capture_id=capture_id, sentence=error.sentence)
    except Invalid as error:
        refuse(capture_id=capture_id, sentence=error.sentence)
    else:
        Capture.objects.filter(pk=capture_id, preview=Capture.Preview.PENDING).update(
            preview=Capture.Preview.READY
        )


def refuse(*, capture_id: int, sentence: str) -> None:
    """Mark a capture's image as not to be shown nor learnt from."""
    Capture.objects.filter(pk=capture_id).update(
        preview=Capture.Preview.REFUSED, preview_refusal=sentence[:300]
    )


def pending(*, at: datetime, limit: int) -> list[int]:
    """Captures whose preview should have been there by now; the newest first."""
    return list(
        Capture.objects.filter(
            preview=Capture.Preview.PENDING, captured_at__lt=at - timedelta(seconds=10)
        )
        .order_by("-id")
        .values_list("id", flat=True)[:limit]
    )
