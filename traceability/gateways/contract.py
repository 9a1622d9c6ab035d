"""What every object store does, whatever keeps the bytes."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from django.utils.translation import gettext as _

from traceability.refusals import Invalid, Unavailable, Unknown

KEY_BYTES = 1024
PART_BYTES = 255
RESERVED = ".loupe"
BINARY = "application/octet-stream"


class ObjectMissing(Unknown):
    """There is no object under this key."""

    code = "object_missing"

    def __init__(self, bucket: str, key: str) -> None:
        super().__init__(
            _("There is no object s3://%(bucket)s/%(key)s. It was never stored, or was removed.")
            % {"bucket": bucket, "key": key}
        )


class StoreUnavailable(Unavailable):
    """The store does not answer, is full, or refuses Loupe itself."""

    code = "store_unavailable"

    def __init__(self, bucket: str, why: object) -> None:
        super().__init__(
            _("The bucket %(bucket)s cannot be used: %(why)s") % {"bucket": bucket, "why": why}
        )


class KeyRefused(Invalid):
    """A key that could reach outside its bucket, or that not every store can hold."""

    code = "key_refused"

    def __init__(self, key: str, why: str) -> None:
        super().__init__(
            _("The object key %(key)r is refused: %(why)s") % {"key": key[:200], "why": why}
        )


class ObjectStore(Protocol):
    """One bucket. Keys are relative paths; every method may raise StoreUnavailable."""

    bucket: str

    def read(self, key: str) -> bytes:
        """The object's bytes; ObjectMissing when there is none."""

    def open(self, key: str) -> BinaryIO:
        """The object as a readable file, not held in memory; ObjectMissing when there is none."""

    def size(self, key: str) -> int:
        """Bytes of the object; ObjectMissing when there is none."""

    def exists(self, key: str) -> bool:
        """Whether there is an object under the key."""

    def put_if_absent(self, key: str, data: bytes, *, content_type: str = BINARY) -> bool:
        """Store unless something is there already (False). Of two racing writers one wins."""

    def put(self, key: str, data: bytes, *, content_type: str = BINARY) -> None:
        """Store, replacing what is there; a reader sees the old bytes or the new."""

    def read_tagged(self, key: str) -> tuple[bytes, str] | None:
        """Bytes and the tag `replace_if` compares; None when there is no object."""

    def replace_if(
        self, key: str, data: bytes, *, tag: str | None, content_type: str = BINARY
    ) -> bool:
        """Compare and swap: False when the object's tag is another (None: must not exist)."""

    def list(self, prefix: str) -> Iterator[str]:
        """Every key that starts with `prefix`, in order."""

    def path(self, key: str) -> Path | None:
        """The local file behind the object, when files back the store."""

    def address(self, key: str, *, seconds: int) -> str | None:
        """A signed address anybody may read the object from for `seconds`; None with files."""


def check_key(key: str) -> str:
    """The key itself, or KeyRefused when it could leave its bucket or fits no file system."""
    if not key or len(key.encode("utf-8", "replace")) > KEY_BYTES:
        raise KeyRefused(key, _("it must have 1 to %(most)d bytes.") % {"most": KEY_BYTES})
    if "\\" in key or any(unicodedata.category(char) in ("Cc", "Cs") for char in key):
        raise KeyRefused(key, _("it holds a backslash or a control character."))
    parts = key.split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise KeyRefused(key, _("it must not begin or end with / or hold empty, . or .. parts."))
    if any(len(part.encode()) > PART_BYTES for part in parts):
        raise KeyRefused(key, _("a part has more than %(most)d bytes.") % {"most": PART_BYTES})
    if parts[0] == RESERVED:
        raise KeyRefused(key, _("%(name)s/ is kept for the store itself.") % {"name": RESERVED})
    return key
