"""A unit is found by serial or lot, and its page tells all that happened to it."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from governance.access import actor_of
from governance.roles import Role
from review import decisions, queue
from review.models import Answer, ReviewTask
from review.queue import Lease
from review.verdicts import Verdict
from tests import factories
from traceability.models import Capture, DispositionKind, Line, Site, Unit

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def signed_in(role: Role | None, *, at: Site | None = None, on: Line | None = None) -> Client:
    client = Client()
    client.force_login(factories.user(role, at=at, on=on))
    return client


def found(client: Client, text: str = "") -> str:
    answer = client.get("/units/", {"q": text})
    assert answer.status_code == 200
    return answer.content.decode()


def judged(serial: str, *, lot: str = "") -> Unit:
    """A unit an inspector has confirmed a scratch on."""
    unit = factories.unit(serial, lot=lot)
    task = factories.task(factories.inspection(unit), score=0.613)
    judge = factories.actor()
    [held] = queue.claim(actor=judge, site=unit.site, count=1, lease=MINUTE, at=timezone.now())
    decisions.decide(
        actor=judge,
        held=Lease(task.uuid, held.fence),
        verdict=Verdict(
            answer=Answer.CONFIRMED, disposition=DispositionKind.REWORK, comment="Deep scratch"
        ),
        key=str(uuid4()),
        undo_window=MINUTE,
        at=timezone.now(),
    )
    return unit


def test_units_are_found_by_serial_and_by_lot() -> None:
    factories.unit("SN-A1", lot="L-7")
    factories.unit("SN-A2", lot="L-7")
    factories.unit("SN-B1")
    client = signed_in(Role.OPERATOR)
    assert "SN-B1" in found(client)
    for text, shown in {
        "SN-A1": {"SN-A1"},
        "L-7": {"SN-A1", "SN-A2"},
        "SN-A": {"SN-A1", "SN-A2"},
        " SN-B1 ": {"SN-B1"},
    }.items():
        page = found(client, text)
        assert {s for s in ("SN-A1", "SN-A2", "SN-B1") if f">{s}<" in page} == shown
    assert "No such unit" in found(client, "nothing")


def test_the_page_tells_the_whole_story() -> None:
    judged("SN-1", lot="L-7")
    page = signed_in(Role.OPERATOR).get("/units/SN-1/").content.decode()
    for fact in (
        "P-4711 C",
        "L-7",
        "casting 1",
        "0.613",
        "Confirmed",
        "Deep scratch",
        "Rework",
        "Waiting",
        '<img src="/images/',
        "line-1",
    ):
        assert fact in page, fact


def test_a_refused_image_says_why_instead_of_showing_it() -> None:
    inspection = factories.inspection(factories.unit("SN-1"))
    factories.capture(inspection, preview=Capture.Preview.REFUSED, preview_refusal="It is damaged.")
    page = signed_in(Role.OPERATOR).get("/units/SN-1/").content.decode()
    assert "It is damaged." in page
    assert "<img" not in page


def test_a_serial_may_hold_a_slash() -> None:
    factories.unit("A/B 7")
    client = signed_in(Role.OPERATOR)
    assert "/units/A/B%207/?site=plant-1" in found(client, "A/B 7")
    assert client.get("/units/A/B%207/?site=plant-1").status_code == 200


def test_the_site_chooses_between_equal_serials() -> None:
    other = factories.site("plant-2")
    factories.unit("SN-1", lot="HERE")
    factories.unit("SN-1", at=other, lot="THERE")
    user = factories.user(Role.OPERATOR)
    user.grants.create(role=Role.OPERATOR, site=other)
    client = Client()
    client.force_login(user)
    assert "HERE" in client.get("/units/SN-1/?site=plant-1").content.decode()
    assert "THERE" in client.get("/units/SN-1/?site=plant-2").content.decode()


def test_units_of_another_site_do_not_exist() -> None:
    judged("SN-1", lot="L-7")
    client = signed_in(Role.OPERATOR, at=factories.site("plant-2"))
    for text in ("", "SN-1", "L-7"):
        assert ">SN-1<" not in found(client, text)
    assert client.get("/units/SN-1/").status_code == 404
    assert client.get("/units/SN-1/?site=plant-1").status_code == 404


def test_a_line_s_people_see_what_their_line_inspected() -> None:
    judged("SN-1")
    mine = signed_in(Role.OPERATOR, on=factories.line())
    beside = signed_in(Role.OPERATOR, on=factories.line(code="line-2"))
    assert "SN-1" in found(mine, "SN-1")
    assert mine.get("/units/SN-1/").status_code == 200
    assert ">SN-1<" not in found(beside, "SN-1")
    assert beside.get("/units/SN-1/").status_code == 404


def test_strangers_wrong_roles_and_wrong_methods_get_nowhere() -> None:
    factories.unit("SN-1")
    for path in ("/units/", "/units/SN-1/"):
        assert Client().get(path).status_code == 302
        assert signed_in(Role.MACHINE).get(path).status_code == 403
        assert signed_in(None).get(path).status_code == 403
        assert signed_in(Role.ADMIN).post(path).status_code == 405


def test_a_longer_story_takes_no_more_queries() -> None:
    unit = judged("SN-1")
    client = signed_in(Role.OPERATOR)
    client.get("/units/SN-1/")
    with CaptureQueriesContext(connection) as short:
        client.get("/units/SN-1/")
    for _turn in range(4):
        inspection = factories.inspection(unit, views=2)
        for view in ("top", "side"):
            factories.prediction(factories.capture(inspection, view=view))
    with CaptureQueriesContext(connection) as long:
        client.get("/units/SN-1/")
    assert len(long) == len(short)


def test_who_is_judging_a_part_learns_nothing_of_it_from_its_page() -> None:
    inspector, unit = factories.user(), judged("SN-42")
    second = ReviewTask.objects.get()
    second.pk, second.uuid, second.purpose, second.state = None, uuid4(), "SECOND", "QUEUED"
    second.save()
    client = Client()
    client.force_login(inspector)
    told = ("Deep scratch", "0.613", "Rework")
    page = client.get(f"/units/{unit.serial}/").content.decode()
    assert all(words in page for words in told)
    actor = actor_of(inspector)
    [held] = queue.claim(actor=actor, site=unit.site, count=1, lease=MINUTE, at=timezone.now())
    page = client.get(f"/units/{unit.serial}/").content.decode()
    assert not any(words in page for words in told)
    assert "after your verdict" in page
    colleague = signed_in(Role.INSPECTOR).get(f"/units/{unit.serial}/").content.decode()
    assert all(words in colleague for words in told)
    queue.release(actor=actor, held=Lease(held.uuid, held.fence), at=timezone.now())
