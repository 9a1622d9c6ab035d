"""Controls look like any task, tell their truth after the verdict, and never leave this house."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from governance.access import Actor, actor_of
from governance.models import User
from governance.roles import Role
from insights import plant_overview, units
from labeling import datasets
from labeling.models import DatasetSample, Exclusion, Label
from mes_integration.models import WriteBack
from review import controls, decisions, queue
from review.decisions import UndoClosed
from review.models import Answer, ControlSample, Decision, ReviewTask, TaskPurpose, TaskState
from review.queue import Lease
from review.verdicts import Verdict
from tests import factories
from tests.factories import NOW
from tests.review.test_adjudication import BAD, GOOD, LEASE, UNSURE, judge
from traceability.models import Capture, Disposition, Inspection
from traceability.refusals import Conflict, Invalid, Unknown

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(minutes=5)


def judged(verdict: Verdict = BAD, *, by: Actor | None = None) -> Inspection:
    """An inspection somebody has judged, its window over, its images ready."""
    task = factories.task()
    judge(by or factories.actor(), verdict)
    Capture.objects.filter(inspection=task.inspection).update(preview=Capture.Preview.READY)
    Inspection.objects.filter(pk=task.inspection_id).update(settled_at=NOW)
    return task.inspection


def control(verdict: Verdict = BAD) -> ControlSample:
    lead = factories.actor(Role.LEAD)
    return controls.add(actor=lead, inspection_id=judged(verdict).uuid, at=LATER)


def waiting(count: int = 1, *, rate: float = 1.0) -> None:
    """Tasks of the line whose claims bring a control at this rate."""
    tasks = factories.tasks(count)
    ReviewTask.objects.filter(pk__in=[t.pk for t in tasks]).update(control_rate=rate)


class Bench:
    """One inspector's calls."""

    def __init__(self, person: User | None = None) -> None:
        self.person = person or factories.user()
        self.client = Client()
        self.client.force_login(self.person)

    def claim(self, count: int = 1) -> list[dict[str, Any]]:
        answer = self.client.post(
            "/api/v1/review/claims", {"count": count}, content_type="application/json"
        )
        tasks: list[dict[str, Any]] = answer.json()["tasks"]
        return tasks

    def decide(self, task: dict[str, Any], verdict: Verdict) -> dict[str, Any]:
        answer = self.client.post(
            f"/api/v1/review/tasks/{task['id']}/decision",
            {
                "fence": task["fence"],
                "answer": verdict.answer,
                "disposition": verdict.disposition,
                "defect_class": verdict.defect_class or None,
            },
            content_type="application/json",
            headers={"Idempotency-Key": str(uuid.uuid4())},
        )
        assert answer.status_code == 201, answer.content
        told: dict[str, Any] = answer.json()
        return told


def purpose_of(task: dict[str, Any]) -> str:
    return ReviewTask.objects.get(uuid=task["id"]).purpose


def reached() -> dict[str, int]:
    """What must not grow by a control."""
    return {
        "write-backs": WriteBack.objects.count(),
        "dispositions": Disposition.objects.count(),
        "labels": Label.objects.count(),
        "samples": DatasetSample.objects.count(),
    }


@pytest.mark.parametrize("verdict", [GOOD, BAD, UNSURE])
def test_a_control_reaches_neither_the_outbox_nor_a_dataset(verdict: Verdict) -> None:
    sample = control()
    waiting()
    before = reached()
    bench = Bench()
    [task] = bench.claim()
    assert purpose_of(task) == "CONTROL"
    told = bench.decide(task, verdict)
    assert told["disposition"] is None
    assert reached() == before
    decision = Decision.objects.get(uuid=told["decision"])
    assert not Label.objects.filter(decision=decision.uuid).exists()
    assert not datasets.current_labels(site=sample.site).exists()


def test_no_table_that_leaves_the_house_points_to_a_controls_verdict() -> None:
    """Walks every table: only a decision, its task and the audit may know of it."""
    control()
    waiting()
    bench = Bench()
    told = bench.decide(bench.claim()[0], BAD)
    decision = Decision.objects.get(uuid=told["decision"])
    pointing = set()
    for model in (Disposition, WriteBack, Label, DatasetSample):
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT count(*) FROM {model._meta.db_table} x"  # noqa: S608  # its own name
                " WHERE to_jsonb(x)::text LIKE %s OR to_jsonb(x)::text LIKE %s",
                [f"%{decision.uuid}%", f"%{decision.task.uuid}%"],
            )
            if cursor.fetchone() != (0,):
                pointing.add(model.__name__)
    assert pointing == set()


