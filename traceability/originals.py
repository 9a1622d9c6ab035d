"""The stored bytes of a capture, proven to be those the event named."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Final

from django.conf import settings
from django.utils.translation import gettext as _

from traceability import previews
from traceability.gateways import object_store
from traceability.models import Capture
from traceability.previews import Unfit

PIECE: Final = 2**20


def read(capture: Capture) -> bytes:
    """All of an image of ordinary size. Raises ObjectMissing, Unfit, and TooLarge for others."""
    previews.check_pixels(capture.width, capture.height)
    bucket = object_store.store(capture.bucket)
    previews.check_bytes(bucket.size(capture.key))
    data = bucket.read(capture.key)
    previews.check_bytes(len(data))
    _check_hash(hashlib.sha256(data).hexdigest(), capture)
    return data


def is_ordinary(capture: Capture) -> bool:
    """Whether `read` takes it. Raises ObjectMissing."""
    if capture.width * capture.height > previews.MOST_PIXELS:
        return False
    return object_store.store(capture.bucket).size(capture.key) <= previews.MOST_BYTES


@contextmanager
def streamed(capture: Capture) -> Iterator[IO[bytes]]:
    """The image in a file without a name, whatever its size, never whole in memory.

    A copy: what was proven cannot be changed under the decoder. Raises ObjectMissing or Unfit.
    """
    bucket = object_store.store(capture.bucket)
    _check_size(bucket.size(capture.key))
    digest, taken = hashlib.sha256(), 0
    with tempfile.TemporaryFile() as copy:
        with bucket.open(capture.key) as stream:
            while piece := stream.read(PIECE):
                taken += len(piece)
                _check_size(taken)
                digest.update(piece)
                copy.write(piece)
        _check_hash(digest.hexdigest(), capture)
        copy.flush()
        copy.seek(0)
        yield copy


def _check_size(taken: int) -> None:
    most = settings.LOUPE.largest_image_mb
    if taken > most * 2**20:
        raise Unfit(
            _("The image has %(size).0f MB; at most %(most)d MB are taken.")
            % {"size": taken / 2**20, "most": most}
        )


def _check_hash(found: str, capture: Capture) -> None:
    if found != capture.sha256:
        raise Unfit(_("The stored image is not the one that was captured: its SHA-256 is another."))
