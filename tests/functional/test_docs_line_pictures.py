"""The line as the documentation shows it, with pictures of the demo part."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from governance.models import Duty, User
from governance.roles import Role
from governance.standing import clamped
from review.line import opinions
from review.models import SecondOpinion
from tests import factories
from tests.functional import line_station
from tests.functional.conftest import Enter
from tests.functional.line_station import PHONE, Floor, in_state
from tests.functional.snapshots import snap
from tests.functional.test_docs_pictures import DESK, ring
from traceability.models import Inspection


class Shown(Floor):
    """A station past which the demo's rings come."""

    def seen(self, *, views: tuple[str, ...] = ("main",), lot: str = "L-0007") -> Inspection:
        """A ring with a scratch."""
        self.made += 1
        of = factories.inspection(factories.unit(lot=lot), on=self.station.line, views=len(views))
        for view in views:
            ring(of, view=view, defect="scratch", seed=6 + self.made)
        return of


@pytest.fixture
def floor() -> Shown:
    """Station st-1, its tablet measured, Olga at it."""
    plain = line_station.floor()
    shown = Shown(plain.station, plain.device, plain.token, plain.operator)
    lena = factories.user(Role.LEAD, name="lena")
    User.objects.filter(pk=lena.pk).update(first_name="Lena", last_name="Voss")
    Duty.objects.create(site=shown.station.site, user=lena, began_at=timezone.now())
    User.objects.filter(pk=shown.operator.pk).update(first_name="Olga", last_name="Band")
    shown.operator.refresh_from_db()
    shown.measured(5.0)
    return shown


@pytest.mark.parametrize("state", ["RUNNING", "DECIDE", "CAPTURE_CHECK", "HOLD", "STOPPED"])
def test_a_station_in_each_state(enter: Enter, floor: Shown, state: str) -> None:
    floor.arrive()
    floor.come_to(state)
    page = floor.open(enter, color_scheme="light")
    in_state(page, state)
    pictures: dict[str, Any] = {
        "RUNNING": lambda: snap(page, "line-running"),
        "DECIDE": lambda: snap(page, "line-decide"),
        "CAPTURE_CHECK": lambda: snap(page, "line-capture-check"),
        "HOLD": lambda: snap(page, "line-hold"),
        "STOPPED": lambda: snap(page, "line-stopped"),
    }
    pictures[state]()


def test_the_line_in_the_dark_and_on_a_phone(enter: Enter, floor: Shown) -> None:
    floor.arrive()
    floor.come_to("DECIDE")
    page = floor.open(enter, theme="dark")
    in_state(page, "DECIDE")
    snap(page, "line-dark")
    page.close()
    page = floor.open(enter, theme="contrast", **PHONE)
    in_state(page, "DECIDE")
    snap(page, "line-phone")


def test_badge_and_pin(enter: Enter, floor: Shown) -> None:
    floor.passed()
    floor.give_pin(floor.operator)
    page = floor.open(enter, color_scheme="light")
    page.get_by_label("Or type its number").fill(floor.operator.badge)
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("button", name="7", exact=True)).to_be_visible()
    snap(page, "line-pin")


def test_a_lead_looks_after_the_line(enter: Enter, floor: Shown) -> None:
    floor.arrive()
    for state in ("HOLD", "DECIDE", "STOPPED"):
        floor.come_to(state)
    factories.station(factories.line(code="line-2"))
    opinions.note(
        actor=clamped(floor.operator, floor.device),
        device=floor.device,
        late=opinions.TooLate(
            key=uuid4(),
            said={"kind": "decision", "answer": "FALSE_CALL", "disposition": "ACCEPT"},
            why=SecondOpinion.Why.DECIDED,
            sentence="Ines decided SN-000311 before: Confirmed, Rework.",
            task=floor.left(),
            made_at=timezone.now(),
        ),
        at=timezone.now(),
    )
    lena = User.objects.get(username="lena")
    page = enter(lena, "/line/", **DESK)
    snap(page, "line-stations")
    page.goto("/line/second-opinions/")
    snap(page, "line-second-opinions")
    page.goto("/line/calls/")
    snap(page, "line-calls")
    page.goto("/line/guide/")
    snap(page, "line-guide")
    page.goto("/tablets/")
    snap(page, "tablets")
    page.goto("/handover/")
    snap(page, "handover")
