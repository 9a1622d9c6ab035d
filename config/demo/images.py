"""One image of a user's folder, however the folder says what is on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from PIL import Image, UnidentifiedImageError

GOOD = "good"
DEFECT = "defect"
INDEX = "index.csv"
FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP")
_ORIENTATION, _TURNED = 0x0112, range(5, 9)


class FolderError(ValueError):
    """The folder cannot be used; the text says why and how to mend it."""


@dataclass(frozen=True)
class Box:
    """A labelled rectangle in pixels, origin top left."""

    label: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Polygon:
    """A labelled outline of at least three points in pixels."""

    label: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Facts:
    """What the header of an image file says; width and height as it is to be shown."""

    media_type: str
    width: int
    height: int


@dataclass(frozen=True)
class FolderImage:
    """One image with its truth. Images of one `group` must never be split apart."""

    path: Path
    name: str
    label: str
    classes: tuple[str, ...]
    boxes: tuple[Box, ...]
    polygons: tuple[Polygon, ...]
    part_id: str
    group: str
    variant: str | None
    capture: str | None
    taken_at: datetime | None
    fold: int | None
    probability: float | None
    media_type: str
    width: int
    height: int


def header(path: Path) -> Facts | None:
    """What the image's header says, or None when it is not an image Loupe can show."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            if image.getexif().get(_ORIENTATION) in _TURNED:
                width, height = height, width
            return Facts(Image.MIME[str(image.format)], width, height)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def unreadable_note(paths: Sequence[Path]) -> tuple[str, ...]:
    """One sentence about the files that are no images, if there are any."""
    if not paths:
        return ()
    return (f"Left out {len(paths)} unreadable image(s), the first is {paths[0]}.",)
