"""Labelled images as the dataset version lists them."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.errors import TrainerError
from trainer.layout import Layout

IMAGE_PATH = re.compile(r"[0-9a-f]{2}/[0-9a-f]{2}/([0-9a-f]{64})")
UNNAMED_DEFECT = "defect"

Region = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Sample:
    """One labelled image; `regions` are polygons in pixels of the transposed image."""

    image: str
    sha256: str
    defect: bool
    classes: tuple[str, ...]
    group: str
    unit: str
    weight: float
    regions: tuple[Region, ...]
    folder: Path

    @property
    def main_class(self) -> str:
        """The class a defect is trained as; "" for a good part."""
        if not self.defect:
            return ""
        return self.classes[0] if self.classes else UNNAMED_DEFECT

    def read(self) -> bytes:
        """Raises TrainerError when the file is missing or not the one that was labelled."""
        try:
            content = (self.folder / self.image).read_bytes()
        except OSError as error:
            raise TrainerError(
                f"Image {self.image} is labelled but not in the channel {self.folder.name}."
            ) from error
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise TrainerError(
                f"Image {self.image} is not the one that was labelled: its hash differs."
            )
        return content


def read_samples(layout: Layout, split: str) -> list[Sample]:
    """The samples of a split, in the order of the file; none when the file is missing."""
    path = layout.labels(split)
    if not path.is_file():
        return []
    folder = layout.channel(split)
    samples = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                samples.append(_sample(line, folder, f"{path.name} line {number}"))
    return samples


def _sample(line: str, folder: Path, where: str) -> Sample:
    try:
        raw = json.loads(line)
        image, label = str(raw["image"]), raw["label"]
        regions = [_polygon(item) for item in raw.get("polygons") or ()]
        regions += [_box(item) for item in raw.get("boxes") or ()]
        weight = float(raw.get("weight") or 1.0)
        classes = tuple(str(name) for name in raw.get("classes") or ())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TrainerError(f"{where} is not a labelled sample: {error!r}.") from error
    match = IMAGE_PATH.fullmatch(image)
    if match is None or image != f"{match[1][:2]}/{match[1][2:4]}/{match[1]}":
        raise TrainerError(f"{where}: image must be ab/cd/<64 hex digits>, not {image[:100]!r}.")
    if raw.get("sha256", match[1]) != match[1]:
        raise TrainerError(f"{where}: sha256 is not that of the image path.")
    if label not in ("good", "defect"):
        raise TrainerError(f"{where}: label must be good or defect, not {str(label)[:100]!r}.")
    if not (math.isfinite(weight) and weight > 0):
        raise TrainerError(f"{where}: weight must be above 0, not {weight}.")
    return Sample(
        image=image,
        sha256=match[1],
        defect=label == "defect",
        classes=classes if label == "defect" else (),
        group=str(raw.get("group") or raw.get("unit") or match[1]),
        unit=str(raw.get("unit") or raw.get("group") or match[1]),
        weight=weight,
        regions=tuple(regions) if label == "defect" else (),
        folder=folder,
    )


def _polygon(item: dict[str, Any]) -> Region:
    points = tuple((float(x), float(y)) for x, y in item["points"])
    if len(points) < 3 or not all(math.isfinite(value) for point in points for value in point):
        raise ValueError("a polygon needs three points")
    return points


def _box(item: dict[str, Any]) -> Region:
    x, y, width, height = (float(item[key]) for key in ("x", "y", "width", "height"))
    if not all(math.isfinite(value) for value in (x, y, width, height)):
        raise ValueError("a box needs four numbers")
    return ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
