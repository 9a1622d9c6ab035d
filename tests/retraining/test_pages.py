"""What the browser and a program see of models, and who may press what."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from governance.models import User
from governance.roles import Role
from labeling.models import Dataset
from retraining.models import (
    Deployment,
    GateReport,
    RegisteredModel,
    RetrainTrigger,
    RunState,
    TrainingRun,
)
from tests import factories
from tests.retraining import plant
from traceability.models import Site

pytestmark = pytest.mark.django_db

CHECKS = [
    {
        "name": "recall",
        "passed": True,
        "sentence": "96.0 % of the defects found.",
        "unit": "share",
        "value": 0.96,
        "limit": 0.8,
        "interval": [0.82, 0.99],
        "champion": 0.9,
        "champion_interval": [0.75, 0.97],
    },
    {
        "name": "leakage",
        "passed": False,
        "sentence": "2 images are in both.",
        "unit": "count",
        "value": 2,
        "limit": 0,
        "interval": None,
        "champion": None,
        "champion_interval": None,
    },
]


@pytest.fixture
def site() -> Site:
    return factories.site()


@pytest.fixture
def dataset(site: Site, now: datetime) -> Dataset:
    made = plant.dataset(site)
    RetrainTrigger.objects.create(
        site=site, dataset=made, kind=RetrainTrigger.Kind.NEW_LABELS, threshold=40
    )
    plant.labels(site, good=2, defect=1, at=now)
    return made


@pytest.fixture
def model(site: Site, now: datetime) -> RegisteredModel:
    return plant.model(site, "1", at=now)


@pytest.fixture
def judged(dataset: Dataset, now: datetime) -> TrainingRun:
    """A run that ended at the gate."""
    run = plant.request(dataset, now)
    run.state, run.ended_at = RunState.REFUSED, now
    run.save()
    GateReport.objects.create(
        site=run.site, run=run, passed=False, checks=CHECKS, policy={}, figures={}, at=now
    )
    return run


def signed_in(role: Role | None, at: Site | None = None) -> Client:
    client = Client()
    person: User = factories.user(role, at=at)
    client.force_login(person)
    return client


def engineer(site: Site) -> Client:
    return signed_in(Role.QUALITY_ENGINEER, site)


def on_one_line(site: Site) -> Client:
    """Signed in as an engineer of one line only."""
    client = Client()
    client.force_login(factories.user(Role.QUALITY_ENGINEER, on=factories.line(site)))
    return client


Address = Callable[[Any], str]
SEEN: dict[str, Address] = {
    "models": lambda _run: reverse("retraining:models"),
    "live": lambda _run: reverse("retraining:live"),
    "tables": lambda _run: reverse("retraining:tables"),
    "run": lambda run: reverse("retraining:run", args=[run.uuid]),
    "run_live": lambda run: reverse("retraining:run_live", args=[run.uuid]),
}


@pytest.mark.parametrize("name", SEEN)
def test_a_page_is_for_those_who_may_see_models(name: str, judged: TrainingRun) -> None:
    address = SEEN[name](judged)
    stranger = Client().get(address)
    assert stranger.status_code == 302
    assert stranger["Location"].startswith(reverse("governance:login"))
    assert signed_in(None).get(address).status_code == 403
    assert signed_in(Role.OPERATOR).get(address).status_code == 403
    assert signed_in(Role.INSPECTOR).get(address).status_code == 200
    assert signed_in(Role.INSPECTOR).post(address).status_code == 405


def test_another_site_s_run_is_not_there(judged: TrainingRun) -> None:
    elsewhere = engineer(factories.site("plant-2"))
    assert elsewhere.get(SEEN["run"](judged)).status_code == 404
    assert elsewhere.get(SEEN["run_live"](judged)).status_code == 404
    assert elsewhere.get(SEEN["models"](judged), {"site": "plant-1"}).status_code == 404
    assert b"Casting" not in elsewhere.get(SEEN["models"](judged)).content


def test_the_page_says_what_is_in_force_and_what_is_missing(
    site: Site, dataset: Dataset, model: RegisteredModel
) -> None:
    client = engineer(site)
    empty = client.get(reverse("retraining:models")).content.decode()
    assert "No model yet" in empty
    assert "3 of 40 new labels towards the next run" in empty
    address = reverse("retraining:promote", args=[model.uuid])
    answer = client.post(address, {"reason": "first of its kind"}, follow=True)
    shown = answer.content.decode()
    assert answer.status_code == 200
    assert "casting 1 is in force." in shown
    assert "first of its kind" in shown
    assert "In service" in shown


def test_the_buttons_are_shown_to_those_who_may_press_them(
    site: Site, dataset: Dataset, model: RegisteredModel
) -> None:
    address = reverse("retraining:models")
    engineers = engineer(site).get(address).content.decode()
    buttons = [
        f'action="{reverse("retraining:retrain")}"',
        f'action="{reverse("retraining:promote", args=[model.uuid])}"',
    ]
    assert [button in engineers for button in buttons] == [True, True]
    for client in (signed_in(Role.INSPECTOR, site), on_one_line(site)):
        shown = client.get(address).content.decode()
        assert "Registered models" in shown
        assert [button in shown for button in buttons] == [False, False]


def test_retrain_now_asks_for_one_run(site: Site, dataset: Dataset) -> None:
    client = engineer(site)
    asked = {"dataset": dataset.slug, "reason": "new light"}
    first = client.post(reverse("retraining:retrain"), asked, follow=True)
    assert "Training of version 1 starts." in first.content.decode()
    assert "new light" in first.content.decode()
    again = client.post(reverse("retraining:retrain"), asked)
    assert again.status_code == 409
    assert "under way" in again.content.decode()
    assert TrainingRun.objects.count() == 1


def test_who_may_not_press_is_refused_and_nothing_happens(
    site: Site, dataset: Dataset, model: RegisteredModel
) -> None:
    actions = {
        reverse("retraining:retrain"): {"dataset": dataset.slug},
        reverse("retraining:promote", args=[model.uuid]): {"reason": "mine"},
        reverse("retraining:roll_back"): {"site": site.code, "reason": "mine"},
    }
    elsewhere = engineer(factories.site("plant-2"))
    for address, form in actions.items():
        assert Client().post(address, form).status_code == 302
        assert signed_in(Role.LEAD, site).post(address, form).status_code == 403
        assert elsewhere.post(address, form).status_code == 404
        assert engineer(site).get(address).status_code == 405
    assert not TrainingRun.objects.exists()
    assert not Deployment.objects.exists()


def test_a_roll_back_by_the_page(site: Site, now: datetime) -> None:
    client = engineer(site)
    for version in "12":
        made = plant.model(site, version, at=now)
        client.post(reverse("retraining:promote", args=[made.uuid]), {"reason": "better"})
    shown = client.get(reverse("retraining:models")).content.decode()
    assert "Why go back to casting 1" in shown
    form = {"site": site.code, "reason": "complaint"}
    answer = client.post(reverse("retraining:roll_back"), form, follow=True)
    assert "casting 1 is in force again." in answer.content.decode()


def test_the_gate_s_report_is_read_as_a_table(site: Site, judged: TrainingRun) -> None:
    shown = engineer(site).get(SEEN["run"](judged)).content.decode()
    for text in (
        "Defects found",
        "96.0 % (82–99 %)",
        "90.0 % (75–97 %)",
        "≥ 80.0 %",
        "Passed",
        "Not met",
        "2 images are in both.",
        "Refused by the gate",
        "By hand: try it",
    ):
        assert text in shown


def test_the_tables_are_drawn_again_only_when_something_ended_or_began(
    site: Site, dataset: Dataset, now: datetime
) -> None:
    client = engineer(site)
    address = reverse("retraining:live")
    mark = client.get(address).context["mark"]
    assert "HX-Trigger" not in client.get(address, {"seen": mark})
    run = plant.request(dataset, now)
    changed = client.get(address, {"seen": mark})
    assert changed["HX-Trigger"] == "models-changed"
    mark = changed.context["mark"]
    TrainingRun.objects.filter(pk=run.pk).update(fraction=0.5, stage="features: 3 of 6")
    moved = client.get(address, {"seen": mark})
    assert "HX-Trigger" not in moved
    assert 'value="0.500"' in moved.content.decode()
    assert "features: 3 of 6" in moved.content.decode()


def test_a_run_s_page_reloads_itself_once_when_the_run_ends(
    site: Site, dataset: Dataset, now: datetime
) -> None:
    client = engineer(site)
    run = plant.request(dataset, now)
    going = client.get(SEEN["run_live"](run))
    assert "HX-Refresh" not in going
    assert "every 2s" in going.content.decode()
    TrainingRun.objects.filter(pk=run.pk).update(state=RunState.FAILED, failure="It broke.")
    ended = client.get(SEEN["run_live"](run))
    assert ended["HX-Refresh"] == "true"
    assert "every 2s" not in ended.content.decode()
    assert "It broke." in ended.content.decode()


def test_the_pages_speak_the_reader_s_figures_in_every_language(
    site: Site, dataset: Dataset, now: datetime
) -> None:
    plant.request(dataset, now)
    TrainingRun.objects.update(fraction=0.25)
    german = engineer(site).get(reverse("retraining:live"), headers={"accept-language": "de"})
    assert 'value="0.250"' in german.content.decode()


def test_the_api_lists_models_and_runs_of_one_s_own_sites(
    site: Site, judged: TrainingRun, model: RegisteredModel, now: datetime
) -> None:
    plant.model(factories.site("plant-2"), "7", at=now)
    client = signed_in(Role.INSPECTOR, site)
    (shown,) = client.get("/api/v1/models").json()["models"]
    assert (shown["name"], shown["version"], shown["state"]) == ("casting", "1", "CANDIDATE")
    (run,) = client.get("/api/v1/training-runs").json()["runs"]
    assert run["id"] == str(judged.uuid)
    assert run["gate"]["passed"] is False
    assert client.get("/api/v1/models", {"site": "plant-2"}).status_code == 404
    assert client.get("/api/v1/training-runs", {"site": "plant-2"}).status_code == 404
    assert signed_in(Role.OPERATOR).get("/api/v1/models").status_code == 403
    assert Client().get("/api/v1/models").status_code == 401
    assert client.delete("/api/v1/models").status_code == 405


def test_the_api_asks_for_a_run(site: Site, dataset: Dataset) -> None:
    def ask(client: Client, **body: Any) -> Any:
        return client.post("/api/v1/training-runs", body, content_type="application/json")

    client = engineer(site)
    made = ask(client, dataset=dataset.slug, reason="from a script")
    assert made.status_code == 201
    assert made.json()["model"] == {"name": "casting", "version": "1"}
    again = ask(client, dataset=dataset.slug, reason="from a script")
    assert (again.status_code, again.json()["code"]) == (409, "run_open")
    assert ask(client, dataset="none", reason="x").status_code == 404
    assert ask(client, dataset=dataset.slug).status_code == 422
    assert ask(signed_in(Role.LEAD, site), dataset=dataset.slug, reason="x").status_code == 403
    elsewhere = engineer(factories.site("plant-2"))
    assert ask(elsewhere, dataset=dataset.slug, reason="x").status_code == 404
    assert TrainingRun.objects.count() == 1


def test_the_api_promotes(site: Site, model: RegisteredModel) -> None:
    def promote(client: Client, **body: Any) -> Any:
        address = f"/api/v1/models/{model.uuid}/promotion"
        return client.post(address, body, content_type="application/json")

    assert promote(Client(), reason="mine").status_code == 401
    assert promote(signed_in(Role.LEAD, site), reason="mine").status_code == 403
    assert promote(engineer(factories.site("plant-2")), reason="mine").status_code == 404
    assert promote(engineer(site)).status_code == 422
    done = promote(engineer(site), reason="first of its kind")
    assert done.status_code == 201
    assert done.json()["model"]["state"] == "IN_FORCE"
    assert done.json()["serving_since"] is not None
    assert promote(engineer(site), reason="again").status_code == 409


def test_the_api_is_told_of_a_business_event(site: Site, dataset: Dataset) -> None:
    def tell(client: Client, **body: Any) -> Any:
        return client.post("/api/v1/business-events", body, content_type="application/json")

    event = {"site": site.code, "kind": "tooling", "reason": "mould 3 polished"}
    assert tell(Client(), **event).status_code == 401
    assert tell(signed_in(Role.LEAD, site), **event).status_code == 403
    assert tell(engineer(factories.site("plant-2")), **event).status_code == 404
    assert tell(engineer(site), **{**event, "kind": "weather"}).status_code == 422
    made = tell(engineer(site), **event)
    assert made.status_code == 201
    assert made.json()["runs"][0]["reason"] == "New tooling: mould 3 polished"
    assert tell(engineer(site), **event).status_code == 409
