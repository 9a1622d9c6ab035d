"""The line's pages: stations, a station's screen, second opinions, the guide."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from governance.roles import Role
from governance.standing import clamped
from review.line import opinions
from review.models import SecondOpinion
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def lead(client: Client) -> Client:
    """A lead of plant-1, signed in."""
    client.force_login(factories.user(Role.LEAD))
    return client


def test_every_station_is_listed_with_its_state(lead: Client) -> None:
    held = factories.inspection()
    factories.hold(held)
    factories.station(factories.line(code="line-2"))
    page = lead.get("/line/").content.decode()
    assert page.index("line-1 · st-1") < page.index("line-2 · st-1")
    assert "Hold" in page
    assert "Running" in page
    stranger = Client()
    stranger.force_login(factories.user(Role.LEAD, at=factories.site("plant-2")))
    assert "line-1" not in stranger.get("/line/").content.decode()


def test_a_registered_tablet_is_sent_to_its_own_station(client: Client) -> None:
    _device, token = factories.tablet()
    client.cookies["loupe_device"] = token
    assert client.get("/line/").headers["Location"] == "/line/line-1:st-1/"
    page = client.get("/line/line-1:st-1/")
    assert page.status_code == 200
    assert page.context["page"]["is_look_only"] is False
    # Another station's screen is none of its business.
    factories.station(factories.line(code="line-2"))
    assert client.get("/line/line-2:st-1/").status_code == 302


def test_who_has_no_tablet_looks_on(lead: Client) -> None:
    factories.station()
    page = lead.get("/line/st-1/")
    assert page.status_code == 200
    assert page.context["page"]["is_look_only"] is True
    assert lead.get("/line/st-9/").status_code == 404


def test_a_lead_sees_what_came_too_late_and_says_so(lead: Client) -> None:
    device, _token = factories.tablet()
    operator = factories.user(Role.OPERATOR, name="otto")
    kept = opinions.note(
        actor=clamped(operator, device),
        device=device,
        late=opinions.TooLate(
            key=uuid4(),
            said={"kind": "decision", "answer": "CONFIRMED", "disposition": "SCRAP"},
            why=SecondOpinion.Why.TAKEN,
            sentence="Somebody has it.",
            task=factories.task(),
            made_at=timezone.now(),
        ),
        at=timezone.now(),
    )
    page = lead.get("/line/second-opinions/").content.decode()
    assert "Confirmed · Scrap" in page
    assert "otto" in page
    lead.post(f"/line/second-opinions/{kept.uuid}/")
    kept.refresh_from_db()
    assert kept.seen_by is not None


def test_the_guide_names_every_state(lead: Client) -> None:
    page = lead.get("/line/guide/").content.decode()
    for word in ("Running", "Decide", "Capture check", "Hold", "Stopped"):
        assert word in page
