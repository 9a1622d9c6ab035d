"""The page of datasets and its API: who sees what, and who publishes."""

from __future__ import annotations

from datetime import datetime

import pytest
from django.test import Client

from governance.roles import Role
from labeling.datasets import publish
from labeling.models import Dataset, DatasetVersion
from tests import factories
from tests.labeling.plants import PLANT, bring, image, mixed

pytestmark = pytest.mark.django_db


def signed_in(role: Role | None, site: str = "plant-1") -> Client:
    client = Client()
    client.force_login(factories.user(role, at=factories.site(site)))
    return client


def text(client: Client) -> str:
    answer = client.get("/datasets/")
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_site_without_a_dataset_says_so(state: object) -> None:
    assert "No dataset yet" in text(signed_in(Role.INSPECTOR))


def test_the_page_shows_versions_what_changed_and_what_waits(
    dataset: Dataset, now: datetime
) -> None:
    client = signed_in(Role.INSPECTOR)
    assert "No version yet" in text(client)
    bring(mixed(12), now)
    assert "12 labels wait for the next version" in text(client)
    publish(actor=PLANT, dataset=dataset, reason="first", at=now)
    bring(mixed(3, first=50), now)
    version = publish(actor=PLANT, dataset=dataset, reason="second", at=now)
    bring([image(90)], now)
    page = text(client)
    assert "castings/000001" in page
    assert "castings/000002" in page
    assert "3 added, 0 removed, 0 relabelled" in page
    assert "1 label waits for the next version" in page
    assert version.content_sha256[:12] in page
    test = version.counts["test"]
    assert f"{test['good']} good, {test['defect']} defective" in page


def test_only_those_who_may_publish_are_offered_it(dataset: Dataset) -> None:
    assert "publish-castings" in text(signed_in(Role.QUALITY_ENGINEER))
    for role in (Role.INSPECTOR, Role.LEAD, Role.AUDITOR):
        assert "publish-castings" not in text(signed_in(role))


def test_an_engineer_publishes_and_is_told(dataset: Dataset, now: datetime) -> None:
    bring(mixed(12), now)
    client = signed_in(Role.QUALITY_ENGINEER)
    answer = client.post("/datasets/castings/publish/", {"reason": "Monday"}, follow=True)
    assert "Version castings/000001 is published." in answer.content.decode()
    assert DatasetVersion.objects.get().reason == "Monday"
    answer = client.post("/datasets/castings/publish/", follow=True)
    assert "Nothing has changed since castings/000001." in answer.content.decode()


def test_what_cannot_be_published_yet_is_said_on_the_page(dataset: Dataset) -> None:
    answer = signed_in(Role.ADMIN).post("/datasets/castings/publish/", follow=True)
    assert "There are no labels yet" in answer.content.decode()
    assert not DatasetVersion.objects.exists()


def test_a_dataset_of_another_site_does_not_exist(dataset: Dataset, now: datetime) -> None:
    bring(mixed(12), now)
    client = signed_in(Role.QUALITY_ENGINEER, "plant-2")
    assert "castings" not in text(client)
    assert client.post("/datasets/castings/publish/").status_code == 404
    assert client.get("/api/v1/datasets").json() == {"datasets": []}
    assert client.get("/api/v1/datasets/castings/versions").status_code == 404
    assert not DatasetVersion.objects.exists()


def test_strangers_wrong_roles_and_wrong_methods_get_nowhere(dataset: Dataset) -> None:
    assert Client().get("/datasets/").status_code == 302
    assert Client().post("/datasets/castings/publish/").status_code == 302
    assert Client().get("/api/v1/datasets").status_code == 401
    assert signed_in(Role.OPERATOR).get("/datasets/").status_code == 403
    assert signed_in(Role.OPERATOR).get("/api/v1/datasets").status_code == 403
    assert signed_in(Role.LEAD).post("/datasets/castings/publish/").status_code == 403
    engineer = signed_in(Role.QUALITY_ENGINEER)
    assert engineer.get("/datasets/castings/publish/").status_code == 405
    assert engineer.post("/datasets/").status_code == 405
    assert engineer.post("/api/v1/datasets").status_code == 405


def test_the_api_lists_datasets_and_their_versions(dataset: Dataset, now: datetime) -> None:
    client = signed_in(Role.AUDITOR)
    [row] = client.get("/api/v1/datasets").json()["datasets"]
    assert (row["slug"], row["site"], row["new_labels"], row["latest"]) == (
        "castings",
        "plant-1",
        0,
        None,
    )
    bring(mixed(12), now)
    first = publish(actor=PLANT, dataset=dataset, reason="first", at=now)
    bring(mixed(3, first=50), now)
    second = publish(actor=PLANT, dataset=dataset, reason="second", at=now)
    [row] = client.get("/api/v1/datasets").json()["datasets"]
    assert row["latest"]["content_sha256"] == second.content_sha256
    versions = client.get("/api/v1/datasets/castings/versions").json()["versions"]
    assert [(v["number"], v["parent"], v["prefix"]) for v in versions] == [
        (2, 1, second.prefix),
        (1, None, first.prefix),
    ]
    assert versions[0]["changes"] == {"added": 3, "removed": 0, "relabelled": 0}
    older = client.get("/api/v1/datasets/castings/versions?before=2").json()["versions"]
    assert [v["number"] for v in older] == [1]
