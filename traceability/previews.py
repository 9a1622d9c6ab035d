"""A foreign image made safe to show: decoded under caps, and written anew from its pixels alone."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
from django.utils.translation import gettext as _
from PIL import Image, ImageOps, UnidentifiedImageError

from traceability.decoders import BROKEN, FORMATS, LONG_SIDE
from traceability.refusals import Invalid

MOST_BYTES: Final = 64 * 2**20
MOST_PIXELS: Final = 50_000_000
MEDIA_TYPE: Final = "image/jpeg"
QUALITY: Final = 90
_BROKEN: Final[tuple[type[Exception], ...]] = (
    *BROKEN,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


class Unfit(Invalid):
    """An image that cannot be shown or learnt from; the sentence says why."""

    code = "image_unfit"


class TooLarge(Unfit):
    """An image that can be shown by its tiles, and is too large for what was asked."""

    code = "image_too_large"


def check_bytes(size: int) -> None:
    """Refuse a file that is too large to be held in memory. Raises TooLarge."""
    if size > MOST_BYTES:
        raise TooLarge(
            _("The image has %(size).0f MB; at most %(most)d MB are taken.")
            % {"size": size / 2**20, "most": MOST_BYTES // 2**20}
        )


def check_header(data: bytes, *, width: int, height: int) -> bool:
    """Refuse what is no single image of this (upright) size in pixels; decodes nothing.

    True when it is a grey image of more than 8 bits, which a JPEG cannot stand for.
    """
    with opened(data) as image:
        _check_size(image, width=width, height=height)
        return image.mode.startswith("I;16")


def render(data: bytes, *, width: int, height: int) -> bytes:
    """A JPEG of at most 2048 pixels a side, upright, of nothing but the pixels.

    `width` and `height` are what the image is said to have after EXIF transpose. Raises Unfit.
    """
    with opened(data) as image:
        _check_size(image, width=width, height=height)
        # A JPEG is decoded at the size it is needed in; without effect on the other formats.
        image.draft("RGB", (LONG_SIDE, LONG_SIDE))
        image.load()
        upright = ImageOps.exif_transpose(image)
        upright.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
        shown = _eight_bit(upright)
        written = io.BytesIO()
        # A new image: whatever the file carried beside its pixels stays behind.
        bare = Image.frombytes(shown.mode, shown.size, shown.tobytes())
        bare.save(written, "JPEG", quality=QUALITY, subsampling=0)
        return written.getvalue()


@contextmanager
def opened(data: bytes) -> Iterator[Image.Image]:
    """The image, not yet decoded; whatever goes wrong with it inside is raised as Unfit."""
    check_bytes(len(data))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                yield image
    except Unfit:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels() from error
    except UnidentifiedImageError as error:
        raise Unfit(
            _("This is no image of a kind that is taken: %(formats)s.")
            % {"formats": ", ".join(FORMATS)}
        ) from error
    except _BROKEN as error:
        raise Unfit(_("The image is damaged and cannot be decoded.")) from error


def check_single(image: Image.Image) -> None:
    """Refuse several images in one file, and one of more pixels than are decoded here."""
    check_pixels(image.width, image.height)
    if _has_second_frame(image):
        raise Unfit(_("The file holds several images; send one capture in each file."))


def _check_size(image: Image.Image, *, width: int, height: int) -> None:
    check_single(image)
    # Orientations 5 to 8 lie on their side; of a TIFF Pillow gives the upright size.
    turned = image.format != "TIFF" and image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    there = (image.height, image.width) if turned else image.size
    if there != (width, height):
        raise Unfit(
            _("The image has %(w)d x %(h)d pixels, the event says %(width)d x %(height)d.")
            % {"w": there[0], "h": there[1], "width": width, "height": height}
        )


def _has_second_frame(image: Image.Image) -> bool:
    """Looks one frame ahead only: to count them all is what a hostile file waits for."""
    try:
        image.seek(1)
    except EOFError:
        return False
    return True


def check_pixels(width: int, height: int) -> None:
    """Refuse an image that is too large to be decoded in memory. Raises TooLarge."""
    if width * height > MOST_PIXELS:
        raise _too_many_pixels()


def _too_many_pixels() -> TooLarge:
    return TooLarge(
        _("The image has more than %(most)d megapixels.") % {"most": MOST_PIXELS // 1_000_000}
    )


def _eight_bit(image: Image.Image) -> Image.Image:
    """Grey or RGB with 8 bits; deeper greys are stretched between their 1st and 99th percentile."""
    if image.mode in ("L", "RGB"):
        return image
    if image.mode == "LA":
        return image.convert("L")
    if image.mode == "F" or image.mode.startswith("I"):
        pixels = np.asarray(image, dtype=np.float32)
        pixels = np.nan_to_num(pixels, nan=0.0, posinf=0.0, neginf=0.0)
        low, high = (float(value) for value in np.percentile(pixels, (1, 99)))
        if high <= low:
            low, high = float(pixels.min()), float(pixels.max())
        scaled = (pixels - low) * (255.0 / max(high - low, 1e-9))
        return Image.fromarray(np.clip(scaled, 0, 255).astype(np.uint8))
    return image.convert("RGB")
