"""Inspection pictures of the demo part, and the story of the units that come down its line."""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np
from PIL import Image, ImageFilter

from config.demo.marks import DEFECTS, mark, speck
from config.demo.ring import HEIGHT, WIDTH, pose, surface

PART_NUMBER, PART_REVISION = "P-4711", "C"
SUPPLIERS = ("S1", "S2", "S3")
LOT_SIZE = 4  # a lot stays in one split: small ones let new labels reach the training soon
DEFECTIVE = 0.18
UNFIT = 0.01

_STRENGTH = 92.0  # grey levels of a mark at contrast 1
_FAINTEST = 9.0  # and at contrast 0: hardly above the grain, so that nobody can be sure


@dataclass(frozen=True)
class Picture:
    """A JPEG (8-bit grey) with its truth; `box` is [x, y, width, height] in pixels."""

    jpeg: bytes
    width: int
    height: int
    sha256: str
    defect: str | None
    box: tuple[int, int, int, int] | None


def picture(
    *, seed: int, defect: str | None, contrast: float = 0.0, blurred: bool = False
) -> Picture:
    """The picture for a seed, always the same.

    `contrast` runs from 0 (nobody could tell) through about 0.2 (doubtful) to 1 (obvious). On a
    good part it is the visibility of harmless marks: 0 is a clean part. Raises ValueError for an
    unknown defect or a contrast outside 0..1.
    """
    if not 0 <= contrast <= 1:
        raise ValueError(f"contrast must lie between 0 and 1, not {contrast}")
    rng = np.random.default_rng([seed, 4711])
    at = pose(rng)
    level = surface(rng, at)
    box = None
    amount = _FAINTEST + (_STRENGTH - _FAINTEST) * contrast
    if defect is not None:
        found = mark(defect, rng, at, size=contrast)
        found.apply(level, amount)
        box = found.box()
    elif contrast > 0:
        speck(rng, at).apply(level, amount)
    jpeg = _encode(level, blur=float(rng.uniform(5, 8)) if blurred else 0.0)
    digest = hashlib.sha256(jpeg).hexdigest()
    return Picture(jpeg, WIDTH, HEIGHT, digest, defect, box)


def _encode(level: np.ndarray[tuple[int, ...], np.dtype[np.float32]], *, blur: float) -> bytes:
    image = Image.fromarray(np.clip(level, 0, 255).astype(np.uint8))
    if blur:
        image = image.filter(ImageFilter.GaussianBlur(blur))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


@dataclass(frozen=True)
class Quality:
    """How fit the picture is to judge, 0..1 each; glare is better when low."""

    sharpness: float
    exposure: float
    glare: float
    framing: float
    verdict: str

    def as_dict(self) -> dict[str, float | str]:
        """The shape of `data.capture.quality` in the prediction event."""
        return {
            "sharpness": self.sharpness,
            "exposure": self.exposure,
            "glare": self.glare,
            "framing": self.framing,
            "verdict": self.verdict,
        }


@dataclass(frozen=True)
class DemoUnit:
    """One unit of the demo line with what is true about it; `defect` None is a good part."""

    number: int
    serial: str
    lot: str
    supplier: str
    part_number: str
    part_revision: str
    defect: str | None
    contrast: float
    quality: Quality
    picture_seed: int

    @property
    def label(self) -> str:
        """`good` or `defect`, as in an index.csv."""
        return "good" if self.defect is None else "defect"

    def photograph(self) -> Picture:
        """The unit's picture, drawn when asked for (some 10 ms)."""
        return picture(
            seed=self.picture_seed,
            defect=self.defect,
            contrast=self.contrast,
            blurred=self.quality.verdict == "unfit",
        )


def story(seed: int, *, first: int = 1) -> Iterator[DemoUnit]:
    """The units as they come down the line, for ever, from unit number `first` on."""
    for number in count(first):
        yield unit(seed, number)


def unit(seed: int, number: int) -> DemoUnit:
    """Unit `number` (from 1) of the story with this seed; needs none of the units before it."""
    if number < 1:
        raise ValueError(f"units are numbered from 1, not {number}")
    lot = (number - 1) // LOT_SIZE + 1
    supplier = str(np.random.default_rng([seed, lot, 1]).choice(SUPPLIERS, p=(0.45, 0.35, 0.2)))
    rng = np.random.default_rng([seed, number, 2])
    defect, contrast = _fate(rng, supplier)
    return DemoUnit(
        number=number,
        serial=f"SN-{number:06d}",
        lot=f"L-{lot:04d}",
        supplier=supplier,
        part_number=PART_NUMBER,
        part_revision=PART_REVISION,
        defect=defect,
        contrast=contrast,
        quality=_quality(rng),
        picture_seed=int(rng.integers(0, 2**31)),
    )


def _fate(rng: np.random.Generator, supplier: str) -> tuple[str | None, float]:
    """Defect and contrast: a third of the defects and some marked good parts are borderline."""
    if rng.random() >= DEFECTIVE:
        marked = rng.random() < 0.12
        return None, float(rng.uniform(0.0, 0.05)) if marked else 0.0
    # The third supplier casts with more gas, so that something is there to be found by supplier.
    weights = (0.25, 0.5, 0.25) if supplier == "S3" else (0.4, 0.25, 0.35)
    defect = str(rng.choice(DEFECTS, p=weights))
    borderline = rng.random() < 0.35
    return defect, float(rng.uniform(0.25, 0.45) if borderline else rng.uniform(0.5, 1.0))


def _quality(rng: np.random.Generator) -> Quality:
    unfit = rng.random() < UNFIT
    sharpness = rng.uniform(0.08, 0.24) if unfit else rng.uniform(0.78, 0.97)
    return Quality(
        sharpness=round(float(sharpness), 3),
        exposure=round(float(rng.uniform(0.42, 0.58)), 3),
        glare=round(float(rng.uniform(0.01, 0.09)), 3),
        framing=round(float(rng.uniform(0.9, 0.99)), 3),
        verdict="unfit" if unfit else "ok",
    )
