"""The whole loop with the real trainer: labels in, a better model before the line."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from governance.models import AuditEntry
from governance.roles import Role
from labeling.models import Split
from retraining import deployments, registry
from retraining.models import Deployment, GateReport, RegisteredModel, RunState
from tests import factories
from tests.retraining import plant
from traceability.gateways import object_store

pytestmark = pytest.mark.django_db(transaction=True)


def test_labels_become_a_model_that_is_judged_promoted_and_served(
    now: datetime, state: Path
) -> None:
    site = factories.site()
    dataset = plant.dataset(site)
    plant.labels(site, good=36, defect=34, at=now)

    first = plant.follow(plant.request(dataset, now), RunState.PASSED, at=now)
    model = first.registeredmodel
    assert (first.model_name, first.model_version, first.fraction) == ("casting", "1", 1.0)
    assert first.dataset_version is not None
    assert model.state == RegisteredModel.State.CANDIDATE
    store = object_store.datasets()
    assert {Path(key).name for key in store.list("models/plant-1/casting/1/")} == {
        "model.json",
        "weights.npz",
    }
    assert registry.in_force(site) is None
    assert first.gate_report.figures["challenger"]["defects"] >= 8
    assert first.gate_report.figures["champion"] is None

    engineer = factories.actor(Role.QUALITY_ENGINEER)
    deployments.promote(actor=engineer, model=model, reason="first of its kind", at=now)
    assert json.loads((state / "serving/model/model.json").read_text())["version"] == "1"

    later = now + timedelta(hours=1)
    train = first.dataset_version.samples.filter(split=Split.TRAIN).select_related("label__capture")
    turned = [
        plant.relabel(s.label.capture, is_defect=s.label.verdict == "good", at=later) for s in train
    ]
    worse = plant.follow(plant.request(dataset, later), RunState.REFUSED, at=later)
    assert worse.champion == model
    not_met = {check["name"] for check in worse.gate_report.checks if not check["passed"]}
    assert "recall" in not_met
    assert not not_met & {"leakage", "test_pinned", "test_complete", "evidence"}
    assert worse.registeredmodel.state == RegisteredModel.State.REFUSED

    for one in turned:
        plant.relabel(one.capture, is_defect=one.verdict == "good", at=later)
    plant.labels(site, good=10, defect=10, at=later)
    better = plant.follow(plant.request(dataset, later), RunState.PASSED, at=later)
    assert better.model_version == "3"
    assert better.gate_report.figures["champion"]["defects"] > 8
    deployments.promote(
        actor=engineer, model=better.registeredmodel, reason="more labels", at=later
    )
    assert json.loads((state / "serving/model/model.json").read_text())["version"] == "3"
    deployments.roll_back(actor=engineer, site=site, reason="operator complains", at=later)
    assert json.loads((state / "serving/model/model.json").read_text())["version"] == "1"
    assert registry.in_force(site) == model

    assert GateReport.objects.count() == 3
    assert Deployment.objects.exclude(serving_since=None).count() == 3
    done = list(
        AuditEntry.objects.filter(subject=str(first.uuid))
        .order_by("pk")
        .values_list("action", flat=True)
    )
    assert done == [
        f"training_run.{v}" for v in ("request", "prepare", "start", "trained", "judged")
    ]
