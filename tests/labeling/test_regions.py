"""Regions are inside their image, or refused with what is wrong."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.regions import Region
from traceability.refusals import Invalid


def test_a_box_and_a_polygon_are_read() -> None:
    box = Region.read(defect_class="pore", box=[1, 2, 3, 4])
    assert (box.shape, box.geometry, box.view) == ("box", [1.0, 2.0, 3.0, 4.0], "main")
    polygon = Region.read(defect_class="pore", view="top", polygon=[[0, 0], [4, 0], [4, 4]])
    assert (polygon.shape, polygon.geometry) == ("polygon", [[0.0, 0.0], [4.0, 0.0], [4.0, 4.0]])


@pytest.mark.parametrize(
    ("region", "sentence"),
    [
        ({}, "either a box or a polygon"),
        ({"box": [0, 0, 1, 1], "polygon": [[0, 0], [1, 0], [1, 1]]}, "either a box or a polygon"),
        ({"box": [0, 0, 1]}, "four numbers"),
        ({"box": [0, 0, 0, 1]}, "above zero"),
        ({"box": [0, 0, 1, -1]}, "above zero"),
        ({"box": [0, 0, math.nan, 1]}, "finite"),
        ({"box": [0, 0, "3", 1]}, "numbers only"),
        ({"box": [0, 0, True, 1]}, "numbers only"),
        ({"polygon": [[0, 0], [1, 1]]}, "3 to 2000 points"),
        ({"polygon": [[0, 0]] * 2001}, "3 to 2000 points"),
        ({"polygon": [[0, 0], [1, 1], [2, 2, 2]]}, "two numbers"),
        ({"polygon": [[0, 0], [1, 1], [2, 2]]}, "encloses nothing"),
        ({"polygon": [[0, 0], [1, math.inf], [2, 2]]}, "finite"),
    ],
)
def test_a_region_that_makes_no_sense_is_refused(region: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Invalid, match=sentence):
        Region.read(defect_class="pore", **region)


def test_a_region_needs_a_class() -> None:
    with pytest.raises(Invalid, match="defect class"):
        Region.read(defect_class="", box=[0, 0, 1, 1])


@pytest.mark.parametrize(
    "box", [[-2, 0, 5, 5], [0, -2, 5, 5], [98, 0, 5, 5], [0, 48, 5, 5], [101.5, 0, 1, 1]]
)
def test_a_box_outside_its_image_is_refused(box: list[float]) -> None:
    with pytest.raises(Invalid, match=r"outside|above zero"):
        Region.read(defect_class="pore", box=box).inside(width=100, height=50)


def test_a_polygon_outside_its_image_is_refused() -> None:
    region = Region.read(defect_class="pore", polygon=[[0, 0], [150, 0], [5, 5]])
    with pytest.raises(Invalid, match="150"):
        region.inside(width=100, height=50)


def test_a_pointer_just_past_the_edge_means_the_edge() -> None:
    region = Region.read(defect_class="pore", box=[-0.5, 10, 101, 40.5])
    assert region.inside(width=100, height=50).geometry == [0.0, 10.0, 100.0, 40.0]


@settings(deadline=None)
@given(
    st.tuples(*[st.floats(-20, 120)] * 2, *[st.floats(0.01, 120)] * 2),
)
def test_what_is_accepted_lies_within_the_image(box: tuple[float, float, float, float]) -> None:
    try:
        placed = Region.read(defect_class="pore", box=box).inside(width=100, height=50)
    except Invalid:
        assert box[0] < 0 or box[1] < 0 or box[0] + box[2] > 100 or box[1] + box[3] > 50
        return
    x, y, width, height = placed.box or (0, 0, 0, 0)
    assert 0 <= x < x + width <= 100
    assert 0 <= y < y + height <= 50
