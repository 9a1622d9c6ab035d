"""Large and deep images for tests, made in little memory and without any library but Pillow's."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

RAMP_SIDE: Final = 256
ROWS: Final = 64


def grey16_values(side: int = RAMP_SIDE) -> NDArray[np.uint16]:
    """Every grey from 0 to 65,535: pixel (x, y) of the 256 x 256 ramp is 256 y + x."""
    ramp = np.arange(RAMP_SIDE * RAMP_SIDE, dtype=np.uint16).reshape(RAMP_SIDE, RAMP_SIDE)
    times = max(1, side // RAMP_SIDE)
    return ramp.repeat(times, axis=0).repeat(times, axis=1)


def grey16_ramp(kind: str = "PNG", side: int = RAMP_SIDE) -> bytes:
    """The ramp as a 16-bit grey file (PNG or TIFF), each grey a square of side / 256 pixels."""
    written = io.BytesIO()
    Image.fromarray(grey16_values(side)).save(written, kind)
    return written.getvalue()


def grey16_xray(width: int = 900, height: int = 700, *, top: int = 4095) -> bytes:
    """A plate seen by X-rays: a step wedge with grain and three faint pores, as 16-bit PNG."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    steps = 0.25 + 0.5 * (x * 6 // width) / 5
    grain = np.random.default_rng(7).normal(0.0, 0.004, (height, width))
    for at, (across, radius) in enumerate(((0.2, 9), (0.55, 14), (0.8, 6))):
        distance = np.hypot(x - across * width, y - (0.3 + 0.2 * at) * height)
        steps = steps + 0.03 * (distance < radius)
    values = np.clip((steps + grain) * top, 0, top).astype(np.uint16)
    written = io.BytesIO()
    Image.fromarray(values).save(written, "PNG")
    return written.getvalue()


def large_tiff(path: Path, side: int, *, height: int = 0, bits: int = 8) -> None:
    """An uncompressed grey TIFF of side x side pixels in strips, written row by row.

    It looks like a machined plate: a slow gradient, a fine pattern, and a bright mark of 40 x 40
    pixels with its corner in the middle, so that tests can tell where they are.
    """
    rows = height or side
    sample = bits // 8
    strips = -(-rows // ROWS)
    sizes = [side * sample * min(ROWS, rows - n * ROWS) for n in range(strips)]
    with path.open("wb") as file:
        first = _header(file, side, rows, bits, sizes)
        assert file.tell() == first
        for number in range(strips):
            file.write(_strip(number * ROWS, min(ROWS, rows - number * ROWS), side, rows, bits))


def _header(file: io.BufferedWriter, width: int, height: int, bits: int, sizes: list[int]) -> int:
    """Header and directory before the pixels; gives back where those begin."""
    count = len(sizes)
    tags = 9
    lists = 8 + 2 + 12 * tags + 4
    first = lists + 8 * count
    offsets = np.cumsum([first, *sizes[:-1]])
    in_place = count == 1
    entries = (
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, bits),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, count, int(offsets[0]) if in_place else lists),
        (277, 3, 1, 1),
        (278, 4, 1, ROWS),
        (279, 4, count, sizes[0] if in_place else lists + 4 * count),
    )
    file.write(struct.pack("<2sHIH", b"II", 42, 8, tags))
    file.writelines(
        struct.pack("<HHII", tag, kind, many, value) for tag, kind, many, value in entries
    )
    file.write(struct.pack("<I", 0))
    file.write(struct.pack(f"<{count}I", *(int(offset) for offset in offsets)))
    file.write(struct.pack(f"<{count}I", *sizes))
    return first


def _strip(top: int, rows: int, width: int, height: int, bits: int) -> bytes:
    y = np.arange(top, top + rows, dtype=np.float32)[:, None]
    x = np.arange(width, dtype=np.float32)[None, :]
    values = 70 + 50 * (x / width) + 40 * (y / height)
    values = values + ((x // 16 + y // 16) % 4) * 6 + (x * 7 + y * 13) % 5
    mark = (abs(x - width // 2 - 19.5) < 20) & (abs(y - height // 2 - 19.5) < 20)
    values = np.where(mark, 250, values)
    if bits == 16:
        return (values * 200).astype("<u2").tobytes()
    return values.astype(np.uint8).tobytes()
