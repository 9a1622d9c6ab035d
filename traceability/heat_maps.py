"""Where a model looked: its heat map made into a picture that lies over the image."""

from __future__ import annotations

import io
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import numpy as np
from django.urls import get_script_prefix
from numpy.typing import NDArray
from PIL import Image, ImageOps

from traceability import previews
from traceability.addresses import HEAT_MAPS
from traceability.gateways import object_store
from traceability.gateways.object_store import ObjectMissing
from traceability.models import HeatMap, Prediction
from traceability.refusals import Invalid, Unknown

LONG_SIDE: Final = 1024
MEDIA_TYPE: Final = "image/png"
# One hue, so that nothing but the alpha says how much; even the hottest spot lets the part be seen.
HUE: Final = (255, 96, 0)
MOST_ALPHA: Final = 200
COLOURED_ALPHA: Final = 128
LATE: Final = timedelta(minutes=10)
SWEPT: Final = 100


def address_of(prediction: UUID, *, at: datetime) -> str:
    """Where a browser of this site finds the heat map, for the next 4 to 5 minutes."""
    return f"{get_script_prefix()}images/{HEAT_MAPS.token(prediction, at=at)}/heatmap"


def read(prediction: UUID) -> bytes:
    """The picture (PNG) of a prediction that has one. Raises Unknown."""
    return object_store.datasets().read(_key(prediction))


def waiting(*, at: datetime, capture_ids: Collection[int] | None = None) -> list[int]:
    """Predictions whose heat map was not looked at yet: of these captures, or left over by all."""
    there = Prediction.objects.filter(heatmap_uri__gt="", heat_map=None)
    if capture_ids is None:
        there = there.filter(received_at__lt=at - timedelta(seconds=10))
    else:
        there = there.filter(capture__in=capture_ids)
    return list(there.order_by("-id").values_list("id", flat=True)[:SWEPT])


def make(*, prediction_id: int, at: datetime) -> None:
    """Make the picture, or note why there is none. Safe to repeat. Raises Unavailable."""
    said = Prediction.objects.get(pk=prediction_id)
    try:
        object_store.datasets().put(
            _key(said.uuid), render(_stored(said.heatmap_uri)), content_type=MEDIA_TYPE
        )
        refusal = ""
    except ObjectMissing as error:
        if at - said.received_at < LATE:
            return
        refusal = error.sentence
    except (Invalid, Unknown) as error:
        refusal = error.sentence
    HeatMap.objects.get_or_create(
        prediction=said,
        defaults={
            "site_id": said.site_id,
            "state": HeatMap.State.REFUSED if refusal else HeatMap.State.READY,
            "refusal": refusal[:300],
            "made_at": at,
        },
    )


def render(data: bytes) -> bytes:
    """A transparent PNG of at most 1024 pixels a side. Raises Unfit.

    A grey map becomes one hue with rising alpha; RGBA stays as it is; other colours are kept half
    transparent, for nobody can tell which of them is hot.
    """
    with previews.opened(data) as image:
        previews.check_single(image)
        image.load()
        upright = ImageOps.exif_transpose(image)
        has_colours = upright.mode in ("RGBA", "P", "PA", "RGB", "CMYK", "YCbCr")
        shown = _coloured(upright) if has_colours else _hued(_heat(upright))
        shown.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.BILINEAR)
        written = io.BytesIO()
        bare = Image.frombytes("RGBA", shown.size, shown.tobytes())
        bare.save(written, "PNG", compress_level=6)
        return written.getvalue()


def _stored(uri: str) -> bytes:
    bucket, _slash, key = uri.removeprefix("s3://").partition("/")
    store = object_store.store(bucket)
    previews.check_bytes(store.size(key))
    return store.read(key)


def _coloured(image: Image.Image) -> Image.Image:
    if image.mode == "RGBA" or "transparency" in image.info:
        return image.convert("RGBA")
    pixels = np.asarray(image.convert("RGB"))
    if (pixels == pixels[..., :1]).all():
        return _hued(pixels[..., 0] / np.float32(255))
    coloured = image.convert("RGB").convert("RGBA")
    coloured.putalpha(COLOURED_ALPHA)
    return coloured


def _heat(image: Image.Image) -> NDArray[np.float32]:
    """0 to 1 for every pixel; by the format's range, or by the hottest where it has none."""
    if image.mode in ("1", "L", "LA"):
        return np.asarray(image.convert("L"), dtype=np.float32) / np.float32(255)
    values: NDArray[np.float32] = np.asarray(image, dtype=np.float32)
    values = np.nan_to_num(values, posinf=0.0, neginf=0.0)
    peak = float(values.max(initial=0.0))
    top = 65535.0 if image.mode.startswith("I;16") else max(1.0, peak)
    heat: NDArray[np.float32] = np.clip(values / np.float32(top), 0, 1)
    return heat


def _hued(heat: NDArray[np.floating]) -> Image.Image:
    pixels = np.empty((*heat.shape, 4), dtype=np.uint8)
    pixels[..., :3] = HUE
    pixels[..., 3] = (heat * MOST_ALPHA).astype(np.uint8)
    return Image.fromarray(pixels)


def _key(prediction: UUID) -> str:
    name = prediction.hex
    # The end of a UUIDv7 is what differs.
    return f"heatmaps/1/{name[-2:]}/{name[-4:-2]}/{name}.png"
