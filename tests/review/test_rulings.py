"""A verdict is held to the acceptance criteria, and a unit that is not whole is held."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.test import Client

from governance.access import Actor, actor_of, system
from governance.models import User
from governance.roles import Role
from labeling import criteria
from labeling.models import Label
from labeling.regions import Region
from review import queue
from review.models import Answer, ReviewTask, TaskKind
from review.queue import Lease
from review.verdicts import Verdict
from tests import factories
from tests.factories import NOW
from tests.review.test_cost import claim, statements
from tests.review.test_decisions import LEASE, claimed, decide
from traceability.models import Capture, Disposition, DispositionKind, Unit
from traceability.refusals import Invalid

pytestmark = pytest.mark.django_db

RULES = """
[[zone]]
name = "seal"
view = "main"
part_number = "P-4711"
surface = "A"
polygon = [[100, 100], [200, 100], [200, 200], [100, 200]]
[[rule]]
severity = "critical"
most = 0
disposition = "SCRAP"
[[rule]]
defect_class = "scratch"
largest = 40
disposition = "REWORK"
"""
SMALL = Region.read(defect_class="scratch", box=[10, 10, 20, 5])
LONG = Region.read(defect_class="scratch", box=[10, 10, 60, 5])
ON_SEAL = Region.read(defect_class="scratch", box=[150, 150, 5, 5])


def put_in_force(text: str = RULES) -> None:
    zones, rules = criteria.read(text, is_json=False)
    criteria.set_criteria(
        actor=system("test"), site=factories.site(), zones=zones, rules=rules, reason="t", at=NOW
    )


def said(kind: str, *regions: Region, answer: Answer = Answer.CONFIRMED) -> Verdict:
    return Verdict(answer=answer, disposition=DispositionKind(kind), regions=regions)


def outcome(verdict: Verdict, by: Actor | None = None) -> Disposition:
    mine = by or factories.actor()
    decision = decide(mine, claimed(mine), verdict).decision
    assert decision.disposition is not None
    return decision.disposition


def test_what_is_within_the_limits_is_accepted_and_stays_a_labelled_defect() -> None:
    factories.task()
    put_in_force()
    made = outcome(said("ACCEPT", SMALL))
    assert (made.kind, made.nonconformities) == ("ACCEPT", [])
    label = Label.objects.get()
    assert (label.verdict, label.annotations.filter(origin="drawn").count()) == ("defect", 1)
    assert Unit.objects.get().disposition == "ACCEPT"


@pytest.mark.parametrize(
    ("chosen", "region", "sentence"),
    [
        ("ACCEPT", LONG, "concession"),
        ("REWORK", ON_SEAL, r"Scratch \(seal\): 1 found, 0 allowed. That asks for: Scrap"),
        ("ACCEPT", None, "concession"),
    ],
)
def test_a_milder_choice_is_refused_with_the_rules_sentence(
    chosen: str, region: Region | None, sentence: str
) -> None:
    factories.task()
    put_in_force()
    mine = factories.actor()
    held = claimed(mine)
    with pytest.raises(Invalid, match=sentence):
        decide(mine, held, said(chosen, *([region] if region else [])))
    assert not Disposition.objects.exists()
    # The lease stays: he chooses again.
    assert decide(mine, held, said("HOLD", *([region] if region else []))).decision


@pytest.mark.parametrize("chosen", ["SCRAP", "HOLD"])
def test_a_graver_choice_stands(chosen: str) -> None:
    factories.task()
    put_in_force()
    assert outcome(said(chosen, SMALL)).kind == chosen


def test_a_lead_may_choose_milder_but_accepts_nothing_beyond_the_limits() -> None:
    factories.tasks(2)
    put_in_force()
    lead = factories.actor(Role.LEAD)
    assert outcome(said("REWORK", ON_SEAL), lead).kind == "REWORK"
    held = claimed(lead)
    with pytest.raises(Invalid, match="concession"):
        decide(lead, held, said("ACCEPT", ON_SEAL), key="key-00000002")


def test_without_criteria_a_class_has_its_choice_as_before() -> None:
    factories.tasks(2)
    assert outcome(said("REWORK", ON_SEAL)).kind == "REWORK"
    mine = factories.actor()
    with pytest.raises(Invalid, match="concession"):
        decide(mine, claimed(mine), said("ACCEPT", SMALL), key="key-00000002")


@pytest.mark.parametrize("kind", [TaskKind.REVIEW, TaskKind.CAPTURE_CHECK, TaskKind.AUDIT])
@pytest.mark.parametrize(
    ("verdict", "becomes"),
    [
        (said("ACCEPT", answer=Answer.FALSE_CALL), "HOLD"),
        (said("REWORK"), "HOLD"),
        (said("SCRAP"), "SCRAP"),
    ],
)
def test_a_missing_view_holds_whatever_is_said(
    kind: TaskKind, verdict: Verdict, becomes: str
) -> None:
    factories.task(factories.inspection(views=2), kind=kind)
    made = outcome(verdict)
    assert made.kind == becomes
    if becomes == "HOLD":
        assert made.reason == "Inspection incomplete: 1 of 2 views have come."


def unfit_task() -> ReviewTask:
    """Two views, the one named left not fit to judge."""
    seen = factories.inspection(views=2)
    for view, quality in (("top", {"verdict": "ok"}), ("left", {"verdict": "unfit"})):
        factories.prediction(factories.capture(seen, view=view, quality=quality))
    return factories.task(seen, kind=TaskKind.CAPTURE_CHECK)


def test_an_unfit_view_holds_and_is_no_good_example() -> None:
    task = unfit_task()
    made = outcome(said("ACCEPT", answer=Answer.FALSE_CALL))
    assert (made.kind, made.reason) == (
        "HOLD",
        "Inspection incomplete: not fit to judge: left.",
    )
    assert [label.capture.view for label in Label.objects.all()] == ["top"]
    assert Unit.objects.get(pk=task.unit_id).disposition == "HOLD"


def test_a_view_taken_again_counts_as_its_latest_image() -> None:
    task = unfit_task()
    again = factories.capture(task.inspection, view="left", quality={"verdict": "ok"})
    factories.prediction(again)
    assert outcome(said("ACCEPT", answer=Answer.FALSE_CALL)).kind == "ACCEPT"
    fit = Capture.objects.exclude(quality={"verdict": "unfit"})
    assert set(Label.objects.values_list("capture", flat=True)) == {each.pk for each in fit}


def test_a_view_nobody_has_looked_at_is_looked_at_first() -> None:
    task = factories.task()
    factories.prediction(factories.capture(task.inspection, view="top"))
    mine = factories.actor()
    held = claimed(mine)
    seen_one = replace(said("ACCEPT", answer=Answer.FALSE_CALL), images_seen=1)
    with pytest.raises(Invalid, match="have not seen: top") as refusal:
        decide(mine, held, seen_one)
    assert refusal.value.reason == "view_came"
    assert not decide(mine, held, replace(seen_one, images_seen=2), key="key-00000002").is_replay


def test_the_task_brings_the_rules_of_its_part_and_the_zones_of_its_views() -> None:
    factories.task()
    put_in_force(RULES + '[[rule]]\npart_number = "other"\nmost = 1\ndisposition = "HOLD"\n')
    inspector = factories.user()
    bench = Client()
    bench.force_login(inspector)
    [task] = claim(bench)
    assert task["views_expected"] == 1
    assert [rule["disposition"] for rule in task["criteria"]["rules"]] == ["SCRAP", "REWORK"]
    assert [zone["name"] for zone in task["views"][0]["zones"]] == ["seal"]


def test_the_rules_add_no_statement_to_a_false_call() -> None:
    factories.tasks(4)
    mine: User = factories.user()
    bench = Client()
    bench.force_login(mine)
    [task] = claim(bench)
    assert task["criteria"] is None
    without = statements(lambda: take_one(actor_of(mine)))
    put_in_force()
    first, second = (statements(lambda: take_one(actor_of(mine))) for _ in range(2))
    assert len(without) == len(first) == len(second)


def take_one(actor: Actor) -> Any:
    tasks = queue.claim(actor=actor, site=factories.site(), count=1, lease=LEASE, at=NOW)
    return decide(
        actor,
        Lease(tasks[0].uuid, tasks[0].fence),
        said("ACCEPT", answer=Answer.FALSE_CALL),
        key=str(tasks[0].uuid),
    )
