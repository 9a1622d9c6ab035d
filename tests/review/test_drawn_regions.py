"""Regions drawn for a verdict: of every view of the unit, exact, and many of them."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pytest
from django.test import Client

from labeling.models import Annotation
from labeling.regions import MOST_POINTS, MOST_POINTS_TOGETHER, MOST_REGIONS
from review import bodies
from tests import factories
from tests.review.test_cost import claim, statements

pytestmark = pytest.mark.django_db

BOX = {"label": "scratch", "view": "main", "box": [1, 2, 3, 4]}
STAR = {"label": "scratch", "view": "side", "polygon": [[0, 0], [9.25, 1], [5, 7]]}


@pytest.fixture
def bench() -> Client:
    client = Client()
    client.force_login(factories.user())
    return client


def two_views() -> None:
    seen = factories.inspection(views=2)
    for view in ("main", "side"):
        factories.prediction(factories.capture(seen, view=view))
    factories.task(seen)


def reject(bench: Client, task: dict[str, Any], regions: Any) -> Any:
    body = {
        "fence": task["fence"],
        "answer": "CONFIRMED",
        "disposition": "REWORK",
        "defect_class": "scratch",
        "regions": regions,
    }
    return bench.post(
        f"/api/v1/review/tasks/{task['id']}/decision",
        json.dumps(body),
        content_type="application/json",
        headers={"Idempotency-Key": str(uuid.uuid4())},
    )


def drawn() -> list[tuple[str, str, list[Any]]]:
    found = Annotation.objects.filter(origin="drawn").order_by("pk")
    return [(one.label.capture.view, one.shape, one.geometry) for one in found]


def test_boxes_and_polygons_of_all_views_come_in_one_verdict(bench: Client) -> None:
    two_views()
    [task] = claim(bench)
    assert reject(bench, task, [STAR, BOX]).status_code == 201
    assert sorted(drawn()) == [
        ("main", "box", [1, 2, 3, 4]),
        ("side", "polygon", [[0, 0], [9.25, 1], [5, 7]]),
    ]


def test_five_hundred_regions_cost_the_statements_of_one(bench: Client) -> None:
    two_views()
    two_views()
    first, second = claim(bench, 2)
    many = [{**BOX, "box": [n % 400, n % 300, 7, 9]} for n in range(250)]
    many += [{**STAR, "polygon": [[n, 0], [n + 9, 1], [n + 5, 7]]} for n in range(250)]
    one = statements(lambda: reject(bench, first, [BOX, STAR]))
    # By the work of this process: what else the machine does meanwhile does not count.
    began = time.process_time()
    all_of_them = statements(lambda: reject(bench, second, many))
    assert time.process_time() - began < 5
    assert len(all_of_them) == len(one)
    assert [geometry for _, _, geometry in drawn()[2:]] == [
        one.get("box") or one["polygon"] for one in many
    ]


@pytest.mark.parametrize(
    "regions",
    [
        "BOX",
        [BOX] * (MOST_REGIONS + 1),
        [{**BOX, "box": [1, 2, 3]}],
        [{**BOX, "box": [1, 2, 3, 10**400]}],
        [{**BOX, "box": [1, 2, 3, True]}],
        [{**BOX, "box": [1, 2, 300, 400]}],
        [{**BOX, "view": "top"}],
        [{**BOX, "polygon": STAR["polygon"]}],
        [{**STAR, "polygon": [[0, 0], [1, 1]]}],
        [{"label": "scratch", "view": "main"}],
    ],
)
def test_what_is_no_region_is_refused_and_the_verdict_with_it(bench: Client, regions: Any) -> None:
    two_views()
    [task] = claim(bench)
    answer = reject(bench, task, regions)
    assert answer.status_code == 422, answer.content
    assert drawn() == []


def test_plain_regions_are_read_by_hand_and_odd_ones_are_left_to_the_serializer() -> None:
    body = {"fence": 1, "answer": "CONFIRMED", "disposition": "REWORK"}
    assert bodies.read("DecisionRequest", {**body, "regions": [BOX, STAR]}) is not None
    without_view = {"label": "scratch", "box": [1, 2, 3, 4]}
    assert bodies.read("DecisionRequest", {**body, "regions": [without_view]}) is None
    assert bodies.read("DecisionRequest", {**body, "regions": [{**BOX, "box": "1234"}]}) is None


def test_more_points_than_a_unit_can_wait_for_are_refused(bench: Client) -> None:
    two_views()
    [task] = claim(bench)
    star = [[100 + n % 7, n % 300] for n in range(MOST_POINTS)]
    many = MOST_POINTS_TOGETHER // MOST_POINTS + 1
    answer = reject(bench, task, [{**STAR, "polygon": star}] * many)
    assert answer.status_code == 422, answer.content
    assert "together" in answer.json()["detail"]
