"""The plant in one look: right, scoped, and at a cost that does not grow with the plant."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from governance.access import actor_of
from governance.roles import Role
from insights import plant_overview
from labeling.models import Dataset
from mes_integration.models import WriteBack
from review import queue
from tests import factories
from tests.mes_integration.plant import enqueued
from traceability.models import Route, Unit

pytestmark = pytest.mark.django_db


def test_the_most_urgent_deadline_leads_the_queue(now: datetime) -> None:
    factories.tasks(2, deadline=now + timedelta(minutes=30))
    factories.task(deadline=now + timedelta(minutes=5))
    queue = plant_overview.queue(actor=factories.actor(Role.OPERATOR), site=factories.site())
    assert (queue.waiting, queue.oldest_deadline) == (3, now + timedelta(minutes=5))


def test_an_operator_of_one_line_sees_that_line_alone() -> None:
    mine, other = factories.line(code="line-1"), factories.line(code="line-2")
    factories.task(on=mine)
    factories.tasks(2, on=other)
    actor = factories.actor(Role.OPERATOR, on=mine)
    assert plant_overview.queue(actor=actor, site=factories.site()).waiting == 1
    assert plant_overview.doubt(actor=actor, site=factories.site()).seen == 1
    assert plant_overview.on_hold(actor=actor, site=factories.site()) is None


def test_what_the_mes_has_not_taken_names_its_oldest_and_where_that_should_go() -> None:
    at = factories.NOW
    actor, site = factories.actor(), factories.site()
    assert plant_overview.unacknowledged(actor=actor, site=site, at=at).count == 0
    old, young = enqueued(at=at - timedelta(seconds=301)), enqueued(at=at)
    WriteBack.objects.filter(pk=old.pk).update(target="qms", state="REJECTED")
    found = plant_overview.unacknowledged(actor=actor, site=site, at=at)
    assert (found.count, found.stuck, found.target, found.is_late) == (2, 1, "qms", True)
    WriteBack.objects.filter(pk=old.pk).update(state="UNCERTAIN")
    assert plant_overview.unacknowledged(actor=actor, site=site, at=at).stuck == 0
    WriteBack.objects.filter(pk=old.pk).update(state="WITHDRAWN", settled_at=at)
    found = plant_overview.unacknowledged(actor=actor, site=site, at=at)
    assert (found.oldest, found.target, found.is_late) == (young.enqueued_at, "mes", False)


def test_units_on_hold_are_counted_for_the_site() -> None:
    held = factories.unit()
    factories.unit()
    Unit.objects.filter(pk=held.pk).update(disposition="HOLD", held_since=factories.NOW)
    assert plant_overview.on_hold(actor=factories.actor(), site=factories.site()) == 1


def test_the_newer_model_comes_first_and_its_doubt_is_its_own(now: datetime) -> None:
    seen = factories.capture()
    for number in range(20):
        is_old = number < 10
        factories.prediction(
            seen,
            model_version=factories.model_version(version="1" if is_old else "2"),
            route=Route.REVIEW if is_old and number < 5 else Route.PASS,
            received_at=now + timedelta(seconds=number),
        )
    doubt = plant_overview.doubt(actor=factories.actor(), site=factories.site())
    assert [(v.version, r.hits, r.of) for v, r in doubt.models] == [("2", 0, 10), ("1", 5, 10)]
    assert [s.rate.of for s in doubt.course] == [10, 10]


def test_another_sites_figures_are_not_shown(client: Client) -> None:
    factories.tasks(3, on=factories.line(factories.site("plant-2")))
    client.force_login(factories.user(Role.OPERATOR))
    assert client.get("/live/", {"site": "plant-2"}).status_code == 404
    shown = client.get("/live/").context
    assert (shown["queue"].waiting, shown["doubt"].seen) == (0, 0)


def test_the_page_asks_as_much_for_twenty_units_as_for_one(client: Client) -> None:
    person = factories.user(Role.QUALITY_ENGINEER)
    Dataset.objects.create(site=factories.site(), slug="casting", name="Casting")
    client.force_login(person)
    factories.task()
    with CaptureQueriesContext(
        connection,
    ) as one:
        assert client.get("/live/").status_code == 200
    factories.tasks(20)
    with CaptureQueriesContext(connection) as twenty:
        assert client.get("/live/").status_code == 200
    assert len(twenty) == len(one) <= 22


@pytest.mark.parametrize("page", ["/live/", "/units/"])
def test_who_judges_a_unit_learns_nothing_of_it_here(client: Client, page: str) -> None:
    person = factories.user(Role.INSPECTOR)
    task = factories.task(score=0.4242)
    Unit.objects.filter(pk=task.unit_id).update(disposition="HOLD", held_since=factories.NOW)
    client.force_login(person)
    before = client.get(page).content.decode()
    assert "Hold" in before or "0.42" in before
    queue.claim(
        actor=actor_of(person),
        site=task.site,
        count=1,
        lease=timedelta(minutes=1),
        at=timezone.now(),
    )
    after = client.get(page).content.decode()
    assert task.unit.serial in after
    assert "on your bench" in after
    assert "0.42" not in after
    assert 'state--hold">Hold' not in after


def test_an_empty_plant_says_what_happens_next(client: Client) -> None:
    client.force_login(factories.user(Role.OPERATOR))
    page = client.get("/").content.decode()
    assert "No part has come down the line yet" in page


def test_a_german_sees_german_numbers_and_unbroken_drawings(
    client: Client, settings: Settings
) -> None:
    factories.task(score=0.61)
    client.force_login(factories.user(Role.OPERATOR))
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = "de"
    page = client.get("/").content.decode()
    assert "0,61" in page
    drawing = page.split('<svg class="course"', 1)[1].split("</svg>", 1)[0]
    assert "," not in drawing.split(">", 1)[1]
