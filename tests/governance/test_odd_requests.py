"""Requests no browser sends: answered with a sentence, never with a fault."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from governance.roles import Role
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def engineer(client: Client) -> Client:
    """A signed-in quality engineer; a fault is an answer, too."""
    client.force_login(factories.user(Role.QUALITY_ENGINEER))
    client.raise_request_exception = False
    return client


@pytest.mark.parametrize(
    "address", ["/units/?q=%00", "/units/a%00b/", "/units/a/?site=%00", "/audit/?subject=%00"]
)
def test_nul_in_an_address_is_refused(engineer: Client, address: str) -> None:
    assert engineer.get(address).status_code == 422


def test_nul_in_a_form_is_refused(engineer: Client) -> None:
    dataset = {"dataset": "a\0"}
    assert engineer.post(reverse("retraining:retrain"), dataset).status_code == 422


@pytest.mark.parametrize("number", ["%C2%B2", "9" * 5000])
def test_an_odd_page_number_is_passed_over(engineer: Client, number: str) -> None:
    factories.site()
    assert engineer.get(f"/audit/?before={number}").status_code == 200


def test_a_live_part_of_a_signed_out_page_sends_the_page_to_the_login(client: Client) -> None:
    answer = client.get(
        reverse("insights:live"),
        headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/?site=plant-1"},
    )
    assert answer.headers["HX-Redirect"] == "/login/?next=/%3Fsite%3Dplant-1"
    assert client.get(reverse("insights:live")).status_code == 302
