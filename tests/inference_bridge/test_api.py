"""Predictions by HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from knox.models import AuthToken

from governance.models import Grant
from governance.roles import Role
from inference_bridge.models import DeadLetter
from tests import factories
from tests.inference_bridge.messages import event, text
from traceability.models import Line, Prediction, Site

URL = "/api/v1/predictions"


@pytest.fixture
def at() -> datetime:
    """The server's own time is what an HTTP request meets."""
    return datetime.now(UTC)


@pytest.fixture
def token(plant: Site) -> str:
    machine = factories.user(Role.MACHINE, at=plant)
    _row, token = AuthToken.objects.create(machine)
    return str(token)


def post(body: Any, token: str = "") -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return Client().post(URL, text(body), content_type="application/json", headers=headers)


def test_an_event_is_durable_when_it_is_answered(token: str, at: datetime) -> None:
    sent = event(at)
    answer = post(sent, token)
    assert answer.status_code == 201
    [result] = answer.json()["results"]
    assert (result["id"], result["status"], result["route"]) == (sent["id"], "taken", "REVIEW")
    assert Prediction.objects.get().event_id == sent["id"]


def test_the_same_event_again_is_no_error(token: str, at: datetime) -> None:
    sent = event(at)
    post(sent, token)
    answer = post(sent, token)
    assert (answer.status_code, answer.json()["results"][0]["status"]) == (200, "repeated")
    assert Prediction.objects.count() == 1


def test_each_event_of_a_list_has_its_outcome(token: str, at: datetime) -> None:
    answer = post([event(at), {"hello": 1}, event(at, data__site__line="line-9")], token)
    assert answer.status_code == 207
    results = answer.json()["results"]
    assert [r["status"] for r in results] == ["taken", "refused", "refused"]
    assert [r["code"] for r in results] == ["", "not_an_event", "unknown_line"]
    assert post([event(at), event(at)], token).status_code == 201
    # Who sent it was told; nothing is left for anybody else to mend.
    assert not DeadLetter.objects.exists()


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"data__outcome__score": 3}, 422, "schema"),
        ({"data__site__site": "plant-9"}, 404, "unknown_site"),
        ({"data__site__line": "line-9"}, 404, "unknown_line"),
        ({"subject": "a\x00b"}, 422, "nul"),
    ],
)
def test_one_event_alone_is_refused_with_a_status(
    token: str, at: datetime, changes: dict[str, Any], status: int, code: str
) -> None:
    answer = post(event(at, **changes), token)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["detail"].endswith(".")


@pytest.mark.parametrize("body", ["{", "[]", "", "[" * 50_000, "\x00", json.dumps([1] * 101)])
def test_a_body_that_holds_no_events_is_refused(token: str, body: str) -> None:
    answer = post(body, token)
    assert answer.status_code == 422
    assert answer.json()["detail"]


def test_an_id_used_again_is_a_conflict(token: str, at: datetime) -> None:
    sent = event(at)
    post(sent, token)
    assert post({**sent, "subject": "another"}, token).status_code == 409


def test_a_foreign_site_looks_like_none(token: str, at: datetime) -> None:
    foreign = factories.site("plant-2")
    factories.line(foreign, "line-1")
    there = post(event(at, data__site__site="plant-2"), token)
    nowhere = post(event(at, data__site__site="plant-3"), token)
    assert (there.status_code, nowhere.status_code) == (404, 404)
    assert there.json()["detail"].replace("plant-2", "plant-3") == nowhere.json()["detail"]
    assert not Prediction.objects.exists()


@pytest.mark.parametrize("changes", [{}, {"subject": "another"}])
def test_nobody_learns_which_events_a_foreign_place_has_sent(
    token: str, at: datetime, plant: Site, changes: dict[str, str]
) -> None:
    factories.line(factories.site("plant-2"), "line-1")
    other = factories.user(Role.MACHINE, at=Site.objects.get(code="plant-2"))
    _row, foreign = AuthToken.objects.create(other)
    sent = event(at)
    assert post(sent, token).status_code == 201
    known, fresh = post({**sent, **changes}, str(foreign)), post(event(at), str(foreign))
    assert (known.status_code, known.json()) == (fresh.status_code, fresh.json())
    assert known.json()["code"] == "unknown_site"

    mine = factories.user(None)
    elsewhere = factories.line(plant, "line-2")
    Grant.objects.create(user=mine, role=Role.MACHINE, site=plant, line=elsewhere)
    _row, of_a_line = AuthToken.objects.create(mine)
    assert post({**sent, **changes}, str(of_a_line)).json()["code"] == "unknown_line"


def test_a_machine_of_one_line_sends_for_that_line_alone(plant: Site, at: datetime) -> None:
    Site.objects.filter(pk=plant.pk).update(self_registration=True)
    own = factories.line(plant, "line-1")
    factories.line(plant, "line-2")
    machine = factories.user(None)
    Grant.objects.create(user=machine, role=Role.MACHINE, site=plant, line=own)
    _row, token = AuthToken.objects.create(machine)
    assert post(event(at), str(token)).status_code == 201
    for other in ("line-2", "line-new"):
        assert post(event(at, data__site__line=other), str(token)).status_code == 404
    assert not Line.objects.filter(code="line-new").exists()


def test_nobody_sends_without_the_capability(plant: Site, at: datetime) -> None:
    assert post(event(at)).status_code == 401
    for role in Role:
        if role is not Role.MACHINE:
            _row, token = AuthToken.objects.create(factories.user(role, at=plant))
            assert post(event(at), str(token)).status_code == 403
    assert not Prediction.objects.exists()
