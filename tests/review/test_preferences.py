"""How a person has set up the bench: his own, of known names and shapes."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from governance.models import User
from review.models import Preference
from tests import factories
from tests.review.test_comments import client_of

pytestmark = pytest.mark.django_db
PATH = "/api/v1/review/preferences"


@pytest.fixture
def person() -> User:
    return factories.user()


def put(client: Client, values: dict[str, Any]) -> Any:
    return client.put(PATH, {"preferences": values}, "application/json")


def test_what_is_set_stays_until_it_is_set_again_or_forgotten(person: User) -> None:
    client = client_of(person)
    light = {"brightness": 0.2, "invert": False, "low": 10, "high": 60_000}
    assert put(client, {"light:scratch": light, "ask_for_box": False}).status_code == 200
    assert put(client, {"ask_for_box": True}).json()["preferences"] == {
        "light:scratch": light,
        "ask_for_box": True,
    }
    assert put(client, {"light:scratch": None}).json()["preferences"] == {"ask_for_box": True}
    assert client.get(PATH).json()["preferences"] == {"ask_for_box": True}


def test_everybody_has_his_own(person: User) -> None:
    put(client_of(person), {"keys": {"accept": "KeyF"}})
    assert client_of(factories.user()).get(PATH).json()["preferences"] == {}


@pytest.mark.parametrize(
    "values",
    [
        {"colour": "red"},
        {"keys": {"accept": "KeyF", "reject": "KeyF"}},
        {"keys": {"accept": 7}},
        {"keys": ["KeyA"]},
        {"keys": {"accept": "<script>"}},
        {"ask_for_box": "yes"},
        {"panels": {"history": 1}},
        {"light:scratch": {"low": "dark"}},
        {"light:scratch": {f"n{n}": n for n in range(13)}},
        {"light:" + "x" * 65: {"low": 1}},
        {"light": {"a\0b": {"low": 1}}},
        {"light": {"a\ud800b": {"low": 1}}},
    ],
)
def test_an_unknown_name_or_a_wrong_value_is_refused_and_nothing_is_kept(
    person: User, values: dict[str, Any]
) -> None:
    answer = put(client_of(person), {"ask_for_box": True, **values})
    assert answer.status_code == 422, answer.content
    assert "must be" in answer.json()["detail"] or "no setting" in answer.json()["detail"]
    assert not Preference.objects.exists()


def test_the_same_again_writes_nothing(person: User) -> None:
    client = client_of(person)
    put(client, {"ask_for_box": True})
    before = Preference.objects.get().changed_at
    put(client, {"ask_for_box": True})
    assert Preference.objects.get().changed_at == before
