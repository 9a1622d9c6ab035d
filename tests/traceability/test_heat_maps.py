"""Heat maps: one hue over the image, made beside its preview, refused as images are."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from numpy.typing import NDArray
from PIL import Image

from governance.roles import Role
from tests import factories
from tests.traceability.pictures import SECRET, gradient, many_frames, png_bomb, written
from traceability import heat_maps
from traceability.gateways import object_store
from traceability.models import HeatMap, Prediction
from traceability.previews import Unfit
from traceability.tasks import make_previews, sweep_previews

GREY = written(Image.linear_gradient("L"))


def pixels(data: bytes) -> NDArray[np.uint8]:
    image = Image.open(io.BytesIO(heat_maps.render(data)), formats=["PNG"])
    assert image.mode == "RGBA"
    return np.asarray(image)


def test_a_grey_map_becomes_one_hue_with_rising_alpha() -> None:
    for data in (GREY, written(Image.linear_gradient("L").convert("RGB"))):
        made = pixels(data)
        assert (made[..., :3] == heat_maps.HUE).all()
        alpha = made[:, 0, 3].astype(int)
        assert (alpha[0], alpha[-1]) == (0, heat_maps.MOST_ALPHA)
        assert (np.diff(alpha) >= 0).all()


@pytest.mark.parametrize(("kind", "top"), [("float", 1.0), ("deep", 65535)])
def test_maps_of_other_depths_keep_their_range(kind: str, top: float) -> None:
    ramp = np.linspace(0, top, 256)[:, None].repeat(8, 1)
    values = ramp.astype(np.float32 if kind == "float" else np.uint16)
    alpha = pixels(written(Image.fromarray(values), "TIFF"))[:, 0, 3]
    assert (alpha[0], alpha[-1]) == (0, heat_maps.MOST_ALPHA)


def test_a_map_with_its_own_colours_keeps_them() -> None:
    own = Image.new("RGBA", (20, 10), (10, 200, 30, 77))
    assert (pixels(written(own)) == (10, 200, 30, 77)).all()
    assert (pixels(written(gradient()))[..., 3] == heat_maps.COLOURED_ALPHA).all()


def test_a_map_is_written_anew_and_small() -> None:
    made = heat_maps.render(written(Image.linear_gradient("L").resize((3000, 1500))))
    assert Image.open(io.BytesIO(made)).size == (1024, 512)
    assert SECRET not in heat_maps.render(written(gradient(), "JPEG", comment=SECRET))


@pytest.mark.parametrize(
    "data", [png_bomb(9000, 9000), many_frames("TIFF"), b"<svg/>", GREY[:80]], ids=range(4)
)
def test_a_hostile_map_is_refused(data: bytes) -> None:
    with pytest.raises(Unfit):
        heat_maps.render(data)


@pytest.fixture
def _state(db: None, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(settings.LOUPE, "state", tmp_path)


def predicted(data: bytes | None = GREY, *, bucket: str = "loupe-images") -> Prediction:
    said = factories.prediction(heatmap_uri=f"s3://{bucket}/maps/one.png")
    if data is not None:
        object_store.images().put("maps/one.png", data)
    return said


def get(said: Prediction, person: Client | None = None) -> Any:
    viewer = person or Client()
    if person is None:
        viewer.force_login(factories.user(Role.OPERATOR))
    return viewer.get(heat_maps.address_of(said.uuid, at=timezone.now()))


@pytest.mark.usefixtures("_state")
def test_a_map_is_made_beside_the_preview_and_shown() -> None:
    said = predicted()
    assert get(said).status_code == 404
    make_previews.delay([said.capture_id])
    answer = get(said)
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/png")
    assert answer.content == heat_maps.render(GREY)
    assert HeatMap.objects.get(prediction=said).state == "READY"
    foreign = Client()
    foreign.force_login(factories.user(Role.OPERATOR, at=factories.site("plant-2")))
    assert get(said, foreign).status_code == 404


@pytest.mark.usefixtures("_state")
def test_a_map_that_cannot_be_made_is_refused_once() -> None:
    damaged = predicted(b"no image")
    foreign = predicted(None, bucket="somebody-else")
    for said, sentence in ((damaged, "no image of a kind"), (foreign, "LOUPE_IMAGE_BUCKETS")):
        make_previews.delay([said.capture_id])
        assert sentence in HeatMap.objects.get(prediction=said).refusal
        assert heat_maps.waiting(capture_ids=[said.capture_id], at=timezone.now()) == []
        assert get(said).status_code == 404


@pytest.mark.usefixtures("_state")
def test_a_late_map_is_waited_for_but_not_for_ever(now: datetime) -> None:
    said = predicted(None)
    heat_maps.make(prediction_id=said.pk, at=now + timedelta(minutes=9))
    assert not HeatMap.objects.exists()
    object_store.images().put("maps/one.png", GREY)
    sweep_previews.delay()
    assert HeatMap.objects.get().state == "READY"
    other = factories.prediction(heatmap_uri="s3://loupe-images/maps/none.png")
    heat_maps.make(prediction_id=other.pk, at=now + timedelta(minutes=10))
    assert "maps/none.png" in HeatMap.objects.get(prediction=other).refusal
