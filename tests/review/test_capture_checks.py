"""Unfit images open a station's check; it says what to clean, and fit images close it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance import audit
from governance.access import Actor, system
from governance.models import AuditEntry
from governance.roles import Role
from review.line import checks
from review.line.checks import Fitness
from review.models import CaptureCheck, ReviewTask, TaskKind
from tests import factories
from tests.inference_bridge.conftest import plant, take
from tests.inference_bridge.messages import event
from traceability.identifiers import new_id
from traceability.models import Inspection, Site, Station
from traceability.refusals import Unknown

__all__ = ["plant"]

pytestmark = pytest.mark.django_db
UNFIT = {"sharpness": 0.1, "exposure": 0.5, "glare": 0.05, "framing": 0.95, "verdict": "unfit"}


@pytest.fixture
def station() -> Station:
    return factories.station()


@pytest.fixture
def inspection(station: Station) -> Inspection:
    return factories.inspection(on=station.line)


@pytest.fixture
def operator(station: Station) -> Actor:
    return factories.actor(Role.OPERATOR, on=station.line)


def shots(inspection: Inspection, fits: Sequence[bool], **quality: Any) -> list[Fitness]:
    """Images of a station, one after the other."""
    assert inspection.station_id is not None
    return [
        Fitness(
            station_id=inspection.station_id,
            line_id=inspection.line_id,
            site_id=inspection.site_id,
            capture_id=factories.capture(inspection, view=f"v-{new_id()}").pk,
            is_fit=is_fit,
            quality={"verdict": "ok"} if is_fit else {**UNFIT, **quality},
        )
        for is_fit in fits
    ]


def see(seen: Sequence[Fitness], at: datetime) -> None:
    with audit.recorded(actor=system("test"), at=at) as trail:
        trail.nothing_changed()
        checks.saw(trail=trail, seen=seen, at=at)


def counted(station: Station) -> tuple[int, int] | None:
    check = checks.open_at(station.pk)
    return (check.unfit, check.fit) if check else None


def test_an_unfit_image_opens_a_check_and_fit_ones_close_it(
    station: Station, inspection: Inspection, now: datetime
) -> None:
    see(shots(inspection, [True, True]), now)
    assert counted(station) is None
    see(shots(inspection, [False]), now)
    assert counted(station) == (1, 0)
    see(shots(inspection, [True]), now)
    assert counted(station) == (1, 1)
    later = now + timedelta(minutes=1)
    see(shots(inspection, [True]), later)
    assert counted(station) is None
    assert CaptureCheck.objects.get().closed_at == later


def test_the_fit_ones_count_in_a_row_only(
    station: Station, inspection: Inspection, now: datetime
) -> None:
    see(shots(inspection, [False, True, False, True]), now)
    assert counted(station) == (2, 1)


def test_a_further_unfit_image_becomes_the_one_that_is_shown(
    station: Station, inspection: Inspection, now: datetime
) -> None:
    see(shots(inspection, [False]), now)
    second = shots(inspection, [False], sharpness=0.9, glare=0.8)
    see(second, now)
    check = checks.open_at(station.pk)
    assert check is not None
    assert (check.capture_id, check.causes) == (second[0].capture_id, ["glare"])


def test_one_batch_may_open_close_and_open_again(
    station: Station, inspection: Inspection, now: datetime
) -> None:
    see(shots(inspection, [False, True, True, False]), now)
    assert CaptureCheck.objects.count() == 2
    assert counted(station) == (1, 0)


def test_stations_do_not_count_for_each_other(
    station: Station, inspection: Inspection, now: datetime
) -> None:
    other = factories.inspection(on=factories.line(station.site, "line-2"))
    see([*shots(inspection, [False]), *shots(other, [True, True])], now)
    assert counted(station) == (1, 0)
    assert CaptureCheck.objects.count() == 1


def statements(inspections: Sequence[Inspection], fits: Sequence[bool], at: datetime) -> int:
    seen = [shot for each in inspections for shot in shots(each, fits)]
    with audit.recorded(actor=system("test"), at=at) as trail:
        trail.nothing_changed()
        with CaptureQueriesContext(connection) as asked:
            checks.saw(trail=trail, seen=seen, at=at)
    return len(asked)


def test_one_look_up_is_all_while_everything_is_fit(inspection: Inspection, now: datetime) -> None:
    assert statements([inspection], [True] * 20, now) == 1


def test_many_unfit_images_of_many_stations_cost_what_one_costs(now: datetime) -> None:
    lines = [factories.line(code=f"line-{n}") for n in range(6)]
    inspections = [factories.inspection(on=line) for line in lines]
    assert statements(inspections[:1], [False], now) == 4
    assert statements(inspections[1:], [False] * 5, now) == 4


def done(actor: Actor, check: CaptureCheck, at: datetime, **fields: Any) -> CaptureCheck:
    values = {"key": new_id(), "made_at": at, **fields}
    return checks.done(actor=actor, check_id=check.uuid, at=at, **values)


def test_the_operator_says_what_he_has_done_and_the_same_press_says_it_once(
    operator: Actor, station: Station, inspection: Inspection, now: datetime
) -> None:
    see(shots(inspection, [False]), now)
    check = CaptureCheck.objects.get()
    key = new_id()
    for _time in range(2):
        said = done(operator, check, now, key=key)
    assert (said.done_by_id, said.done_at) == (operator.user_id, now)
    assert AuditEntry.objects.filter(action="capture_check.done").count() == 1
    assert counted(station) == (1, 0)


def test_an_unfit_image_after_it_was_cleaned_asks_again_and_the_old_press_does_not_count(
    operator: Actor, inspection: Inspection, now: datetime
) -> None:
    see(shots(inspection, [False]), now)
    check = CaptureCheck.objects.get()
    key = new_id()
    done(operator, check, now, key=key)
    see(shots(inspection, [False]), now)
    check.refresh_from_db()
    assert (check.done_at, check.done_by, check.unfit) == (None, None, 2)
    assert AuditEntry.objects.filter(action="capture_check.ask_again").count() == 1
    assert done(operator, check, now, key=key).done_at is None
    assert done(operator, check, now).done_at == now


def test_a_check_of_another_line_is_not_there(inspection: Inspection, now: datetime) -> None:
    see(shots(inspection, [False]), now)
    elsewhere = factories.actor(Role.OPERATOR, on=factories.line(code="line-9"))
    with pytest.raises(Unknown):
        done(elsewhere, CaptureCheck.objects.get(), now)


def test_what_is_over_needs_no_more_words(
    operator: Actor, inspection: Inspection, now: datetime
) -> None:
    see(shots(inspection, [False, True, True]), now)
    assert done(operator, CaptureCheck.objects.get(), now).done_at is None


@pytest.mark.parametrize(
    ("quality", "causes"),
    [
        ({"sharpness": 0.1}, ["blurred"]),
        ({"exposure": 0.1}, ["dark"]),
        ({"exposure": 0.97}, ["bright"]),
        ({"glare": 0.7}, ["glare"]),
        ({"framing": 0.2, "sharpness": 0.2}, ["blurred", "framing"]),
        ({"sharpness": 0.9, "exposure": 0.5, "glare": 0.1, "framing": 1.0}, ["unclear"]),
        ({}, ["unclear"]),
        # On another scale, or no number at all: it says nothing here.
        ({"sharpness": 240.0, "glare": "much", "framing": True}, ["unclear"]),
    ],
)
def test_the_figures_point_at_causes(quality: dict[str, Any], causes: list[str]) -> None:
    assert checks.causes_of(quality) == causes


def test_steps_are_orders_and_the_last_is_the_next_picture() -> None:
    assert checks.steps_of(["dark", "framing"]) == [
        "Check that the lamp is on.",
        "Push the part against the stop.",
        "Take the picture again.",
    ]
    for causes in (["unclear"], [], ["a cause of a later release"]):
        steps = checks.steps_of(causes)
        assert steps[0] == "Clean the lens."
        assert len(steps) == 3


def test_an_event_with_an_unfit_image_opens_the_check_beside_the_benchs_question(
    plant: Site, now: datetime
) -> None:
    take(now, event(now, score=0.05, data__capture__quality=UNFIT), event(now, score=0.05))
    check = CaptureCheck.objects.get()
    assert (check.station.code, check.causes) == ("st-1", ["blurred"])
    assert (check.unfit, check.fit) == (1, 1)
    assert ReviewTask.objects.get(site=plant).kind == TaskKind.CAPTURE_CHECK
    take(now, event(now, score=0.05))
    check.refresh_from_db()
    assert check.closed_at == now


def test_an_event_that_names_no_station_asks_nobody(plant: Site, now: datetime) -> None:
    nowhere = {"site": "plant-1", "line": "line-1"}
    take(now, event(now, data__capture__quality=UNFIT, data__site=nowhere))
    assert CaptureCheck.objects.count() == 0
