"""Verdicts that wait, their answers, undos and late views in any order: nothing counts alone."""

from __future__ import annotations

import itertools
import uuid
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from governance.access import system
from governance.roles import Role
from inference_bridge.policy import set_policy
from inference_bridge.routing import Rule
from review import approvals, decisions, queue
from review.models import Answer, Approval, Decision, ReviewTask, TaskState
from review.queue import Lease
from review.verdicts import Verdict
from tests import factories
from tests.inference_bridge.conftest import LONG_AGO, take
from tests.inference_bridge.messages import view
from traceability.models import Disposition, DispositionKind, Unit
from traceability.refusals import Refusal

LEASE: Final = timedelta(seconds=90)
START: Final = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
VERDICTS: Final = (
    Verdict(answer=Answer.CONFIRMED, disposition=DispositionKind.SCRAP),
    Verdict(answer=Answer.CONFIRMED, disposition=DispositionKind.ACCEPT, concession="Inside."),
    Verdict(answer=Answer.CONFIRMED, disposition=DispositionKind.REWORK),
    Verdict(answer=Answer.FALSE_CALL, disposition=DispositionKind.ACCEPT),
)


class ApprovalMachine(RuleBasedStateMachine):
    """Runs in one transaction that is rolled back at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.now = START
        self.views = itertools.count(1)

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)

    @initialize()
    def start(self) -> None:
        site = factories.site()
        factories.line(site)
        asks = Rule(review_from=0.2, contain_from=0.9, audit_rate=0, second_for_scrap=True)
        set_policy(actor=system("test"), site=site, rules=[asks], reason="", at=LONG_AGO)
        self.people = [
            factories.actor(Role.LEAD),
            factories.actor(Role.QUALITY_ENGINEER),
            factories.actor(),
        ]
        factories.defect_class("porosity", at=site)
        self.late_view()

    @rule()
    def late_view(self) -> None:
        self.now += timedelta(seconds=1)
        name = f"view-{next(self.views)}"
        take(self.now, view(self.now, of="SN-1", name=name, score=0.6, expected=1))

    @rule(who=st.integers(0, 2), verdict=st.sampled_from(VERDICTS))
    def judge(self, who: int, verdict: Verdict) -> None:
        actor = self.people[who]
        found = queue.claim(actor=actor, site=factories.site(), count=1, lease=LEASE, at=self.now)
        if not found:
            return
        held = Lease(found[0].uuid, found[0].fence)
        try:
            with transaction.atomic():
                decisions.decide(
                    actor=actor,
                    held=held,
                    verdict=verdict,
                    key=str(uuid.uuid4()),
                    undo_window=timedelta(seconds=8),
                    at=self.now,
                )
        except Refusal:
            assert verdict.concession
            assert who == 2
            queue.release(actor=actor, held=held, at=self.now)

    @rule()
    def undo(self) -> None:
        last = Decision.objects.filter(withdrawal__isnull=True).order_by("-pk").first()
        if last is None:
            return
        actor = next(p for p in self.people if p.user_id == last.decided_by_id)
        try:
            with transaction.atomic():
                task = decisions.undo(actor=actor, decision_id=last.uuid, lease=LEASE, at=self.now)
        except Refusal:
            return
        queue.release(actor=actor, held=Lease(task.uuid, task.fence), at=self.now)

    @rule(who=st.integers(0, 2), does_agree=st.booleans())
    def answer(self, who: int, does_agree: bool) -> None:
        approval = Approval.objects.order_by("-pk").first()
        if approval is None:
            return
        self.now += timedelta(seconds=1)
        act = approvals.approve if does_agree else approvals.refuse
        actor = self.people[who]
        try:
            with transaction.atomic():
                act(actor=actor, approval_id=approval.uuid, words="So it is.", at=self.now)
        except Refusal:
            return
        assert actor.user_id != approval.asked_by_id
        assert who != 2

    @rule()
    def sweep(self) -> None:
        approvals.close_overtaken(at=self.now)
        assert approvals.close_overtaken(at=self.now) == 0

    @rule(seconds=st.integers(1, 20))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @invariant()
    def what_waits_is_held_and_asked_once(self) -> None:
        waiting = Approval.objects.filter(state="OPEN")
        assert waiting.count() <= 1
        for approval in waiting.select_related("unit", "task", "decision"):
            assert approval.unit.disposition == "HOLD"
            assert approval.task.state == TaskState.DECIDED
            assert approval.task.fence == approval.decision.fence
            assert not hasattr(approval.decision, "withdrawal")

    @invariant()
    def nothing_is_scrapped_or_conceded_by_one_person(self) -> None:
        for approval in Approval.objects.filter(state__in=["APPROVED", "REFUSED"]):
            assert approval.decided_by_id not in (None, approval.asked_by_id)
        agreed = Approval.objects.filter(state="APPROVED")
        scrapped = Disposition.objects.filter(kind="SCRAP", revision__gt=0)
        if scrapped.exists():
            assert agreed.filter(kind="SCRAP").exists()
        conceded = Disposition.objects.filter(concession__isnull=False)
        assert conceded.count() == agreed.filter(kind="CONCESSION").count()
        for made in conceded:
            assert made.kind == "ACCEPT"
            assert made.concession is not None
            assert made.concession["asked_by"] != made.concession["approved_by"]

    @invariant()
    def what_was_taken_back_was_not_answered(self) -> None:
        taken_back = Approval.objects.filter(decision__withdrawal__isnull=False)
        assert set(taken_back.values_list("state", flat=True)) <= {"WITHDRAWN", "OVERTAKEN"}
        withdrawn = Approval.objects.filter(state="WITHDRAWN")
        assert not withdrawn.filter(decision__withdrawal__isnull=True).exists()

    @invariant()
    def a_refusal_leaves_the_question_open_for_a_lead(self) -> None:
        for approval in Approval.objects.filter(state="REFUSED").select_related("task"):
            assert ReviewTask.objects.get(pk=approval.task_id).is_escalated

    @invariant()
    def the_unit_stands_where_its_last_standing_disposition_says(self) -> None:
        for unit in Unit.objects.all():
            last = (
                Disposition.objects.filter(unit=unit, withdrawal__isnull=True)
                .order_by("-revision")
                .first()
            )
            assert unit.disposition == (last.kind if last else "")


@pytest.mark.django_db(transaction=True)
def test_nothing_counts_alone_in_whatever_order() -> None:
    run_state_machine_as_test(
        ApprovalMachine,
        settings=settings(
            max_examples=20,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
