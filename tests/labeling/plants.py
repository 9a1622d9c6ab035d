"""Labelled images for tests: small bytes that stand for images, one for each number."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from governance.access import system
from labeling.imports import ImportedImage, import_labelled
from labeling.models import Label
from labeling.regions import Region
from tests import factories
from traceability.models import Station

PLANT = system("test")


def image(number: int, *, defect: str = "", **fields: Any) -> ImportedImage:
    """Image number `number` of unit SN-<number>; a defect has a box."""
    drawn = (Region.read(defect_class=defect, box=[1, 2, 3, 4]),) if defect else ()
    values: dict[str, Any] = {
        "data": f"image {number}".encode(),
        "media_type": "image/jpeg",
        "width": 48,
        "height": 36,
        "serial": f"SN-{number}",
        "verdict": Label.Verdict.DEFECT if defect else Label.Verdict.GOOD,
        "defect_class": defect,
        "regions": drawn,
        **fields,
    }
    return ImportedImage(**values)


def mixed(count: int, *, first: int = 0, lots: int = 0) -> list[ImportedImage]:
    """Images of which every third shows a scratch, spread over lots when there are any."""
    return [
        image(n, defect="" if n % 3 else "scratch", lot=f"L{n % lots}" if lots else "")
        for n in range(first, first + count)
    ]


def bring(images: Sequence[ImportedImage], at: datetime, station: Station | None = None) -> None:
    """Import the images at the station."""
    import_labelled(actor=PLANT, station=station or factories.station(), images=images, at=at)


def sha(number: int) -> str:
    """The hash of image number `number`."""
    return hashlib.sha256(f"image {number}".encode()).hexdigest()
