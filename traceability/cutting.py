"""Large and deep images looked at and cut into tiles, in a process of its own.

Foreign files meet the decoders here: under a limit of memory that is the kernel's, and without
anything of Loupe in reach. `traceability.rasters` starts it, and kills it when it takes too long.
What is wrong with a file is printed as a flaw; the sentence about it is made by who asked.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyvips
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from traceability.decoders import BROKEN, FORMATS, LONG_SIDE

LOADERS: Final = ("Jpeg", "Png", "Tiff", "Webp")
TILE: Final = 512
PREVIEW_QUALITY: Final = 90
TILE_QUALITY: Final = 85
# These decoders hold the whole picture at once; more than this does not fit beside everything else.
MOST_AT_ONCE: Final = 50_000_000
MOST_TIFF_TILE: Final = 2**24
THREADS: Final = 2
MOST_CPU_S: Final = 900
ORIENTATION: Final = 0x0112
BITS: Final = 258
TIFF_TILE: Final = (322, 323)
_BROKEN: Final = (pyvips.Error, *BROKEN)


class Flaw(Exception):
    """Why an image is not taken; `values` go into the sentence."""

    def __init__(self, code: str, **values: int) -> None:
        super().__init__(code)
        self.code = code
        self.values = values


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself; `width` and `height` upright."""

    width: int
    height: int
    orientation: int
    is_jpeg: bool
    # Not for libvips: decoded by Pillow, whole.
    is_foreign: bool


def main() -> int:
    """Look at or cut the file behind one descriptor; the result goes into another."""
    asked = _arguments()
    limit = asked.memory_mb * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    # Who started it may have been killed, and then nobody else ends it.
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_CPU_S, MOST_CPU_S))
    Image.MAX_IMAGE_PIXELS = None
    pyvips.cache_set_max(0)
    pyvips.concurrency_set(THREADS)
    pyvips.operation_block_set("VipsForeignLoad", state=True)
    for name in LOADERS:
        pyvips.operation_block_set(f"VipsForeignLoad{name}", state=False)
    path = Path(f"/dev/fd/{asked.source}")
    target = pyvips.Target.new_to_descriptor(asked.target)
    try:
        header = _header(path, asked)
        said = (_look if asked.what == "look" else _cut)(path, header, target)
    except Flaw as flaw:
        said = {"flaw": flaw.code, **flaw.values}
    except UnidentifiedImageError:
        said = {"flaw": "kind"}
    except _BROKEN as error:
        said = {"flaw": "damaged", "why": str(error)[:500]}
    sys.stdout.write(json.dumps(said))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("look", "cut"))
    for name in ("source", "target", "width", "height", "most-pixels", "memory-mb"):
        parser.add_argument(f"--{name}", type=int, required=True)
    return parser.parse_args()


