"""A lot judged together: only after its sample, each part by itself on record, undone as one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from governance.access import Actor
from governance.models import AuditEntry
from governance.roles import Role
from labeling.models import Label
from mes_integration.models import WriteBack
from review import decisions, lot_reviews, lots, queue
from review.decisions import UndoClosed
from review.lot_reviews import LotClosed, Opened
from review.lots import Place
from review.models import Answer, Decision, LotMember, LotReview, ReviewTask, TaskKind, TaskState
from review.queue import Lease
from review.verdicts import Verdict
from tests import factories
from tests.factories import NOW
from tests.review.test_adjudication import BAD, GOOD, LEASE, WINDOW
from traceability.models import Capture, Unit
from traceability.refusals import Conflict, Invalid, Unknown

pytestmark = pytest.mark.django_db
_keys = itertools.count(1)


def stock(count: int, *, lot: str = "L-1", severity: int = 1) -> list[ReviewTask]:
    """Tasks on parts of one lot, their images ready."""
    made = [
        factories.task(factories.inspection(factories.unit(lot=lot)), severity=severity)
        for _ in range(count)
    ]
    Capture.objects.update(preview=Capture.Preview.READY)
    return made


def where(actor: Actor, task: ReviewTask) -> Place:
    unit = task.unit
    assert unit.lot_id is not None
    assert unit.part_revision is not None
    return lots.place(
        actor=actor,
        lot_id=unit.lot_id,
        part_id=unit.part_revision.part_number_id,
        suspicion="scratch",
    )


def begin(
    actor: Actor, task: ReviewTask, verdict: Verdict = GOOD, excluded: Collection[UUID] = ()
) -> Opened:
    return lot_reviews.begin(
        actor=actor,
        where=where(actor, task),
        verdict=verdict,
        excluded=excluded,
        lease=LEASE,
        at=NOW,
    )


def judge(actor: Actor, opened: Opened, member: LotMember, verdict: Verdict = GOOD) -> Decision:
    return lot_reviews.judge_one(
        actor=actor,
        review_id=opened.review.uuid,
        held=Lease(member.task.uuid, member.fence),
        verdict=verdict,
        key=f"sample-{next(_keys):04d}",
        undo_window=WINDOW,
        at=NOW,
    ).decision


def sample(opened: Opened) -> list[LotMember]:
    return [member for member in opened.members if member.is_sample]


def decide(actor: Actor, opened: Opened, excluded: Collection[UUID] = ()) -> lot_reviews.Decided:
    return lot_reviews.decide(
        actor=actor,
        review_id=opened.review.uuid,
        excluded=excluded,
        comment="",
        undo_window=WINDOW,
        at=NOW,
    )


@pytest.fixture
def small_sample(settings: Settings) -> None:
    """A share that five parts are enough for."""
    settings.LOUPE = settings.LOUPE.model_copy(update={"bulk_deviating_share": 0.5})


@pytest.mark.parametrize(
    ("count", "share", "size"),
    [(200, 0.1, 29), (200, 0.05, 59), (200, 0.5, 5), (20, 0.1, 20), (5, 0.5, 5), (1000, 0.01, 299)],
)
def test_the_sample_is_a_plan_that_accepts_on_none(count: int, share: float, size: int) -> None:
    assert lots.sample_size(count, share=share) == size
    if size not in (count, lots.FEWEST):
        assert math.pow(1 - share, size) <= 0.05 < math.pow(1 - share, size - 1)


def test_lots_with_enough_alike_are_listed() -> None:
    stock(6, lot="L-1")
    stock(4, lot="L-2")
    found = lots.waiting(actor=factories.actor(), site=factories.site())
    assert [(each.lot, each.suspicion, each.count) for each in found] == [("L-1", "scratch", 6)]


@pytest.mark.parametrize(
    "unfit",
    [
        {"is_blind": True},
        {"kind": TaskKind.CONTAIN},
        {"kind": TaskKind.CAPTURE_CHECK},
        {"severity": 0},
        {"is_escalated": True},
        {"purpose": "SECOND"},
    ],
)
def test_what_is_blind_held_grave_or_a_leads_is_judged_singly(unfit: dict[str, object]) -> None:
    tasks = stock(6)
    ReviewTask.objects.filter(pk=tasks[0].pk).update(**unfit)
    opened = begin(factories.actor(), tasks[0])
    assert tasks[0].pk not in {member.task_id for member in opened.members}
    assert len(opened.members) == 5


def test_a_part_whose_image_is_not_there_is_judged_singly() -> None:
    tasks = stock(6)
    Capture.objects.filter(inspection=tasks[0].inspection).update(preview=Capture.Preview.PENDING)
    assert len(begin(factories.actor(), tasks[0]).members) == 5


def test_too_few_are_judged_singly() -> None:
    tasks = stock(5)
    with pytest.raises(Invalid, match="one by one"):
        begin(factories.actor(), tasks[0], excluded=[tasks[0].uuid])


@pytest.mark.usefixtures("small_sample")
def test_the_rest_is_decided_after_the_sample_each_part_by_itself() -> None:
    tasks = stock(9)
    ReviewTask.objects.update(inclusion_probability=0.25)
    mine = factories.actor()
    opened = begin(mine, tasks[0])
    assert len(sample(opened)) == 5
    for member in sample(opened):
        judge(mine, opened, member)
    decided = decide(mine, opened)
    assert (decided.count, decided.left_out) == (4, [])
    assert Decision.objects.filter(bulk=opened.review).count() == 4
    assert Decision.objects.filter(bulk__isnull=True).count() == 5
    assert set(Unit.objects.values_list("disposition", flat=True)) == {"ACCEPT"}
    assert WriteBack.objects.count() == Label.objects.count() == 9
    assert set(Label.objects.values_list("inclusion_probability", flat=True)) == {0.25}
    in_bulk = AuditEntry.objects.filter(action="task.decide", detail__bulk=opened.review.pk)
    assert in_bulk.count() == 4


@pytest.mark.usefixtures("small_sample")
def test_nothing_is_decided_while_a_part_of_the_sample_is_open() -> None:
    tasks = stock(9)
    mine = factories.actor()
    opened = begin(mine, tasks[0])
    for member in sample(opened)[1:]:
        judge(mine, opened, member)
    with pytest.raises(Conflict, match="1 parts of the sample") as refusal:
        decide(mine, opened)
    assert refusal.value.reason == "sample_open"
    assert not Decision.objects.filter(bulk__isnull=False).exists()


@pytest.mark.usefixtures("small_sample")
def test_a_deviating_part_ends_the_bulk_way_for_everybody() -> None:
    tasks = stock(9)
    mine = factories.actor()
    opened = begin(mine, tasks[0])
    first, *others = sample(opened)
    with pytest.raises(LotClosed) as refusal:
        judge(mine, opened, first, BAD)
    assert refusal.value.reason == "lot_deviates"
    assert Decision.objects.get().answer == Answer.CONFIRMED
    assert ReviewTask.objects.filter(state=TaskState.QUEUED).count() == 8
    with pytest.raises(LotClosed):
        decide(mine, opened)
    for actor in (mine, factories.actor()):
        with pytest.raises(LotClosed):
            begin(actor, tasks[0])
    assert queue.claim(actor=mine, site=factories.site(), count=1, lease=LEASE, at=NOW)
    assert others


@pytest.mark.usefixtures("small_sample")
def test_a_deviating_verdict_given_at_the_bench_counts_as_well() -> None:
    tasks = stock(9)
    mine = factories.actor()
    opened = begin(mine, tasks[0])
    first, *others = sample(opened)
    decisions.decide(
        actor=mine,
        held=Lease(first.task.uuid, first.fence),
        verdict=BAD,
        key="at-the-bench",
        undo_window=WINDOW,
        at=NOW,
    )
    for member in others:
        judge(mine, opened, member)
    with pytest.raises(LotClosed):
        decide(mine, opened)
    assert not Decision.objects.filter(bulk__isnull=False).exists()
    with pytest.raises(LotClosed):
        begin(factories.actor(), tasks[0])


@pytest.mark.usefixtures("small_sample")
def test_the_sample_is_drawn_the_same_again() -> None:
    tasks = stock(12)
    mine = factories.actor()
    opened = begin(mine, tasks[0])
    drawn = {member.task_id for member in sample(opened)}
    lot_reviews.give_back(actor=mine, review_id=opened.review.uuid, at=NOW)
    assert {m.task_id for m in sample(begin(mine, tasks[0]))} == drawn
    assert drawn != {task.pk for task in tasks[:5]}


@pytest.mark.usefixtures("small_sample")
def test_what_a_colleague_holds_is_left_out_and_said_so() -> None:
    tasks = stock(9)
    held = queue.claim(actor=factories.actor(), site=factories.site(), count=2, lease=LEASE, at=NOW)
    opened = begin(factories.actor(), tasks[0])
    assert opened.left_out == 2
    assert not {t.pk for t in held} & {member.task_id for member in opened.members}


@pytest.mark.usefixtures("small_sample")
def test_a_part_somebody_took_meanwhile_is_not_decided_and_is_named() -> None:
    tasks = stock(9)
    mine = factories.actor()
    opened = begin(mine, tasks[0])
    for member in sample(opened):
        judge(mine, opened, member)
    lost = next(member for member in opened.members if not member.is_sample)
    ReviewTask.objects.filter(pk=lost.task_id).update(fence=99)
    decided = decide(mine, opened)
    assert decided.count == 3
    assert [serial for serial, _why in decided.left_out] == [lost.task.unit.serial]
    assert ReviewTask.objects.get(pk=lost.task_id).state == TaskState.LEASED


@pytest.mark.usefixtures("small_sample")
def test_what_is_excluded_goes_back_undecided() -> None:
    tasks = stock(9)
    mine = factories.actor()
    opened = begin(mine, tasks[0])
    for member in sample(opened):
        judge(mine, opened, member)
    out = next(member for member in opened.members if not member.is_sample)
    assert decide(mine, opened, excluded=[out.task.uuid]).count == 3
    assert ReviewTask.objects.get(pk=out.task_id).state == TaskState.QUEUED


@pytest.mark.usefixtures("small_sample")
def test_the_whole_is_taken_back_in_one_action_while_its_window_is_open() -> None:
    tasks = stock(9)
    mine = factories.actor()
    opened = begin(mine, tasks[0], BAD)
    for member in sample(opened):
        judge(mine, opened, member, BAD)
    decide(mine, opened)
    assert (
        lot_reviews.undo(actor=mine, review_id=opened.review.uuid, lease=LEASE, at=NOW + WINDOW)
        == 4
    )
    assert ReviewTask.objects.filter(state=TaskState.QUEUED).count() == 4
    assert WriteBack.objects.filter(state="WITHDRAWN").count() == 4
    assert Label.objects.filter(withdrawal__isnull=True).count() == 5


@pytest.mark.usefixtures("small_sample")
def test_a_part_of_the_sample_is_not_taken_back_alone_once_it_spoke_for_the_others() -> None:
    tasks = stock(9)
    mine = factories.actor()
    opened = begin(mine, tasks[0])
    given = [judge(mine, opened, member) for member in sample(opened)]
    decide(mine, opened)
    with pytest.raises(decisions.UndoClosed, match="whole lot"):
        decisions.undo(actor=mine, decision_id=given[0].uuid, lease=LEASE, at=NOW)
    lot_reviews.undo(actor=mine, review_id=opened.review.uuid, lease=LEASE, at=NOW)
    decisions.undo(actor=mine, decision_id=given[0].uuid, lease=LEASE, at=NOW)


@pytest.mark.usefixtures("small_sample")
def test_after_the_window_nothing_of_it_is_taken_back() -> None:
    tasks = stock(9)
    mine = factories.actor()
    opened = begin(mine, tasks[0])
    for member in sample(opened):
        judge(mine, opened, member)
    decide(mine, opened)
    [one, *_others] = Decision.objects.filter(bulk=opened.review)
    WriteBack.objects.filter(disposition=one.disposition).update(state="SENT")
    with pytest.raises(UndoClosed):
        lot_reviews.undo(actor=mine, review_id=opened.review.uuid, lease=LEASE, at=NOW)
    assert WriteBack.objects.filter(state="WITHDRAWN").count() == 0
    with pytest.raises(UndoClosed):
        lot_reviews.undo(
            actor=mine, review_id=opened.review.uuid, lease=LEASE, at=NOW + timedelta(minutes=1)
        )


def test_a_lot_of_a_colleague_or_of_another_site_is_nobodys() -> None:
    tasks = stock(6)
    opened = begin(factories.actor(), tasks[0])
    with pytest.raises(Unknown):
        lot_reviews.keep(actor=factories.actor(), review_id=opened.review.uuid, lease=LEASE)
    with pytest.raises(Unknown):
        where(factories.actor(at=factories.site("plant-2")), tasks[0])


def test_a_critical_defect_is_not_confirmed_together() -> None:
    tasks = stock(6)
    factories.defect_class("crack", severity="critical")
    verdict = Verdict(answer=Answer.CONFIRMED, disposition=BAD.disposition, defect_class="crack")
    with pytest.raises(Invalid, match="critical"):
        begin(factories.actor(Role.LEAD), tasks[0], verdict)
    assert not LotReview.objects.exists()


@pytest.mark.usefixtures("small_sample")
def test_a_part_of_which_a_view_came_meanwhile_is_not_decided_and_is_named() -> None:
    tasks = stock(8)
    actor = factories.actor()
    opened = begin(actor, tasks[0])
    rest = [member for member in opened.members if not member.is_sample]
    late, *others = rest
    factories.prediction(factories.capture(late.task.inspection, view="side"), score=0.97)
    for member in sample(opened):
        judge(actor, opened, member)
    decided = decide(actor, opened)
    assert decided.count == len(others)
    [(serial, why)] = decided.left_out
    assert serial == late.task.unit.serial
    assert "side" in why
    assert ReviewTask.objects.get(pk=late.task_id).state == TaskState.QUEUED


def test_a_part_of_the_sample_is_looked_at_anew_when_a_view_has_come() -> None:
    tasks = stock(5)
    actor = factories.actor()
    opened = begin(actor, tasks[0])
    member = sample(opened)[0]
    factories.prediction(factories.capture(member.task.inspection, view="side"), score=0.97)
    with pytest.raises(Invalid, match="side"):
        judge(actor, opened, member)


def test_a_lot_begun_and_left_again_costs_no_more_each_time() -> None:
    tasks = stock(5)
    actor = factories.actor()
    place = where(actor, tasks[0])

    def statements() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert not lots.is_closed(place)
        return len(asked)

    before = statements()
    for _time in range(3):
        opened = begin(actor, tasks[0])
        lot_reviews.give_back(actor=actor, review_id=opened.review.uuid, at=NOW)
    assert statements() == before
