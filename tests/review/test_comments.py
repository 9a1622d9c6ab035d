"""Notes on a unit: everyone who judges it reads them, but for whom they would spoil the verdict."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from governance.models import AuditEntry, User
from governance.roles import Role
from review.models import Comment, ReviewTask
from tests import factories

pytestmark = pytest.mark.django_db


def client_of(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def write(client: Client, task: ReviewTask, text: str) -> Any:
    return client.post(
        f"/api/v1/review/tasks/{task.uuid}/comments", {"text": text}, "application/json"
    )


def claimed(client: Client) -> list[dict[str, Any]]:
    answer = client.post("/api/v1/review/claims", {"count": 4}, "application/json")
    tasks: list[dict[str, Any]] = answer.json()["tasks"]
    return tasks


def test_a_comment_is_in_the_next_inspectors_task_and_in_the_audit() -> None:
    task = factories.task()
    author = factories.user(name="ada")
    assert write(client_of(author), task, "  Under the label.  ").status_code == 201
    [shown] = claimed(client_of(factories.user()))
    [comment] = shown["comments"]
    assert (comment["by"], comment["text"]) == ("ada", "Under the label.")
    assert AuditEntry.objects.get(action="unit.comment").subject == task.unit.serial


def test_a_comment_on_the_first_inspection_is_shown_with_the_second() -> None:
    first = factories.task()
    write(client_of(factories.user()), first, "Look at the rim.")
    ReviewTask.objects.filter(pk=first.pk).update(state="CLOSED")
    factories.task(factories.inspection(first.unit))
    [shown] = claimed(client_of(factories.user()))
    assert [c["text"] for c in shown["comments"]] == ["Look at the rim."]


@pytest.mark.parametrize("fields", [{"is_blind": True}, {"purpose": "CONTROL"}])
def test_who_must_judge_for_himself_reads_no_comment(fields: dict[str, Any]) -> None:
    task = factories.task()
    write(client_of(factories.user()), task, "It is a scratch.")
    ReviewTask.objects.filter(pk=task.pk).update(**fields)
    for shown in claimed(client_of(factories.user())):
        assert shown["comments"] == []


@pytest.mark.parametrize("text", ["", "   ", "x" * 1001])
def test_an_empty_or_endless_comment_is_refused(text: str) -> None:
    task = factories.task()
    assert write(client_of(factories.user()), task, text).status_code == 422
    assert not Comment.objects.exists()


def test_a_task_of_another_line_cannot_be_commented_on() -> None:
    task = factories.task()
    stranger = factories.user(Role.INSPECTOR, on=factories.line(code="line-2"))
    assert write(client_of(stranger), task, "Hello.").status_code == 404
    assert not Comment.objects.exists()
