"""What no database takes as text is refused in words, on the short way through a body too."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests import factories
from tests.review.test_comments import client_of

pytestmark = pytest.mark.django_db


def answered(client: Client, *, key: str = "key-0000001", **said: Any) -> int:
    factories.task()
    claims = client.post("/api/v1/review/claims", {"count": 1}, "application/json")
    [task] = claims.json()["tasks"]
    verdict = {"fence": task["fence"], "answer": "CONFIRMED", "disposition": "HOLD", **said}
    answer = client.post(
        f"/api/v1/review/tasks/{task['id']}/decision",
        verdict,
        "application/json",
        headers={"Idempotency-Key": key},
    )
    return answer.status_code


@pytest.mark.parametrize("name", ["comment", "defect_class"])
@pytest.mark.parametrize("text", ["half \ud800", "no\0thing"])
def test_text_that_cannot_be_kept_is_refused(name: str, text: str) -> None:
    assert answered(client_of(factories.user()), **{name: text}) == 422


def test_a_key_that_cannot_be_kept_is_refused() -> None:
    assert answered(client_of(factories.user()), key="key-000\0001") == 422
