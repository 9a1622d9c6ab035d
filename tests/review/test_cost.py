"""What a claim and a verdict cost, whatever the number of tasks and the length of the queue."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIRequestFactory

from benchmarks import backlog
from benchmarks.floor_views import LiteralClaim, LiteralDecision
from governance.access import actor_of
from governance.models import AuditEntry, Grant, User
from review import queue
from review.models import Decision
from review.queue import Lease
from tests import factories
from tests.review.test_decisions import decide as decide_directly
from tests.review.test_queue import LEASE
from traceability.models import Site

pytestmark = pytest.mark.django_db

CLAIM = 6
DECIDE = 13


def statements(call: Callable[[], Any]) -> list[str]:
    """The verb and the table of each statement."""
    with CaptureQueriesContext(connection) as captured:
        call()
    return [shape(query["sql"]) for query in captured.captured_queries]


def shape(sql: str) -> str:
    plain = re.sub(r"\s+", " ", sql).replace('"', "").strip()
    if plain.startswith(("SAVEPOINT", "RELEASE")):
        return plain.split()[0]
    return " ".join(plain.split()[:6])


@pytest.fixture
def inspector() -> User:
    return factories.user()


@pytest.fixture
def bench(inspector: User) -> Client:
    client = Client()
    client.force_login(inspector)
    return client


def claim(bench: Client, count: int = 1) -> list[dict[str, Any]]:
    answer = bench.post("/api/v1/review/claims", {"count": count}, content_type="application/json")
    assert answer.status_code == 200, answer.content
    tasks: list[dict[str, Any]] = answer.json()["tasks"]
    assert len(tasks) == count
    return tasks


def decide(bench: Client, task: dict[str, Any]) -> None:
    answer = bench.post(
        f"/api/v1/review/tasks/{task['id']}/decision",
        {"fence": task["fence"], "answer": "FALSE_CALL", "disposition": "ACCEPT"},
        content_type="application/json",
        headers={"Idempotency-Key": str(uuid.uuid4())},
    )
    assert answer.status_code == 201, answer.content


def test_a_claim_costs_six_statements_for_one_task_and_for_four(bench: Client) -> None:
    factories.tasks(5)
    one = statements(lambda: claim(bench, 1))
    four = statements(lambda: claim(bench, 4))
    assert len(one) == len(four) == CLAIM, one


def test_a_verdict_costs_thirteen_statements(bench: Client) -> None:
    factories.task()
    [task] = claim(bench)
    found = statements(lambda: decide(bench, task))
    assert len(found) == DECIDE, found


def test_the_floor_executes_the_very_statements_of_the_hot_path(
    bench: Client, inspector: User
) -> None:
    factories.tasks(2)
    site = Grant.objects.get(user=inspector).site_id
    caller = f"{bench.session.session_key} {inspector.pk} {site}"
    factory = APIRequestFactory()

    def floor(view: Any, body: dict[str, Any], **arguments: Any) -> Any:
        request = factory.post("/", body, format="json", headers={"X-Caller": caller})
        response = view.as_view()(request, **arguments)
        return json.loads(response.render().content)

    bare: dict[str, Any] = {}
    claimed = statements(lambda: bare.update(floor(LiteralClaim, {})))
    assert claimed == statements(lambda: claim(bench))
    [task] = bare["tasks"]
    decided = statements(lambda: floor(LiteralDecision, {"fence": task["fence"]}, task=task["id"]))
    factories.task()
    [own] = claim(bench)
    assert decided == statements(lambda: decide(bench, own))
    assert Decision.objects.count() == 2
    assert AuditEntry.objects.filter(actor="floor", action="task.decide").count() == 1


def test_nothing_reads_through_the_backlog() -> None:
    backlog.fill(size=3000)
    [person] = backlog.inspectors(1)
    site = Site.objects.get(code="bench")
    actor = actor_of(person)
    before = read_through()
    # More often than the server tries a statement's plan before it keeps one.
    for _time in range(8):
        [task] = queue.claim(actor=actor, site=site, count=1, lease=LEASE, at=factories.NOW)
        decide_directly(actor, Lease(task.uuid, task.fence), key=str(uuid.uuid4()))
    figures = queue.figures(actor=actor, site=site)
    assert figures.waiting == queue.COUNTED_UP_TO
    assert read_through() == before


def read_through() -> dict[str, int]:
    """How often this transaction has read each of the long tables from end to end."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT x.relname, x.seq_scan FROM pg_stat_xact_user_tables x"
            " JOIN pg_class c ON c.oid = x.relid WHERE c.reltuples >= 3000"
        )
        return dict(cursor.fetchall())
