"""A second inspection: blind, by somebody else, moving nothing; a lead decides between."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from governance.access import Actor
from governance.models import AuditEntry
from governance.roles import Role
from labeling.models import Label
from mes_integration.models import WriteBack
from review import decisions, queue, supervision
from review.claimed import ClaimedTask
from review.decisions import Recorded, UndoClosed
from review.models import Answer, ReviewTask, TaskPurpose, TaskState
from review.queue import Lease
from review.verdicts import Verdict
from tests import factories
from tests.factories import NOW
from traceability.models import Disposition, DispositionKind, Unit
from traceability.refusals import Conflict

pytestmark = pytest.mark.django_db

LEASE = timedelta(seconds=90)
WINDOW = timedelta(seconds=8)
GOOD = Verdict(answer=Answer.FALSE_CALL, disposition=DispositionKind.ACCEPT)
BAD = Verdict(answer=Answer.CONFIRMED, disposition=DispositionKind.REWORK, defect_class="scratch")
UNSURE = Verdict(answer=Answer.INCONCLUSIVE, disposition=DispositionKind.HOLD)
_keys = itertools.count(1)


def offered(actor: Actor) -> list[ClaimedTask]:
    return queue.claim(actor=actor, site=factories.site(), count=1, lease=LEASE, at=NOW)


def judge(actor: Actor, verdict: Verdict, task: ClaimedTask | None = None) -> Recorded:
    if task is None:
        [task] = offered(actor)
    return decisions.decide(
        actor=actor,
        held=Lease(task.uuid, task.fence),
        verdict=verdict,
        key=f"key-{next(_keys):08d}",
        undo_window=WINDOW,
        at=NOW,
    )


def undo(actor: Actor, recorded: Recorded) -> ClaimedTask:
    return decisions.undo(
        actor=actor, decision_id=recorded.decision.uuid, lease=LEASE, at=NOW + WINDOW / 2
    )


def drawn() -> ReviewTask:
    """A task drawn to be inspected twice."""
    task = factories.task()
    ReviewTask.objects.filter(pk=task.pk).update(wants_second=True)
    return task


def purposes() -> set[str]:
    return set(ReviewTask.objects.values_list("purpose", flat=True))


def test_a_verdict_that_is_not_drawn_is_not_inspected_again() -> None:
    factories.task()
    judge(factories.actor(), GOOD)
    assert purposes() == {"FIRST"}


def test_a_drawn_verdict_opens_a_second_inspection_that_is_blind() -> None:
    drawn()
    judge(factories.actor(), GOOD)
    second = ReviewTask.objects.get(purpose=TaskPurpose.SECOND)
    assert (second.is_blind, second.state, second.kind) == (True, TaskState.QUEUED, "REVIEW")


def test_the_second_inspection_is_never_offered_to_the_first_inspector() -> None:
    drawn()
    first = factories.actor()
    judge(first, GOOD)
    assert offered(first) == []
    assert queue.figures(actor=first, site=factories.site()).waiting == 0
    [task] = offered(factories.actor())
    assert task.purpose == TaskPurpose.SECOND


def test_what_nobody_could_tell_is_not_inspected_again() -> None:
    drawn()
    judge(factories.actor(), UNSURE)
    assert purposes() == {"FIRST"}


def test_a_second_inspection_moves_no_unit_and_makes_no_label() -> None:
    task = drawn()
    judge(factories.actor(), GOOD)
    counts = (Disposition.objects.count(), WriteBack.objects.count(), Label.objects.count())
    recorded = judge(factories.actor(), GOOD)
    assert recorded.decision.disposition is None
    assert counts == (
        Disposition.objects.count(),
        WriteBack.objects.count(),
        Label.objects.count(),
    )
    assert Unit.objects.get(pk=task.unit_id).disposition == "ACCEPT"
    assert purposes() == {"FIRST", "SECOND"}
    compared = AuditEntry.objects.get(action="inspection.compare")
    assert compared.detail == {"agree": True, "differ_in": []}


@pytest.mark.parametrize(
    ("one", "other", "what"),
    [
        (GOOD, BAD, ["answer", "disposition"]),
        (BAD, GOOD, ["answer", "disposition"]),
        (
            BAD,
            Verdict(
                answer=Answer.CONFIRMED, disposition=DispositionKind.SCRAP, defect_class="scratch"
            ),
            ["disposition"],
        ),
        (
            BAD,
            Verdict(
                answer=Answer.CONFIRMED, disposition=DispositionKind.REWORK, defect_class="dent"
            ),
            ["defect_class"],
        ),
        (GOOD, UNSURE, ["answer", "disposition"]),
    ],
)
def test_where_they_differ_the_unit_is_held_and_a_lead_is_asked(
    one: Verdict, other: Verdict, what: list[str]
) -> None:
    factories.defect_class("dent")
    task = drawn()
    judge(factories.actor(), one)
    judge(factories.actor(), other)
    held = Disposition.objects.order_by("-revision")[0]
    assert (held.kind, held.decider_kind, held.decider) == ("HOLD", "rule", "disagreement")
    assert Unit.objects.get(pk=task.unit_id).disposition == "HOLD"
    asked = ReviewTask.objects.get(purpose=TaskPurpose.ADJUDICATION)
    assert (asked.is_escalated, asked.is_blind) == (True, False)
    assert AuditEntry.objects.get(action="inspection.compare").detail["differ_in"] == what


def test_neither_of_the_two_adjudicates_nor_an_inspector() -> None:
    drawn()
    first, second = factories.actor(Role.LEAD), factories.actor(Role.LEAD)
    judge(first, GOOD)
    judge(second, BAD)
    assert offered(first) == offered(second) == offered(factories.actor()) == []
    [task] = offered(factories.actor(Role.LEAD))
    assert task.purpose == TaskPurpose.ADJUDICATION


def test_the_leads_verdict_disposes_and_its_label_holds() -> None:
    task = drawn()
    judge(factories.actor(), GOOD)
    judge(factories.actor(), BAD)
    recorded = judge(factories.actor(Role.LEAD), BAD)
    assert recorded.decision.disposition is not None
    assert Unit.objects.get(pk=task.unit_id).disposition == "REWORK"
    [good, defect] = Label.objects.order_by("pk")
    assert (good.verdict, defect.verdict, defect.supersedes_id) == ("good", "defect", good.pk)


def test_while_a_lead_is_asked_nothing_releases_the_unit() -> None:
    task = drawn()
    judge(factories.actor(), GOOD)
    judge(factories.actor(), BAD)
    other = factories.inspection(task.unit)
    factories.task(other)
    judge(factories.actor(), GOOD)
    assert Unit.objects.get(pk=task.unit_id).disposition == "HOLD"


def test_undoing_the_first_verdict_closes_a_second_inspection_nobody_has_begun() -> None:
    drawn()
    first = factories.actor()
    task = undo(first, judge(first, GOOD))
    assert purposes() == {"FIRST"}
    judge(first, GOOD, task)
    assert purposes() == {"FIRST", "SECOND"}


def test_a_second_inspection_that_has_begun_is_compared_with_the_verdict_given_anew() -> None:
    task = drawn()
    first, second = factories.actor(), factories.actor()
    given = judge(first, GOOD)
    [begun] = offered(second)
    again = undo(first, given)
    judge(second, BAD, begun)
    assert purposes() == {"FIRST", "SECOND"}
    judge(first, GOOD, again)
    assert purposes() == {"FIRST", "SECOND", "ADJUDICATION"}
    assert Unit.objects.get(pk=task.unit_id).disposition == "HOLD"


def test_undoing_the_second_verdict_takes_the_hold_and_the_question_back() -> None:
    task = drawn()
    first, second = factories.actor(), factories.actor()
    judge(first, GOOD)
    given = judge(second, BAD)
    again = undo(second, given)
    assert purposes() == {"FIRST", "SECOND"}
    assert Unit.objects.get(pk=task.unit_id).disposition == "ACCEPT"
    judge(second, GOOD, again)
    assert purposes() == {"FIRST", "SECOND"}
    assert Unit.objects.get(pk=task.unit_id).disposition == "ACCEPT"


def test_a_verdict_a_lead_is_judging_by_now_is_not_taken_back() -> None:
    drawn()
    second = factories.actor()
    judge(factories.actor(), GOOD)
    given = judge(second, BAD)
    offered(factories.actor(Role.LEAD))
    with pytest.raises(Conflict, match="lead"):
        undo(second, given)


def test_a_lead_may_take_his_adjudication_back() -> None:
    task = drawn()
    judge(factories.actor(), GOOD)
    judge(factories.actor(), BAD)
    lead = factories.actor(Role.LEAD)
    undo(lead, judge(lead, BAD))
    assert Unit.objects.get(pk=task.unit_id).disposition == "HOLD"


def test_a_window_that_has_passed_stays_closed() -> None:
    drawn()
    first = factories.actor()
    given = judge(first, GOOD)
    with pytest.raises(UndoClosed):
        decisions.undo(
            actor=first, decision_id=given.decision.uuid, lease=LEASE, at=NOW + 2 * WINDOW
        )


def test_the_second_inspector_is_never_offered_the_first_verdict_either() -> None:
    task = drawn()
    first, second = factories.actor(), factories.actor()
    given = judge(first, GOOD)
    [blind] = offered(second)
    again = undo(first, given)
    judge(second, GOOD, blind)
    queue.release(actor=first, held=Lease(again.uuid, again.fence), at=NOW)
    assert offered(second) == []
    assert queue.figures(actor=second, site=factories.site()).waiting == 0
    assert queue.figures(actor=first, site=factories.site()).waiting == 1
    task.refresh_from_db()
    assert second.user_id not in [p.pk for p in supervision.choices(task)]
    assert [t.pk for t in offered(first)] == [task.pk]


def test_who_holds_both_gives_one_verdict_of_the_two() -> None:
    drawn()
    first, other = factories.actor(), factories.actor()
    given = judge(first, GOOD)
    [blind] = offered(other)
    again = undo(first, given)
    queue.release(actor=first, held=Lease(again.uuid, again.fence), at=NOW)
    [open_again] = offered(other)
    assert open_again.purpose == TaskPurpose.FIRST
    judge(other, GOOD, open_again)
    with pytest.raises(Conflict, match="judged this part before"):
        judge(other, GOOD, blind)