def test_its_labels_are_in_no_later_dataset_version_nor_are_those_of_the_same_image() -> None:
    inspection = judged()
    twin = judged()
    Capture.objects.filter(inspection=twin).update(
        sha256=Capture.objects.get(inspection=inspection).sha256
    )
    assert datasets.current_labels(site=inspection.site).count() == 2
    controls.add(actor=factories.actor(Role.LEAD), inspection_id=inspection.uuid, at=LATER)
    assert datasets.current_labels(site=inspection.site).count() == 0
    assert Exclusion.objects.get().inspection == inspection


def test_the_verdict_tells_what_it_was() -> None:
    control(BAD)
    waiting()
    bench = Bench()
    told = bench.decide(bench.claim()[0], GOOD)
    assert told["control"] == {
        "truth": "CONFIRMED",
        "defect_class": "scratch",
        "is_right": False,
    }
    assert told["undo_seconds"] == 0


def test_a_verdict_on_any_other_task_tells_of_no_control() -> None:
    factories.task()
    bench = Bench()
    assert bench.decide(bench.claim()[0], GOOD)["control"] is None


def test_a_control_looks_like_the_task_it_stands_for() -> None:
    control()
    Capture.objects.update(captured_at=NOW - timedelta(days=40))
    Inspection.objects.update(opened_at=NOW - timedelta(days=40))
    waiting()
    usual = ReviewTask.objects.get(state=TaskState.QUEUED)
    [task] = Bench().claim()
    assert purpose_of(task) == "CONTROL"
    assert "CONTROL" not in str(task)
    assert task["opened_at"] == usual.opened_at.isoformat()
    assert task["deadline"] == usual.deadline.isoformat()
    assert datetime.fromisoformat(task["views"][0]["captured_at"]) == usual.opened_at
    assert (task["history"], task["comments"]) == ([], [])
    another = ReviewTask.objects.get(pk=usual.pk)
    assert (another.state, another.holder_id) == (TaskState.QUEUED, None)


def test_nobody_meets_the_same_control_twice_in_a_month() -> None:
    control()
    waiting(2)
    bench = Bench()
    bench.decide(bench.claim()[0], BAD)
    assert purpose_of(bench.claim()[0]) == "FIRST"
    ReviewTask.objects.filter(purpose=TaskPurpose.CONTROL).update(
        reserved_until=timezone.now() - timedelta(seconds=1)
    )
    assert purpose_of(bench.claim()[0]) == "CONTROL"


def test_who_knows_its_truth_is_not_shown_it() -> None:
    first, lead = factories.user(), factories.user(Role.LEAD)
    inspection = judged(by=actor_of(first))
    controls.add(actor=actor_of(lead), inspection_id=inspection.uuid, at=LATER)
    waiting(2)
    assert purpose_of(Bench(first).claim()[0]) == "FIRST"
    assert purpose_of(Bench(lead).claim()[0]) == "FIRST"


def test_a_rate_of_nothing_brings_none_and_one_claim_brings_one_at_most() -> None:
    control()
    control()
    waiting(4, rate=0.0)
    assert {purpose_of(t) for t in Bench().claim(4)} == {"FIRST"}
    waiting(4, rate=1.0)
    shown = sorted(purpose_of(t) for t in Bench().claim(4))
    assert shown == ["CONTROL", "FIRST", "FIRST", "FIRST"]


def test_a_retired_control_is_shown_to_nobody() -> None:
    sample = control()
    lead = factories.actor(Role.LEAD)
    controls.retire(actor=lead, inspection_id=sample.inspection.uuid, at=LATER)
    waiting()
    assert purpose_of(Bench().claim()[0]) == "FIRST"


def test_a_controls_verdict_is_final() -> None:
    control()
    waiting()
    bench = Bench()
    told = bench.decide(bench.claim()[0], BAD)
    with pytest.raises(UndoClosed, match="control"):
        decisions.undo(
            actor=actor_of(bench.person),
            decision_id=uuid.UUID(told["decision"]),
            lease=LEASE,
            at=NOW,
        )


def test_a_control_that_is_put_back_is_not_offered_to_anybody() -> None:
    control()
    waiting()
    bench = Bench()
    [task] = bench.claim()
    queue.release(
        actor=actor_of(bench.person),
        held=Lease(uuid.UUID(task["id"]), task["fence"]),
        at=timezone.now(),
    )
    assert ReviewTask.objects.get(uuid=task["id"]).state == TaskState.CLOSED


