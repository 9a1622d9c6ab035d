"""Blind is blind: nothing in what the bench is sent tells what the model thought."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from governance import audit
from governance.access import actor_of, system
from governance.models import User
from governance.roles import Role
from inference_bridge import policy, settling
from inference_bridge.routing import Rule
from review import dispositions
from review.models import Comment, ReviewTask, TaskKind
from review.opinions import as_seen
from review.queue import shown as read_task
from tests import factories
from tests.factories import NOW
from tests.inference_bridge.conftest import take
from tests.inference_bridge.messages import event
from tests.review.test_adjudication import BAD, GOOD, drawn, judge
from traceability.models import DeciderKind, DispositionKind
from traceability.refusals import Invalid

pytestmark = pytest.mark.django_db

# What the model said, in forms that nothing else in a task has.
SCORE, CLASS, MODEL, FROM = 0.7341, "odd_mark", "casting-of-doubt", 0.3123


def claim(person: User) -> dict[str, Any]:
    client = Client()
    client.force_login(person)
    answer = client.post("/api/v1/review/claims", {"count": 1}, content_type="application/json")
    [task] = answer.json()["tasks"]
    found: dict[str, Any] = task
    return found


def suspected(kind: TaskKind = TaskKind.REVIEW, *, is_blind: bool) -> ReviewTask:
    """A task the model has an unmistakable opinion of, with everything it may be told by."""
    factories.defect_class(CLASS)
    inspection = factories.inspection()
    capture = factories.capture(inspection)
    model = factories.model_version()
    type(model).objects.filter(pk=model.pk).update(name=MODEL)
    factories.prediction(
        capture,
        score=SCORE,
        defect_class=CLASS,
        detections=[{"id": "r-1", "label": CLASS, "score": SCORE, "box": [11, 22, 33, 44]}],
    )
    factories.heat_map(capture)
    task = factories.task(inspection, kind=kind)
    ReviewTask.objects.filter(pk=task.pk).update(
        is_blind=is_blind, score=SCORE, defect_class=CLASS, review_from=FROM
    )
    with audit.recorded(actor=system("test"), at=NOW) as trail:
        for decider_kind, decider in ((DeciderKind.MODEL, MODEL), (DeciderKind.RULE, CLASS)):
            draft = dispositions.Draft(
                inspection=inspection,
                kind=DispositionKind.HOLD,
                decider_kind=decider_kind,
                decider=decider,
                policy_version=1,
            )
            dispositions.dispose_all(trail=trail, drafts=[draft], due_at=NOW)
    return task


@pytest.mark.parametrize("kind", [TaskKind.REVIEW, TaskKind.CONTAIN, TaskKind.AUDIT])
def test_a_blind_task_carries_no_opinion_anywhere(kind: TaskKind) -> None:
    suspected(kind, is_blind=True)
    task = claim(factories.user())
    text = json.dumps(task)
    for secret in (str(SCORE), CLASS, CLASS.replace("_", " "), MODEL, str(FROM), "scratch"):
        assert secret not in text, secret
    assert (task["score"], task["policy"], task["defect_class"]) == (None, None, None)
    assert task["model"] == {"name": None, "version": None}
    assert task["views"][0]["score"] is None
    assert task["views"][0]["regions"] == []
    assert task["views"][0]["heatmap_url"] is None
    assert task["history"] == []
    assert (task["kind"], task["is_blind"]) == ("REVIEW", True)
    assert task["question"] == "Is this part good?"


def test_the_same_task_tells_it_all_when_it_is_not_blind() -> None:
    suspected(is_blind=False)
    task = claim(factories.user())
    text = json.dumps(task)
    for secret in (str(SCORE), CLASS, MODEL, str(FROM), "scratch"):
        assert secret in text, secret
    assert task["views"][0]["heatmap_url"]
    assert task["views"][0]["regions"]
    assert len(task["history"]) == 2


def test_what_nobody_has_thought_of_is_withheld_too() -> None:
    task = suspected(is_blind=True)
    seen = as_seen(read_task(task_id=task.pk), {"id": "x", "views": [{"hint": 1}], "hint": CLASS})
    assert (seen["hint"], seen["views"][0]["hint"]) == (None, None)


def test_a_second_inspection_shows_neither_the_first_verdict_nor_what_was_said() -> None:
    task = drawn()
    first = factories.user(name="frank-the-first")
    judge(actor_of(first), BAD)
    Comment.objects.create(
        site=task.site, inspection=task.inspection, author=first, text="Deep one.", at=NOW
    )
    shown = claim(factories.user())
    text = json.dumps(shown)
    assert (shown["history"], shown["comments"], shown["is_blind"]) == ([], [], True)
    for word in ("frank", "Deep", "scratch", "Rework", "REWORK", "SECOND"):
        assert word not in text, word


def test_an_adjudication_shows_both_verdicts_and_no_name() -> None:
    task = drawn()
    names = ("frank-the-first", "sara-the-second")
    first, second = (factories.user(name=name) for name in names)
    Comment.objects.create(
        site=task.site, inspection=task.inspection, author=first, text="Only dirt.", at=NOW
    )
    judge(actor_of(first), GOOD)
    judge(actor_of(second), BAD)
    shown = claim(factories.user(Role.LEAD))
    assert [(c["by"], c["text"]) for c in shown["comments"]] == [("inspector", "Only dirt.")]
    assert [p["by"] for p in shown["history"]] == ["disagreement", "inspector"]
    text = json.dumps(shown)
    assert [v["answer"] for v in shown["adjudication"]["verdicts"]] == ["FALSE_CALL", "CONFIRMED"]
    assert [v["by"] for v in shown["adjudication"]["verdicts"]] == [
        "first inspector",
        "second inspector",
    ]
    assert shown["score"] is not None
    for name in names:
        assert name not in text


def test_who_judges_blind_says_which_defect_it_is() -> None:
    suspected(is_blind=True)
    with pytest.raises(Invalid, match="which defect"):
        judge(factories.actor(), replace(BAD, defect_class=""))


def test_the_share_of_blind_and_second_tasks_is_drawn_and_can_be_told_from_the_policy() -> None:
    rule = Rule(
        review_from=0.2,
        contain_from=0.9,
        blind_rate=0.25,
        second_rate=0.5,
        control_rate=0.125,
    )
    site = factories.site()
    policy.set_policy(actor=system("test"), site=site, rules=[rule], reason="Blind share.", at=NOW)
    found = policy.version_of(site_id=site.pk, version=1).rules[0]
    assert policy.shares_of(found) == (0.25, 0.5, 0.125)
    lots = {
        label: [
            settling.drawn(site_id=site.pk, inspection=f"i-{n}", label=label) < share
            for n in range(2000)
        ]
        for label, share in (("blind", 0.25), ("second", 0.5))
    }
    assert 0.2 < sum(lots["blind"]) / 2000 < 0.3
    assert 0.45 < sum(lots["second"]) / 2000 < 0.55
    both = sum(a and b for a, b in zip(lots["blind"], lots["second"], strict=True))
    assert 0.09 < both / 2000 < 0.16, "the draws know of each other"


@pytest.mark.parametrize("name", ["blind_rate", "second_rate", "control_rate"])
def test_a_share_beyond_one_is_refused(name: str) -> None:
    rule = replace(Rule(review_from=0.2, contain_from=0.9), **{name: 1.5})  # type: ignore[arg-type]  # one of the three
    with pytest.raises(Invalid, match="from 0 to 1"):
        policy.set_policy(
            actor=system("test"), site=factories.site(), rules=[rule], reason="No.", at=NOW
        )


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_task_takes_its_draws_from_the_rule_that_routed_it(now: datetime, share: float) -> None:
    site = factories.site()
    factories.line(site)
    rule = Rule(
        review_from=0.2, contain_from=0.9, blind_rate=share, second_rate=share, control_rate=share
    )
    policy.set_policy(actor=system("test"), site=site, rules=[rule], reason="", at=now)
    take(now, event(now, score=0.6, id="e-1"))
    task = ReviewTask.objects.get()
    assert (task.is_blind, task.wants_second) == (bool(share), bool(share))
    assert task.control_rate == share
    assert task.policy_version == 1
