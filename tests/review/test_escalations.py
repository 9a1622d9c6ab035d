"""A lead's answer finds its way back to the inspector who asked."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from governance.access import actor_of
from governance.models import User
from governance.roles import Role
from review import decisions
from review.models import Escalation, ReviewTask
from review.queue import Lease
from review.verdicts import Verdict
from tests import factories
from tests.review.test_comments import claimed, client_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def ines() -> User:
    return factories.user(name="ines")


@pytest.fixture
def lead() -> User:
    return factories.user(Role.LEAD, name="leo")


def decide(client: Client, task: dict[str, Any], **fields: Any) -> Any:
    body = {"fence": task["fence"], "answer": "FALSE_CALL", "disposition": "ACCEPT", **fields}
    key = {"Idempotency-Key": str(uuid.uuid4())}
    path = f"/api/v1/review/tasks/{task['id']}/decision"
    return client.post(path, body, "application/json", headers=key)


def escalate(client: Client, comment: str = "") -> dict[str, Any]:
    [task] = claimed(client)
    body = {"fence": task["fence"], "comment": comment}
    path = f"/api/v1/review/tasks/{task['id']}/escalate"
    assert client.post(path, body, "application/json").status_code == 204
    return task


def unseen(client: Client) -> int:
    number: int = client.get("/api/v1/review/queue").json()["answers"]
    return number


def answers(client: Client, **query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/api/v1/review/answers", query).json()["answers"]
    return found


def answer_of_the_lead(lead: User, at_age: timedelta, **fields: Any) -> None:
    """The lead judges the one task there is; his undo window closed `at_age` ago."""
    client = client_of(lead)
    [task] = claimed(client)
    held = ReviewTask.objects.get(uuid=task["id"])
    values = {"answer": "CONFIRMED", "disposition": "REWORK", "comment": "Too deep.", **fields}
    decisions.decide(
        actor=actor_of(lead),
        held=Lease(held.uuid, held.fence),
        verdict=Verdict(**values),
        key=str(uuid.uuid4()),
        undo_window=timedelta(),
        at=timezone.now() - at_age,
    )


def test_the_answer_is_counted_listed_and_marked_as_seen(ines: User, lead: User) -> None:
    task = factories.task()
    client = client_of(ines)
    escalate(client, "Within the limit?")
    assert (unseen(client), answers(client)) == (0, [])
    answer_of_the_lead(lead, timedelta(seconds=1))
    assert unseen(client) == 1
    [answer] = answers(client)
    assert answer["serial"] == task.unit.serial
    assert (answer["asked"], answer["remark"]) == ("Within the limit?", "Too deep.")
    assert (answer["answer"], answer["disposition"]) == ("CONFIRMED", "REWORK")
    assert (answer["by"], answer["is_seen"]) == ("leo", False)
    body = {"seen": [answer["id"]]}
    left = client.post("/api/v1/review/answers", body, "application/json")
    assert left.json() == {"unseen": 0}
    assert answers(client)[0]["is_seen"]


def test_what_an_inspector_could_not_tell_is_answered_too(ines: User, lead: User) -> None:
    factories.task()
    client = client_of(ines)
    [task] = claimed(client)
    said = decide(client, task, answer="INCONCLUSIVE", disposition="HOLD", comment="Blurred.")
    assert said.status_code == 201
    answer_of_the_lead(lead, timedelta(seconds=1))
    assert [a["asked"] for a in answers(client)] == ["Blurred."]


def test_an_escalation_by_a_verdict_taken_back_is_forgotten(ines: User) -> None:
    factories.task()
    client = client_of(ines)
    [task] = claimed(client)
    said = decide(client, task, answer="INCONCLUSIVE", disposition="HOLD").json()
    assert Escalation.objects.count() == 1
    back = client.post(f"/api/v1/review/decisions/{said['decision']}/undo")
    assert back.status_code == 200
    assert not Escalation.objects.exists()


def test_an_answer_is_final_before_it_is_told(ines: User, lead: User) -> None:
    factories.task()
    client = client_of(ines)
    escalate(client)
    other = client_of(lead)
    [task] = claimed(other)
    decide(other, task)
    assert (unseen(client), answers(client)) == (0, [])


def test_others_escalations_are_not_mine(ines: User, lead: User) -> None:
    factories.task()
    escalate(client_of(factories.user()))
    answer_of_the_lead(lead, timedelta(seconds=1))
    client = client_of(ines)
    assert (unseen(client), answers(client)) == (0, [])
    [row] = Escalation.objects.all()
    client.post("/api/v1/review/answers", {"seen": [str(row.uuid)]}, "application/json")
    row.refresh_from_db()
    assert row.seen_at is None


def test_only_what_is_new_is_asked_for(ines: User, lead: User) -> None:
    factories.task()
    client = client_of(ines)
    escalate(client)
    answer_of_the_lead(lead, timedelta(minutes=5))
    assert len(answers(client, since=(timezone.now() - timedelta(hours=1)).isoformat())) == 1
    assert answers(client, since=timezone.now().isoformat()) == []


def test_an_undo_repeated_answers_the_same_task(ines: User) -> None:
    factories.task()
    client = client_of(ines)
    [task] = claimed(client)
    said = decide(client, task).json()
    path = f"/api/v1/review/decisions/{said['decision']}/undo"
    first, again = client.post(path), client.post(path)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["task"]["fence"] == again.json()["task"]["fence"]
    body = {"fence": again.json()["task"]["fence"]}
    client.post(f"/api/v1/review/tasks/{task['id']}/release", body, "application/json")
    assert client.post(path).status_code == 409
