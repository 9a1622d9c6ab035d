"""What a claimed task says of its pictures: tiles, reference image, heat map."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from governance import reference_images
from governance.access import Actor
from governance.roles import Role
from review import presentation, queue
from tests import factories
from traceability.models import Capture, HeatMap, Inspection

pytestmark = pytest.mark.django_db

READY = {"preview": "READY"}
DEEP = {
    **READY,
    "tiles": "READY",
    "tile_levels": 3,
    "depth": 12,
    "window_low": 100,
    "window_high": 3000,
}


def seen(**fields: Any) -> Capture:
    capture = factories.capture(**fields)
    factories.prediction(capture)
    return capture


def views(of: Inspection) -> list[dict[str, Any]]:
    """The views of the task as the API shows them."""
    factories.task(of)
    at = timezone.now()
    claimed = queue.claim(
        actor=factories.actor(Role.INSPECTOR),
        site=of.site,
        count=1,
        lease=timedelta(minutes=1),
        at=at,
    )
    shown: list[dict[str, Any]] = presentation.tasks_as_json(claimed, lease_s=60, at=at)[0]["views"]
    return shown


def hold_against(capture: Capture) -> None:
    lead: Actor = factories.actor(Role.LEAD)
    reference_images.make_reference(actor=lead, capture=capture.uuid, at=timezone.now())


def test_an_ordinary_view_has_its_preview_alone() -> None:
    (view,) = views(seen().inspection)
    names = ("preview", "tiles", "golden", "heatmap_url")
    assert [view[name] for name in names] == ["PENDING", None, None, None]


def test_a_deep_view_says_how_its_tiles_are_read() -> None:
    (view,) = views(seen(**DEEP).inspection)
    tiles = dict(view["tiles"])
    assert tiles.pop("url").startswith("/tiles/")
    assert tiles == {
        "size": 512,
        "levels": 3,
        "format": "grey16",
        "bits": 12,
        "low": 100,
        "high": 3000,
    }


def test_the_latest_reference_of_the_same_part_and_view_is_beside_it() -> None:
    earlier, latest, other_view = seen(**READY), seen(**DEEP, width=900), seen(**READY, view="top")
    for one in (earlier, latest, other_view):
        hold_against(one)
    inspection = factories.inspection(views=2)
    for view in ("main", "side"):
        seen(of=inspection, view=view)
    main, side = views(inspection)
    assert side["golden"] is None
    golden = main["golden"]
    assert (golden["width"], golden["height"]) == (900, 360)
    assert golden["image_url"].startswith("/images/")
    assert golden["tiles"]["levels"] == 3


def test_the_reference_itself_has_none_beside_it() -> None:
    capture = seen(**READY)
    hold_against(capture)
    (view,) = views(capture.inspection)
    assert view["golden"] is None


def test_a_heat_map_has_an_address_once_it_is_made() -> None:
    capture = factories.capture()
    said = factories.prediction(capture, heatmap_uri="s3://loupe-images/x.png")
    (view,) = views(capture.inspection)
    assert view["heatmap_url"] is None
    other = factories.capture()
    said = factories.prediction(other, heatmap_uri="s3://loupe-images/x.png")
    HeatMap.objects.create(site=said.site, prediction=said, state="READY", made_at=timezone.now())
    (view,) = views(other.inspection)
    assert view["heatmap_url"].startswith("/images/")
    assert view["heatmap_url"].endswith("/heatmap")
