"""A decision becomes labels; a newer one overrules it; taken back, the earlier holds again."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance.access import system
from governance.audit import recorded
from governance.models import AuditEntry
from labeling import catalogue
from labeling.annotations import record as record_labels
from labeling.annotations import withdraw
from labeling.models import Annotation, DefectClass, Label
from labeling.regions import Region
from tests import factories
from traceability.identifiers import new_id
from traceability.models import Inspection
from traceability.refusals import Invalid, Unknown

pytestmark = pytest.mark.django_db


def seen(*scores: float) -> Inspection:
    """An inspection with a view (v0, v1, ...) for each score, and the class `scratch`."""
    inspection = factories.inspection(views=len(scores))
    factories.defect_class("scratch")
    for number, score in enumerate(scores):
        factories.prediction(factories.capture(inspection, view=f"v{number}"), score=score)
    return inspection


def record(inspection: Inspection, now: datetime, **said: Any) -> list[Label]:
    values: dict[str, Any] = {
        "decision": new_id(),
        "verdict": Label.Verdict.DEFECT,
        "defect_class": "scratch",
        "disposition": "REWORK",
        "labelled_by": "ina",
        "inclusion_probability": 1.0,
    }
    if said.get("verdict") == Label.Verdict.GOOD:
        values["defect_class"] = ""
    with recorded(actor=system("test"), at=now) as trail:
        return record_labels(trail=trail, inspection=inspection, **{**values, **said})


def box(view: str, *, of: str = "scratch") -> Region:
    return Region.read(defect_class=of, view=view, box=[1, 2, 30, 40])


def test_a_false_call_labels_every_capture_good(now: datetime) -> None:
    inspection = seen(0.3, 0.7)
    labels = record(inspection, now, verdict=Label.Verdict.GOOD, inclusion_probability=0.01)
    assert {label.capture.view for label in labels} == {"v0", "v1"}
    for label in Label.objects.all():
        assert label.verdict == "good"
        assert label.defect_class is None
        assert label.inclusion_probability == 0.01
        assert label.recorded_at == now
        assert label.unit_id == inspection.unit_id
        assert label.prediction is not None
        assert label.prediction.capture_id == label.capture_id


def test_a_confirmed_defect_labels_the_capture_with_the_highest_score(now: datetime) -> None:
    [label] = record(seen(0.3, 0.7, 0.5), now)
    assert label.capture.view == "v1"
    assert label.defect_class == DefectClass.objects.get(code="scratch")
    assert label.disposition == "REWORK"


def test_a_confirmed_defect_labels_the_captures_with_drawn_regions(now: datetime) -> None:
    labels = record(seen(0.3, 0.7, 0.5), now, regions=[box("v0"), box("v2"), box("v2")])
    assert [label.capture.view for label in labels] == ["v0", "v2"]
    drawn = Annotation.objects.filter(origin="drawn").order_by("id")
    assert [a.label.capture.view for a in drawn] == ["v0", "v2", "v2"]
    assert drawn[0].geometry == [1, 2, 30, 40]
    assert drawn[0].score is None


def test_the_model_s_regions_are_kept_as_proposals_on_what_is_labelled(now: datetime) -> None:
    [label] = record(seen(0.3, 0.7), now)
    [proposal] = Annotation.objects.all()
    assert (proposal.label, proposal.origin) == (label, "proposed")
    assert (proposal.geometry, proposal.score) == ([10, 20, 30, 40], 0.7)


def test_only_the_latest_prediction_of_a_capture_counts(now: datetime) -> None:
    inspection = seen(0.9, 0.5)
    first = inspection.captures.get(view="v0")
    latest = factories.prediction(first, score=0.1, detections=[])
    [label] = record(inspection, now)
    assert label.capture.view == "v1"
    [good, _other] = record(inspection, now, verdict=Label.Verdict.GOOD)
    assert good.prediction == latest


def test_a_newer_label_supersedes_the_older_of_its_capture(now: datetime) -> None:
    inspection = seen(0.7)
    [first] = record(inspection, now, verdict=Label.Verdict.GOOD)
    [second] = record(inspection, now)
    [third] = record(inspection, now, verdict=Label.Verdict.GOOD)
    assert (first.supersedes, second.supersedes, third.supersedes) == (None, first, second)


def test_labels_are_taken_back_with_their_decision(now: datetime) -> None:
    inspection = seen(0.3, 0.7)
    decision = uuid4()
    record(inspection, now, verdict=Label.Verdict.GOOD, decision=decision)
    with recorded(actor=system("test"), at=now) as trail:
        withdraw(trail=trail, decision=decision)
    assert Label.objects.filter(withdrawal__isnull=True).count() == 0
    assert AuditEntry.objects.filter(action="label.withdraw", subject=decision).count() == 1
    with recorded(actor=system("test"), at=now) as trail:
        withdraw(trail=trail, decision=decision)
        trail.nothing_changed()
    assert AuditEntry.objects.filter(action="label.withdraw").count() == 1


@pytest.mark.parametrize("views", [1, 6])
def test_a_decision_costs_four_statements_however_many_views(now: datetime, views: int) -> None:
    inspection = seen(*[0.5] * views)
    regions = [box(f"v{number}") for number in range(views)]
    with (
        recorded(actor=system("test"), at=now) as trail,
        CaptureQueriesContext(
            connection,
        ) as asked,
    ):
        record_labels(
            trail=trail,
            decision=uuid4(),
            inspection=inspection,
            verdict=Label.Verdict.DEFECT,
            defect_class="scratch",
            disposition="SCRAP",
            labelled_by="ina",
            inclusion_probability=1.0,
            regions=regions,
        )
    statements = [q["sql"] for q in asked if not q["sql"].startswith(("SAVEPOINT", "RELEASE"))]
    assert len(statements) == 4


@pytest.mark.parametrize(
    ("said", "refusal", "sentence"),
    [
        ({"regions": [box("v9")]}, Invalid, "no view v9"),
        (
            {"regions": [Region.read(defect_class="scratch", view="v0", box=[400, 0, 90, 9])]},
            Invalid,
            "outside",
        ),
        ({"regions": [box("v0", of="rust")]}, Unknown, "rust"),
        ({"defect_class": "rust"}, Unknown, "rust"),
        ({"verdict": Label.Verdict.GOOD, "regions": [box("v0")]}, Invalid, "good part"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(
    now: datetime, said: dict[str, Any], refusal: type[Exception], sentence: str
) -> None:
    inspection = seen(0.5)
    with pytest.raises(refusal, match=sentence):
        record(inspection, now, **said)
    assert not Label.objects.exists()
    assert not AuditEntry.objects.exists()


def test_the_class_of_another_site_is_unknown(now: datetime) -> None:
    inspection = seen(0.5)
    factories.defect_class("rust", at=factories.site("plant-2"))
    with pytest.raises(Unknown):
        record(inspection, now, defect_class="rust")


def test_a_site_learns_classes_once_and_keeps_what_it_knows(now: datetime) -> None:
    site = factories.site()
    known = factories.defect_class("scratch", severity="critical", default_disposition="SCRAP")
    with recorded(actor=system("test"), at=now) as trail:
        learned = catalogue.learn(
            trail=trail, site_id=site.pk, codes={"scratch", "cold_shut", "pore"}
        )
        again = catalogue.learn(trail=trail, site_id=site.pk, codes={"pore"})
    entries = AuditEntry.objects.filter(action="defect_class.learn").order_by("pk")
    assert [entry.subject for entry in entries] == ["cold_shut", "pore"]
    assert learned["scratch"] == known
    assert (learned["cold_shut"].name, learned["cold_shut"].severity) == ("Cold shut", "major")
    assert learned["cold_shut"].default_disposition == "HOLD"
    assert again["pore"] == learned["pore"]
    assert [c.code for c in catalogue.classes_of(site)] == ["scratch", "cold_shut", "pore"]
    assert catalogue.find(site_id=site.pk, code="pore") == learned["pore"]


def test_the_worst_severity_comes_first_in_the_queue() -> None:
    assert sorted(catalogue.SEVERITY_RANK, key=catalogue.SEVERITY_RANK.__getitem__) == [
        "critical",
        "major",
        "minor",
    ]