def _header(path: Path, asked: argparse.Namespace) -> Header:
    """Decodes nothing. Raises Flaw for what is not one image of the size that was asked for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > asked.most_pixels:
                raise Flaw("pixels", most=asked.most_pixels // 1_000_000)
            if _has_second_frame(image):
                raise Flaw("frames")
            return _read(image, width=asked.width, height=asked.height)


def _read(image: Image.Image, *, width: int, height: int) -> Header:
    orientation = int(image.getexif().get(ORIENTATION, 1))
    kind = image.format
    # Of a TIFF Pillow gives the upright size.
    is_turned = orientation in (5, 6, 7, 8) and kind != "TIFF"
    there = image.size[::-1] if is_turned else image.size
    if there != (width, height):
        raise Flaw("size", w=there[0], h=there[1], width=width, height=height)
    tags: Any = getattr(image, "tag_v2", {})
    is_foreign = kind == "BMP" or 12 in tags.get(BITS, ())
    is_whole = is_foreign or kind == "WEBP"
    is_whole = is_whole or bool(image.info.get("progressive") or image.info.get("interlace"))
    if is_whole and width * height > MOST_AT_ONCE:
        raise Flaw("whole", most=MOST_AT_ONCE // 1_000_000)
    across, down = (int(tags.get(tag, 1)) for tag in TIFF_TILE)
    if across * down > MOST_TIFF_TILE:
        raise Flaw("layout")
    return Header(width, height, orientation, kind in ("JPEG", "MPO"), is_foreign)


def _has_second_frame(image: Image.Image) -> bool:
    try:
        image.seek(1)
    except EOFError:
        image.seek(0)
        return False
    return True


def _opened(path: Path, header: Header, *, access: str = "sequential") -> pyvips.Image:
    """The pixels as they are stored: one or three bands, not yet turned upright."""
    if header.is_foreign:
        image = _by_pillow(path)
    else:
        image = pyvips.Image.new_from_file(str(path), access=access, fail_on="error")
    if image.interpretation == "cmyk":
        return image.icc_transform("srgb") if _has_profile(image) else image.colourspace("srgb")
    bands = 3 if image.bands >= 3 else 1
    image = image.extract_band(0, n=bands) if image.bands != bands else image
    if image.format == "ushort" and bands == 1:
        return image.copy(interpretation="grey16")
    return image


def _has_profile(image: pyvips.Image) -> bool:
    return bool(image.get_typeof("icc-profile-data"))


def _by_pillow(path: Path) -> pyvips.Image:
    with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
        image.load()
        plain = image if image.mode.startswith("I;16") else image.convert("RGB")
        pixels = np.asarray(plain)
    return pyvips.Image.new_from_array(pixels.astype(pixels.dtype.newbyteorder("=")))


def _is_deep(image: pyvips.Image) -> bool:
    return bool(image.format == "ushort" and image.bands == 1)


def _small(path: Path, header: Header) -> pyvips.Image:
    """At most 2048 pixels a side, in memory, as deep as it is stored, not turned."""
    image = _opened(path, header)
    across = min(1.0, LONG_SIDE / max(image.width, image.height))
    down = max(across, 1 / image.height)
    if across < 1:
        image = image.resize(max(across, 1 / image.width), vscale=down)
    return image.copy_memory()


def _look(path: Path, header: Header, target: pyvips.Target) -> dict[str, Any]:
    """The preview into the target; of a deep image what there is in it, too."""
    image = _opened(path, header)
    if _is_deep(image):
        depth, low, high = _levels(image)
        small = _upright(_stretched(_small(path, header), low, high), header)
    else:
        depth, low, high = 8, 0, 255
        small = _shown(path, header)
    small.jpegsave_target(target, Q=PREVIEW_QUALITY, subsample_mode="off", keep="none")
    return {"depth": depth, "low": low, "high": high}


def _shown(path: Path, header: Header) -> pyvips.Image:
    if header.is_jpeg and not header.is_foreign:
        # Decoded at a fraction of its size, which is most of the time on large images.
        small = pyvips.Image.thumbnail(
            str(path), LONG_SIDE, height=LONG_SIDE, size="down", no_rotate=True, fail_on="error"
        )
        return _upright(small.copy_memory(), header)
    return _upright(_eight_bit(_small(path, header), path, header), header)


def _upright(image: pyvips.Image, header: Header) -> pyvips.Image:
    """Turned by what was read before: a tag is lost on some of the ways here."""
    turned = image.copy()
    turned.set_type(pyvips.GValue.gint_type, "orientation", header.orientation)
    return turned.autorot()


def _levels(image: pyvips.Image) -> tuple[int, int, int]:
    """How many bits are used (12 or 16), and the 1st and 99th percentile of all pixels."""
    counts: NDArray[np.int64] = image.hist_find().numpy().reshape(-1).astype(np.int64)
    there = np.flatnonzero(counts)
    running = np.cumsum(counts)
    low, high = (int(np.searchsorted(running, share * running[-1])) for share in (0.01, 0.99))
    if high <= low:
        low, high = int(there[0]), int(there[-1])
    if high <= low:
        low, high = max(0, low - 1), max(1, high)
    return (12 if there[-1] < 4096 else 16), low, high


def _stretched(image: pyvips.Image, low: float, high: float) -> pyvips.Image:
    factor = 255.0 / (high - low)
    return image.linear(factor, -low * factor).cast("uchar").copy(interpretation="b-w")


def _eight_bit(image: pyvips.Image, path: Path, header: Header) -> pyvips.Image:
    """Grey or RGB with 8 bits; what has a range of its own is stretched by its percentiles."""
    if image.format == "uchar":
        return image
    if image.format == "ushort":
        return image.copy(interpretation="rgb16").colourspace("srgb")
    values = np.nan_to_num(_small(path, header).numpy().astype(np.float64))
    low, high = (float(value) for value in np.percentile(values, (1, 99)))
    return _stretched(image, low, high if high > low else low + 1.0)


def _cut(path: Path, header: Header, target: pyvips.Target) -> dict[str, Any]:
    """All levels as a ZIP archive into the target: JPEG, or 16-bit PNG of a deep image."""
    is_flat = header.orientation in (0, 1) or header.is_foreign
    # To turn an image its rows must be at hand: libvips keeps them in a temporary file.
    image = _opened(path, header, access="sequential" if is_flat else "random")
    is_deep = _is_deep(image)
    if not is_deep:
        image = _eight_bit(image, path, header)
    image = _upright(image, header)
    suffix = f".jpg[Q={TILE_QUALITY},keep=none]"
    image.dzsave_target(
        target,
        imagename="tiles",
        layout="dz",
        tile_size=TILE,
        overlap=0,
        depth="onetile",
        suffix=".png[compression=1,keep=none]" if is_deep else suffix,
        region_shrink="mean",
        skip_blanks=-1,
    )
    return {"deep": is_deep}


if __name__ == "__main__":
    sys.exit(main())
