"""The way to `traceability.cutting`: starts it on a file, and says what it found in words."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from django.conf import settings
from django.utils.translation import gettext as _
from PIL import Image

from traceability.decoders import FORMATS
from traceability.previews import Unfit

log = logging.getLogger(__name__)

ROOT: Final = Path(__file__).resolve().parents[1]
# Both together stay below the time limit of the task that asks for them.
LOOK_S: Final = 150
CUT_S: Final = 300
# All that Python and libvips need to know to start.
TOLD: Final = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH")


@dataclass(frozen=True, slots=True)
class Look:
    """The preview, and how deep the image is: 8, 12 or 16 bits, and its 1st and 99th percentile."""

    preview: bytes
    depth: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile as it was cut: JPEG, or PNG with 16 bits."""

    level: int
    column: int
    row: int
    data: bytes


def look(original: IO[bytes], *, width: int, height: int) -> Look:
    """The preview of a large or deep image. Raises Unfit."""
    with tempfile.TemporaryFile() as written:
        said = _asked("look", original, written, width=width, height=height, within_s=LOOK_S)
        written.seek(0)
        return Look(written.read(), said["depth"], said["low"], said["high"])


@contextmanager
def cut(original: IO[bytes], *, width: int, height: int) -> Iterator[Iterator[Tile]]:
    """All tiles of all levels, read one after another from a file. Raises Unfit."""
    with tempfile.TemporaryFile() as written:
        _asked("cut", original, written, width=width, height=height, within_s=CUT_S)
        with zipfile.ZipFile(written) as archive:
            yield _tiles(archive)


def grey16(data: bytes) -> bytes:
    """A 16-bit PNG as an RGB PNG with the high byte in red and the low one in green.

    A browser's canvas has 8 bits a channel: so all 65,536 levels arrive.
    """
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        values = np.asarray(image).astype(np.uint16)
    packed = np.zeros((*values.shape, 3), dtype=np.uint8)
    packed[..., 0], packed[..., 1] = values >> 8, values & 255
    written = io.BytesIO()
    Image.fromarray(packed).save(written, "PNG", compress_level=6)
    return written.getvalue()


def _tiles(archive: zipfile.ZipFile) -> Iterator[Tile]:
    for entry in archive.infolist():
        where = Path(entry.filename)
        if where.suffix in (".jpg", ".png"):
            column, _sep, row = where.stem.partition("_")
            yield Tile(int(where.parent.name), int(column), int(row), archive.read(entry))


def surroundings(scratch: str) -> dict[str, str]:
    """The environment of the decoder: no key, password or address of ours, and a place of its own
    for what does not fit into memory."""
    told = {name: os.environ[name] for name in TOLD if name in os.environ}
    return {**told, "TMPDIR": scratch}


def _asked(
    what: str,
    original: IO[bytes],
    written: IO[bytes],
    *,
    width: int,
    height: int,
    within_s: float,
) -> dict[str, Any]:
    environment = settings.LOUPE
    numbers = {
        "source": original.fileno(),
        "target": written.fileno(),
        "width": width,
        "height": height,
        "most-pixels": environment.largest_image_mp * 1_000_000,
        "memory-mb": environment.image_memory_mb,
    }
    arguments = [text for name, value in numbers.items() for text in (f"--{name}", str(value))]
    # Its position is the file's own: the other process reads on where this one has stopped.
    original.seek(0)
    try:
        # What it leaves behind when it is killed goes with the directory.
        with tempfile.TemporaryDirectory(prefix="loupe-") as scratch:
            ran = subprocess.run(
                [sys.executable, "-m", "traceability.cutting", what, *arguments],
                cwd=ROOT,
                env=surroundings(scratch),
                pass_fds=(original.fileno(), written.fileno()),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=within_s,
                check=False,
            )
    except subprocess.TimeoutExpired as error:
        raise Unfit(
            _("The image takes longer than %(seconds)d s to decode. Send it with less compression.")
            % {"seconds": within_s}
        ) from error
    if ran.returncode != 0:
        log.warning("decoding ended with %d: %s", ran.returncode, ran.stderr[-2000:])
        raise Unfit(
            _("The image cannot be decoded within %(most)d MB of memory.")
            % {"most": environment.image_memory_mb}
        )
    said: dict[str, Any] = json.loads(ran.stdout)
    if "flaw" in said:
        if "why" in said:
            log.info("an image is damaged: %s", said["why"])
        raise Unfit(_sentence(said))
    return said


def _sentence(said: dict[str, Any]) -> str:
    sentences = {
        "pixels": _("The image has more than %(most)d megapixels."),
        "frames": _("The file holds several images; send one capture in each file."),
        "size": _("The image has %(w)d x %(h)d pixels, the event says %(width)d x %(height)d."),
        "whole": _(
            "An image of this kind may have %(most)d megapixels. Send larger ones as TIFF, "
            "baseline JPEG or PNG that is not interlaced."
        ),
        "layout": _("The TIFF has tiles of more than 4096 x 4096 pixels. Send smaller tiles."),
        "kind": _("This is no image of a kind that is taken: %(formats)s."),
        "damaged": _("The image is damaged and cannot be decoded."),
    }
    return sentences[said["flaw"]] % {**said, "formats": ", ".join(FORMATS)}
