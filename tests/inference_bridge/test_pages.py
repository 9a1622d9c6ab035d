"""Dead letters and policies, as people see them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DataError, OperationalError
from django.test import Client
from psycopg.errors import DeadlockDetected

from governance.access import actor_of
from governance.models import AuditEntry, Grant
from governance.roles import Role
from inference_bridge import facts
from inference_bridge.models import DeadLetter
from inference_bridge.redrive import redrive
from tests import factories
from tests.inference_bridge.conftest import LONG_AGO, give_policy, take
from tests.inference_bridge.messages import event
from traceability.models import Prediction, Site
from traceability.refusals import Conflict


def client(role: Role, site: Site) -> Client:
    browser = Client()
    browser.force_login(factories.user(role, at=site))
    return browser


def redrive_url(letter: DeadLetter | None) -> str:
    return f"/dead-letters/{letter.uuid if letter else uuid.uuid4()}/redrive/"


def test_a_dead_letter_is_shown_with_reason_and_body(plant: Site, now: datetime) -> None:
    take(now, event(now, data__site__line="line-9"))
    page = client(Role.QUALITY_ENGINEER, plant).get("/dead-letters/").content.decode()
    assert "Unknown line" in page
    assert "There is no line line-9 at plant-1." in page
    assert "com.loupe.prediction.v1" in page
    assert "Redrive" in page


def test_who_may_only_look_has_no_button(plant: Site, now: datetime) -> None:
    take(now, event(now, data__site__line="line-9"))
    page = client(Role.AUDITOR, plant).get("/dead-letters/").content.decode()
    assert "line-9" in page
    assert "/redrive/" not in page
    answer = client(Role.AUDITOR, plant).post(redrive_url(DeadLetter.objects.get()))
    assert answer.status_code == 403


def test_letters_of_another_site_are_not_shown(plant: Site, now: datetime) -> None:
    foreign = factories.site("plant-2")
    take(now, event(now, data__site__site="plant-2", data__site__line="line-secret"), "{nowhere")
    engineer = client(Role.QUALITY_ENGINEER, plant)
    page = engineer.get("/dead-letters/").content.decode()
    assert "line-secret" not in page
    # One that names no site is for whoever has a whole site.
    assert "{nowhere" in page
    letter = DeadLetter.objects.get(site=foreign)
    assert engineer.post(redrive_url(letter)).status_code == 404
    assert engineer.post(redrive_url(None)).status_code == 404


def test_who_has_one_line_sees_no_letters_of_nowhere(plant: Site, now: datetime) -> None:
    take(now, "{nowhere")
    lead = factories.user(None)
    Grant.objects.create(user=lead, role=Role.LEAD, site=plant, line=factories.line(plant))
    browser = Client()
    browser.force_login(lead)
    assert "{nowhere" not in browser.get("/dead-letters/").content.decode()


def test_redriving_takes_what_has_been_mended(plant: Site) -> None:
    at = datetime.now(UTC)
    take(at, event(at, data__site__line="line-9"))
    letter = DeadLetter.objects.get()
    engineer = client(Role.QUALITY_ENGINEER, plant)

    still = engineer.post(redrive_url(letter), follow=True).content.decode()
    assert "There is no line line-9" in still
    assert not Prediction.objects.exists()

    factories.line(plant, "line-9")
    mended = engineer.post(redrive_url(letter), follow=True).content.decode()
    assert "The message was taken." in mended
    letter.refresh_from_db()
    assert letter.redriven_at is not None
    assert Prediction.objects.count() == 1
    assert AuditEntry.objects.filter(action="dead_letter.redrive").count() == 2
    assert engineer.post(redrive_url(letter)).status_code == 409


def test_redriving_twice_takes_once(plant: Site, now: datetime) -> None:
    take(now, event(now, data__site__line="line-9"))
    factories.line(plant, "line-9")
    actor = actor_of(factories.user(Role.QUALITY_ENGINEER, at=plant))
    letter = DeadLetter.objects.get()
    assert redrive(actor=actor, letter_id=letter.uuid, at=now).is_taken
    with pytest.raises(Conflict):
        redrive(actor=actor, letter_id=letter.uuid, at=now)
    assert Prediction.objects.count() == 1


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (KeyError("nobody thought of this"), "fault", "Loupe failed on it (KeyError"),
        (DataError("value too long"), "database", "The database refuses it: value too long"),
    ],
)
def test_a_letter_that_faults_again_stays_and_says_so(
    plant: Site, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str, sentence: str
) -> None:
    def fails(*_arguments: object, **_named: object) -> None:
        raise error

    at = datetime.now(UTC)
    engineer = client(Role.QUALITY_ENGINEER, plant)
    with monkeypatch.context() as patch:
        patch.setattr("inference_bridge.facts.record", fails)
        take(at, event(at))
        letter = DeadLetter.objects.get()
        DeadLetter.objects.update(code="unknown_line", reason="as it came")
        answer = engineer.post(redrive_url(letter), follow=True)
    assert answer.status_code == 200
    letter.refresh_from_db()
    assert letter.code == code
    assert letter.reason.startswith(sentence)
    assert letter.redriven_at is None
    engineer.post(redrive_url(letter))
    assert Prediction.objects.count() == 1


def test_redriving_outlives_a_deadlock(
    plant: Site, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(now, event(now, data__site__line="line-9"))
    factories.line(plant, "line-9")
    plain, tries = facts.record, []

    def ended(*arguments: Any, **named: Any) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise OperationalError("deadlock detected") from DeadlockDetected()
        plain(*arguments, **named)

    monkeypatch.setattr("inference_bridge.facts.record", ended)
    actor = actor_of(factories.user(Role.QUALITY_ENGINEER, at=plant))
    assert redrive(actor=actor, letter_id=DeadLetter.objects.get().uuid, at=now).is_taken
    assert len(tries) == 2


def test_a_letter_of_nowhere_brings_nothing_to_a_foreign_site(plant: Site, now: datetime) -> None:
    # Its site was not known when it came; by now it is somebody else's.
    take(now, event(now, data__site__site="plant-2"))
    factories.line(factories.site("plant-2"), "line-1")
    actor = actor_of(factories.user(Role.QUALITY_ENGINEER, at=plant))
    result = redrive(actor=actor, letter_id=DeadLetter.objects.get().uuid, at=now)
    assert not result.is_taken
    assert not Prediction.objects.exists()


def test_an_empty_list_says_so(plant: Site) -> None:
    page = client(Role.QUALITY_ENGINEER, plant).get("/dead-letters/").content.decode()
    assert "Every message could be taken." in page


def test_letters_are_shown_a_page_at_a_time(plant: Site, now: datetime) -> None:
    take(now, *["{"] * 51)
    engineer = client(Role.QUALITY_ENGINEER, plant)
    first = engineer.get("/dead-letters/").content.decode()
    assert first.count('id="letter-') == 50
    older = first.split('href="?before=')[1].split('"')[0]
    assert engineer.get(f"/dead-letters/?before={older}").content.decode().count('id="letter-') == 1
    assert engineer.get("/dead-letters/?before=x" + "9" * 40).status_code == 200


def test_policies_are_shown_with_the_one_in_force(plant: Site) -> None:
    give_policy(plant, LONG_AGO + timedelta(days=1))
    give_policy(plant, datetime.now(UTC) + timedelta(days=1))
    page = client(Role.LEAD, plant).get("/policies/").content.decode()
    assert [page.count(word) for word in ("In force<", "To come<", "Superseded<")] == [1, 1, 1]
    assert "plant-1, version 3" in page


def test_policies_of_another_site_are_not_shown(plant: Site) -> None:
    foreign = factories.site("plant-2")
    page = client(Role.LEAD, foreign).get("/policies/").content.decode()
    assert "plant-1" not in page
    assert "No policy is set" in page
