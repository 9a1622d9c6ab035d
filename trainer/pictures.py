"""Image bytes to a grey square, without trusting the bytes."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from trainer.errors import ImageError, ImageTooLarge

FORMATS = ["JPEG", "PNG", "TIFF", "BMP", "WEBP"]
MAX_PIXELS = 50_000_000
CHROMA_SIDE = 8
DEEP_MODES = {"I;16": 65535.0, "I;16B": 65535.0, "I;16L": 65535.0, "I;16N": 65535.0}
ORIENTATION_TAG = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
DECODER_ERRORS = (
    UnidentifiedImageError,
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    KeyError,
    IndexError,
    TypeError,
    ZeroDivisionError,
    OverflowError,
    struct.error,
    zlib.error,
)

Image.MAX_IMAGE_PIXELS = MAX_PIXELS
warnings.simplefilter("error", Image.DecompressionBombWarning)


@dataclass(frozen=True)
class Picture:
    """Grey square (side, side) float32 in 0..255, chroma (8, 8, 2), and the full size."""

    grey: NDArray[np.float32]
    chroma: NDArray[np.float32]
    width: int
    height: int


def decode(content: bytes, *, side: int) -> Picture:
    """Raises ImageTooLarge or ImageError; width and height are those after the EXIF turn."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            return _decode(image, side)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge(_too_large()) from error
    except DECODER_ERRORS as error:
        raise ImageError("The image cannot be read: it is damaged or of another type.") from error


def size_of(content: bytes) -> tuple[int, int]:
    """Width and height from the header alone."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            return image.size
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge(_too_large()) from error
    except DECODER_ERRORS as error:
        raise ImageError("The image cannot be read: it is damaged or of another type.") from error


def _too_large() -> str:
    return f"The image has more than {MAX_PIXELS // 1_000_000} million pixels."


def _decode(image: Image.Image, side: int) -> Picture:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImageTooLarge(_too_large())
    # Pillow itself turns a TIFF upright.
    is_turned = image.format == "TIFF"
    turn = None if is_turned else TURNS.get(image.getexif().get(ORIENTATION_TAG, 1))
    # JPEG can be decoded at a fraction of its size, which is most of the time on large images.
    image.draft(None, (side, side))
    image.load()
    grey, chroma = _planes(image, side)
    if turn is not None:
        grey = grey.transpose(turn)
        chroma = [plane.transpose(turn) for plane in chroma]
        if turn in (TURNS[5], TURNS[6], TURNS[7], TURNS[8]):
            width, height = height, width
    values = np.nan_to_num(np.asarray(grey, dtype=np.float32), posinf=0.0, neginf=0.0)
    return Picture(values, _chroma(chroma), width, height)


def _planes(image: Image.Image, side: int) -> tuple[Image.Image, list[Image.Image]]:
    if image.mode in DEEP_MODES or image.mode in ("I", "F"):
        return _deep_grey(image, side), []
    if image.mode in ("1", "L", "LA", "La"):
        return _shrink(image.convert("L"), side), []
    colour = image.convert("RGB")
    if _is_grey(colour):
        return _shrink(colour.getchannel(1), side), []
    chroma = colour.resize((CHROMA_SIDE, CHROMA_SIDE), Image.Resampling.BOX)
    return _shrink(colour.convert("L"), side), list(chroma.split())


def _is_grey(colour: Image.Image) -> bool:
    """Many cameras store grey as RGB; JPEG leaves a grain of one or two steps in it."""
    small = np.asarray(colour.resize((32, 32), Image.Resampling.NEAREST), dtype=np.int16)
    return bool(np.abs(small - small[:, :, 1:2]).max() <= 2)


def _deep_grey(image: Image.Image, side: int) -> Image.Image:
    values = np.nan_to_num(np.asarray(image).astype(np.float32), posinf=0.0, neginf=0.0)
    top = DEEP_MODES.get(image.mode, 0.0)
    if not top:
        # 16-bit PNG and TIFF arrive as 32-bit integers, floats may be of any range.
        peak = float(values.max(initial=0.0))
        top = next((limit for limit in (1.0, 255.0, 65535.0) if peak <= limit), peak)
    return _shrink(Image.fromarray(np.clip(values, 0.0, None) * np.float32(255.0 / top)), side)


def _shrink(image: Image.Image, side: int) -> Image.Image:
    return image.resize((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0)


def _chroma(planes: list[Image.Image]) -> NDArray[np.float32]:
    """Red and blue against green, as shares of the brightness; zero for grey images."""
    if not planes:
        return np.zeros((CHROMA_SIDE, CHROMA_SIDE, 2), dtype=np.float32)
    red, green, blue = (np.asarray(plane, dtype=np.float32) for plane in planes)
    total = red + green + blue + np.float32(24.0)
    return np.stack([(red - green) / total, (blue - green) / total], axis=2)
