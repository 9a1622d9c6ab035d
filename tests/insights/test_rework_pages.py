"""The list of units in rework, and what a unit's page says of its reworks."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from governance.roles import Role
from insights import rework
from tests import factories
from tests.factories import NOW
from tests.review.test_decisions import ACCEPT, REJECT
from tests.review.test_rework import AFTER, inspected, judge, reworked
from traceability.models import Unit

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader(client: Client) -> Client:
    """A lead's browser."""
    client.force_login(factories.user(Role.LEAD))
    return client


def test_units_in_rework_are_listed_the_longest_first(reader: Client) -> None:
    older, other = reworked(), factories.unit()
    newer = factories.unit()
    judge(inspected(newer), REJECT, at=NOW + timedelta(hours=2))
    page = reader.get("/units/?show=rework").content.decode()
    assert page.index(older.serial) < page.index(newer.serial)
    assert other.serial not in page
    assert "In rework: 2" in page
    found = reader.get(f"/units/?show=rework&q={newer.serial}").content.decode()
    assert older.serial not in found


def test_a_units_page_says_which_inspection_closed_its_rework(reader: Client) -> None:
    unit = reworked()
    page = reader.get(f"/units/{unit.serial}/").content.decode()
    assert "images taken afterwards close it" in page
    again = inspected(unit, at=AFTER)
    judge(again, ACCEPT, at=AFTER)
    page = reader.get(f"/units/{unit.serial}/").content.decode()
    assert f"closed by inspection {again.external_id}: Accept" in page
    assert "images taken afterwards close it" not in page


def test_a_rework_found_bad_again_is_two_of_which_one_is_open() -> None:
    unit = reworked()
    judge(inspected(unit), ACCEPT, at=AFTER)
    second = inspected(unit, at=AFTER)
    judge(second, REJECT, at=AFTER + timedelta(minutes=5))
    now, before = rework.reworks(Unit.objects.get(pk=unit.pk))
    assert (now.ended, before.ended) == (None, now.began)
    assert now.began.inspection == second