def test_a_control_whose_lease_ran_out_is_not_a_colleagues_and_is_put_away() -> None:
    control()
    waiting()
    [task] = Bench().claim()
    ReviewTask.objects.filter(uuid=task["id"]).update(
        lease_expires_at=timezone.now() - timedelta(hours=2)
    )
    assert task["id"] not in {t["id"] for t in Bench().claim(4)}
    assert controls.close_forgotten(at=timezone.now()) == 1
    assert ReviewTask.objects.get(uuid=task["id"]).state == TaskState.CLOSED


def test_only_a_settled_truth_becomes_a_control() -> None:
    lead = factories.actor(Role.LEAD)
    undecided = factories.task().inspection
    with pytest.raises(Invalid, match="not known"):
        controls.add(actor=lead, inspection_id=undecided.uuid, at=LATER)
    judge(factories.actor(), GOOD)
    Inspection.objects.update(settled_at=NOW)
    with pytest.raises(Invalid, match="taken back"):
        controls.add(actor=lead, inspection_id=undecided.uuid, at=NOW)
    with pytest.raises(Invalid, match="image"):
        controls.add(actor=lead, inspection_id=undecided.uuid, at=LATER)
    Capture.objects.update(preview=Capture.Preview.READY)
    assert controls.add(actor=lead, inspection_id=undecided.uuid, at=LATER).truth == "FALSE_CALL"
    with pytest.raises(Conflict, match="already"):
        controls.add(actor=lead, inspection_id=undecided.uuid, at=LATER)


def test_the_truth_is_the_leads_where_two_had_differed() -> None:
    task = factories.task()
    ReviewTask.objects.filter(pk=task.pk).update(wants_second=True)
    judge(factories.actor(), GOOD)
    judge(factories.actor(), BAD)
    judge(factories.actor(Role.LEAD), BAD)
    Capture.objects.update(preview=Capture.Preview.READY)
    Inspection.objects.update(settled_at=NOW)
    sample = controls.add(
        actor=factories.actor(Role.LEAD), inspection_id=task.inspection.uuid, at=LATER
    )
    assert (sample.truth, sample.defect_class) == (Answer.CONFIRMED, "scratch")


def test_an_inspector_or_a_lead_of_another_site_adds_none() -> None:
    inspection = judged()
    elsewhere = factories.actor(Role.LEAD, at=factories.site("plant-2"))
    for actor in (factories.actor(), elsewhere):
        with pytest.raises(Unknown):
            controls.add(actor=actor, inspection_id=inspection.uuid, at=LATER)


def test_the_command_adds_and_retires() -> None:
    inspection = judged()
    factories.user(Role.LEAD, name="lea")
    call_command("add_control", inspection.external_id, site="plant-1", by="lea")
    assert ControlSample.objects.get().added_by.username == "lea"
    call_command("add_control", inspection.external_id, site="plant-1", by="lea", retire=True)
    assert ControlSample.objects.get().retired_at is not None
    with pytest.raises(CommandError, match="no person"):
        call_command("add_control", inspection.external_id, site="plant-1", by="nobody")


def test_the_plants_figures_know_of_no_control_and_no_second_inspection() -> None:
    control(GOOD)
    waiting()
    ReviewTask.objects.filter(state=TaskState.QUEUED).update(wants_second=True)
    actor, site = factories.actor(Role.QUALITY_ENGINEER), factories.site()
    at = timezone.now()

    def figures() -> tuple[int, int, int]:
        said = plant_overview.verdicts_today(actor=actor, site=site, at=at)
        return said.total, said.confirmed, plant_overview.queue(actor=actor, site=site).waiting

    before = figures()
    bench = Bench()
    [task] = bench.claim()
    assert purpose_of(task) == "CONTROL"
    bench.decide(task, BAD)
    assert figures() == before
    [usual] = bench.claim()
    bench.decide(usual, GOOD)
    total, confirmed, left = figures()
    assert (total, confirmed, left) == (before[0] + 1, before[1], 0)
    assert ReviewTask.objects.filter(purpose=TaskPurpose.SECOND, state=TaskState.QUEUED).exists()
    other = Bench()
    other.decide(other.claim()[0], BAD)
    assert figures()[:2] == (total, confirmed)


def test_a_units_page_does_not_tell_who_judged_it_as_a_control() -> None:
    sample = control()
    waiting()
    bench = Bench()
    bench.decide(bench.claim()[0], GOOD)
    actor = factories.actor(Role.LEAD)
    [visit] = units.story(actor, sample.inspection.unit, unseen={}, at=timezone.now())
    assert [d.task.purpose for d in visit.decisions] == ["FIRST"]
