"""Images for tests, honest ones and hostile ones."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

WIDTH, HEIGHT = 64, 48
SECRET = b"<script>alert('secret')</script>"


def gradient(width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """Every pixel tells where it is."""
    x = np.linspace(0, 255, width, dtype=np.uint8)[None, :].repeat(height, 0)
    y = np.linspace(0, 255, height, dtype=np.uint8)[:, None].repeat(width, 1)
    return Image.fromarray(np.dstack([x, y, np.full_like(x, 90)]))


def written(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The image as a file's bytes."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_bomb(width: int, height: int) -> bytes:
    """A small PNG that says it has that many grey pixels."""
    body = zlib.compress(bytes((width + 1) * 8), 9)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", body)
        + _chunk(b"IEND", b"")
    )


def with_gps_and_comment() -> bytes:
    """A JPEG that carries EXIF with GPS, a comment and an ICC profile."""
    exif = Image.Exif()
    exif[0x010F] = SECRET.decode()
    exif.get_ifd(0x8825)[1] = "N"
    return written(gradient(), "JPEG", exif=exif, comment=SECRET, icc_profile=b"profile" + SECRET)


def png_with_text() -> bytes:
    """A PNG with a text chunk and an ICC profile."""
    body = written(gradient(), "PNG", icc_profile=b"profile" + SECRET)
    return body[:33] + _chunk(b"tEXt", b"Comment\x00" + SECRET) + body[33:]


def many_frames(kind: str, count: int = 3) -> bytes:
    """A file with several images."""
    frames = [gradient().rotate(n) for n in range(1, count)]
    return written(gradient(), kind, save_all=True, append_images=frames)


def quarters(width: int = 700, height: int = 1100) -> NDArray[np.uint8]:
    """Four grey quarters and a white corner: no two ways to turn it look alike."""
    upright = np.zeros((height, width), dtype=np.uint8)
    upright[: height // 2, : width // 2], upright[: height // 2, width // 2 :] = 40, 90
    upright[height // 2 :, : width // 2], upright[height // 2 :, width // 2 :] = 140, 190
    upright[: height // 16, : width // 16] = 255
    return upright


def lying(upright: NDArray[Any], kind: str, orientation: int) -> bytes:
    """The file of a camera that stored the pixels some other way round, and says so by EXIF."""
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    return written(Image.fromarray(np.ascontiguousarray(stored)), kind, exif=exif)
