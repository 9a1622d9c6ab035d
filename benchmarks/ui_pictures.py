"""Units with real images for the browser benches, made on the spot."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
from django.utils import timezone
from PIL import Image

from review.models import ReviewTask
from tests import factories, pictures
from traceability import images, pyramids
from traceability.gateways import object_store
from traceability.models import Capture

CAMERA: Final = (2448, 2048)
LARGE_SIDE: Final = 20_000


def parts(count: int) -> list[ReviewTask]:
    """Waiting units, each with a photograph of a 5-megapixel camera of its own."""
    chance = np.random.default_rng(11)
    width, height = CAMERA
    grain = chance.normal(0, 6, (height, width)).astype(np.float32)
    across = np.linspace(70, 150, width, dtype=np.float32)[None, :]
    made = []
    for number in range(count):
        values = np.clip(across + np.roll(grain, 37 * number, axis=1), 0, 255).astype(np.uint8)
        values[200:300, 100 + 30 * number : 260 + 30 * number] = 230
        data = io.BytesIO()
        Image.fromarray(values).save(data, "JPEG", quality=90)
        made.append(_unit(data.getvalue(), CAMERA, _detections(3)))
    return made


def crowded(count: int) -> ReviewTask:
    """A waiting unit whose model saw `count` regions."""
    values = np.random.default_rng(5).integers(60, 180, (2048, 2448), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(values).save(data, "JPEG", quality=80)
    return _unit(data.getvalue(), CAMERA, _detections(count))


def large() -> ReviewTask:
    """A waiting unit with a TIFF of 400 megapixels, its tiles made."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plate.tif"
        pictures.large_tiff(path, LARGE_SIDE)
        return _unit(path.read_bytes(), (LARGE_SIDE, LARGE_SIDE), _detections(3), "image/tiff")


def _detections(count: int) -> list[dict[str, Any]]:
    """Boxes and polygons in turn, spread over the image."""
    chance = np.random.default_rng(count)
    found: list[dict[str, Any]] = []
    for number in range(count):
        x, y = (float(value) for value in chance.integers(20, 1900, 2))
        shape: dict[str, Any] = {"box": [x, y, 60, 40]}
        if number % 2:
            shape = {"polygon": [[x, y], [x + 50, y + 10], [x + 40, y + 45], [x + 5, y + 30]]}
        found.append({"id": str(number), "label": "scratch", "score": 0.6, **shape})
    return found


def _unit(
    data: bytes,
    size: tuple[int, int],
    detections: Sequence[dict[str, Any]],
    media_type: str = "image/jpeg",
) -> ReviewTask:
    seen = factories.inspection()
    capture = factories.capture(
        seen,
        sha256=hashlib.sha256(data).hexdigest(),
        width=size[0],
        height=size[1],
        media_type=media_type,
    )
    object_store.store(capture.bucket).put(capture.key, data)
    images.make_preview(capture_id=capture.pk, at=timezone.now())
    pyramids.make_tiles(capture_id=capture.pk, at=timezone.now())
    capture.refresh_from_db()
    if capture.preview != Capture.Preview.READY:
        raise RuntimeError(f"no preview: {capture.preview_refusal}")
    factories.prediction(capture, detections=list(detections))
    return factories.task(seen, at=timezone.now())


def for_operators(count: int) -> None:
    """Waiting units that operators at st-1 may judge, each with a small picture that is shown."""
    picture = Image.linear_gradient("L").resize((480, 360))
    data = io.BytesIO()
    picture.save(data, "JPEG")
    at = timezone.now()
    for _number in range(count):
        seen = factories.inspection()
        capture = factories.capture(seen, sha256=hashlib.sha256(data.getvalue()).hexdigest())
        object_store.store(capture.bucket).put(capture.key, data.getvalue())
        images.make_preview(capture_id=capture.pk, at=at)
        factories.prediction(capture)
        factories.task(seen, at=at, operators_until=at + timedelta(hours=12))
