"""The demo's X-ray laboratory: what it sends is what the bench is to show."""

from __future__ import annotations

import io

import numpy as np
import pytest
from django.utils import timezone
from PIL import Image

from config.demo import xray
from inference_bridge.events import PredictionEvent, read
from tests import factories
from traceability.models import Capture, Inspection


class Kept:
    """A queue that keeps what it is given."""

    def __init__(self) -> None:
        self.bodies: list[str] = []

    def send(self, body: str) -> None:
        self.bodies.append(body)


def test_a_radiograph_has_more_levels_than_eight_bits_can_hold() -> None:
    first = next(xray.units()).views[0]
    pixels = np.asarray(Image.open(io.BytesIO(first.data)))
    assert pixels.dtype == np.uint16
    assert np.unique(pixels).size > 256 * 8
    assert pixels.shape == (first.height, first.width)


def test_what_the_model_found_lies_in_the_image_and_is_lighter_than_its_surroundings() -> None:
    first = next(xray.units()).views[0]
    pixels = np.asarray(Image.open(io.BytesIO(first.data))).astype(float)
    assert first.found
    for _code, _score, (x, y, width, height) in first.found:
        inner = pixels[y + height // 3 : y + height - height // 3, x : x + width]
        ring = pixels[max(0, y - height) : y + 2 * height, max(0, x - width) : x + 2 * width]
        assert inner[:, width // 3 : -width // 3].mean() > ring.mean()


def test_one_unit_has_four_views_and_one_image_is_cut_into_tiles() -> None:
    units = list(xray.units())
    assert [len(unit.views) for unit in units] == [1, 4, *[1] * 8]
    assert [unit.lot for unit in units].count("X-L2") == 6
    sheet = units[2].views[0]
    assert sheet.width * sheet.height > 16_000_000


@pytest.mark.django_db
def test_every_event_is_read_as_the_contract_says_and_sent_once() -> None:
    xray.places()
    queue, now = Kept(), timezone.now()
    assert xray.send_once(queue, at=now)  # type: ignore[arg-type]  # keeps, sends nothing
    assert len(queue.bodies) == 13
    for body in queue.bodies:
        event = read(body, buckets={xray.BUCKET}, at=now)
        assert isinstance(event, PredictionEvent)
        assert event.shot.views_expected in (1, 4)
    seen = factories.inspection(factories.unit(at=factories.site(xray.SITE)))
    assert Inspection.objects.filter(pk=seen.pk).exists()
    assert not xray.send_once(queue, at=now)  # type: ignore[arg-type]  # as above
    assert len(queue.bodies) == 13
    assert not Capture.objects.exists()
