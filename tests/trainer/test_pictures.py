"""What the trainer sees of an image is upright, however the camera was held."""

from __future__ import annotations

import numpy as np
import pytest

from tests.traceability.pictures import lying, quarters
from trainer.pictures import decode


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_every_way_a_camera_can_be_held_is_learnt_upright(kind: str, orientation: int) -> None:
    picture = decode(lying(quarters(), kind, orientation), side=64)
    assert (picture.width, picture.height) == (700, 1100)
    means = [picture.grey[y : y + 20, x : x + 20].mean() for y in (8, 40) for x in (8, 40)]
    assert np.abs(np.array(means) - (40, 90, 140, 190)).max() < 4
