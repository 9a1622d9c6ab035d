"""Verdicts: once, fenced, whole, and taken back within the window."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection
from django.db.models import Model

from governance.access import Actor, actor_of
from governance.models import AuditEntry
from governance.roles import Role
from labeling.models import Label
from mes_integration.models import WriteBack
from review import deadlines, decisions, queue
from review.decisions import Recorded, UndoClosed
from review.models import Answer, Decision, ReviewTask, TaskState
from review.queue import Lease, LeaseLost
from review.verdicts import Verdict
from tests import factories
from tests.factories import NOW
from traceability.models import Disposition, DispositionKind, Unit
from traceability.refusals import Invalid, Unknown

LEASE = timedelta(seconds=90)
WINDOW = timedelta(seconds=8)
ACCEPT = Verdict(answer=Answer.FALSE_CALL, disposition=DispositionKind.ACCEPT, seconds=2.5)
REJECT = Verdict(answer=Answer.CONFIRMED, disposition=DispositionKind.REWORK)


def claimed(actor: Actor, lease: timedelta = LEASE) -> Lease:
    [task] = queue.claim(actor=actor, site=factories.site(), count=1, lease=lease, at=NOW)
    return Lease(task.uuid, task.fence)


def decide(
    actor: Actor, held: Lease, verdict: Verdict = ACCEPT, key: str = "key-00000001"
) -> Recorded:
    return decisions.decide(
        actor=actor, held=held, verdict=verdict, key=key, undo_window=WINDOW, at=NOW
    )


@pytest.mark.django_db
def test_a_verdict_is_decision_label_disposition_write_back_and_audit_together() -> None:
    task = factories.task()
    mine = factories.actor()
    recorded = decide(mine, claimed(mine), REJECT)
    decision = recorded.decision
    assert (decision.answer, decision.defect_class) == ("CONFIRMED", "scratch")
    label = Label.objects.get(decision=decision.uuid)
    assert (label.verdict, label.disposition) == ("defect", "REWORK")
    disposition = Disposition.objects.get(unit=task.unit)
    assert (disposition.kind, disposition.revision, disposition.decider) == (
        "REWORK",
        1,
        mine.badge,
    )
    assert disposition.nonconformities == [
        {"defect_class": "scratch", "severity": "major", "count": 1}
    ]
    write_back = WriteBack.objects.get(disposition=disposition)
    assert (write_back.state, write_back.due_at) == ("PENDING", NOW + WINDOW)
    actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert {"task.decide", "unit.dispose", "label.record", "write_back.enqueue"} <= actions
    assert ReviewTask.objects.get(pk=task.pk).state == TaskState.DECIDED


@pytest.mark.django_db
def test_the_models_regions_are_kept_as_proposals() -> None:
    factories.task()
    mine = factories.actor()
    decide(mine, claimed(mine), REJECT)
    [annotation] = Label.objects.get().annotations.all()
    assert (annotation.origin, annotation.geometry) == ("proposed", [10, 20, 30, 40])


@pytest.mark.django_db
def test_the_same_request_again_answers_the_same_and_changes_nothing() -> None:
    factories.task()
    mine = factories.actor()
    held = claimed(mine)
    first = decide(mine, held)
    again = decide(mine, held)
    assert again.is_replay
    assert again.decision.pk == first.decision.pk
    assert Decision.objects.count() == Disposition.objects.count() == WriteBack.objects.count() == 1


@pytest.mark.django_db
def test_the_same_key_with_another_body_is_refused() -> None:
    factories.task()
    mine = factories.actor()
    held = claimed(mine)
    decide(mine, held)
    with pytest.raises(Invalid, match="another request") as refusal:
        decide(mine, held, REJECT)
    assert refusal.value.reason == "key_reused"


@pytest.mark.django_db
def test_another_persons_key_is_refused() -> None:
    factories.tasks(2)
    mine, other = factories.actor(), factories.actor()
    decide(mine, claimed(mine))
    with pytest.raises(Invalid):
        decide(other, claimed(other))


@pytest.mark.django_db
def test_a_stale_lease_writes_nothing() -> None:
    factories.task()
    first, second = factories.actor(), factories.actor()
    stale = claimed(first, lease=timedelta(seconds=-1))
    current = claimed(second)
    with pytest.raises(LeaseLost):
        decide(first, stale)
    assert Decision.objects.count() == Label.objects.count() == WriteBack.objects.count() == 0
    assert not decide(second, current, key="key-00000002").is_replay


@pytest.mark.django_db
def test_somebody_elses_lease_does_not_help() -> None:
    factories.task()
    first, second = factories.actor(), factories.actor()
    held = claimed(first)
    with pytest.raises(LeaseLost):
        decide(second, held)


@pytest.mark.django_db
def test_a_lease_that_ran_out_unclaimed_still_decides() -> None:
    factories.task()
    mine = factories.actor()
    assert not decide(mine, claimed(mine, lease=timedelta(seconds=-1))).is_replay


@pytest.mark.django_db
def test_a_task_of_another_site_does_not_exist() -> None:
    factories.task()
    mine = factories.actor()
    held = claimed(mine)
    with pytest.raises(Unknown):
        decide(factories.actor(at=factories.site("plant-2")), held)


@pytest.mark.django_db
def test_accepting_a_confirmed_defect_is_refused_and_the_lease_stays() -> None:
    factories.task()
    mine = factories.actor()
    held = claimed(mine)
    concession = Verdict(answer=Answer.CONFIRMED, disposition=DispositionKind.ACCEPT)
    with pytest.raises(Invalid, match="concession"):
        decide(mine, held, concession)
    assert not decide(mine, held, REJECT).is_replay


@pytest.mark.django_db
def test_revisions_of_a_unit_rise_by_one() -> None:
    task = factories.task(deadline=NOW)
    deadlines.hold_overdue(at=NOW)
    mine = factories.actor()
    decide(mine, claimed(mine))
    revisions = Disposition.objects.filter(unit=task.unit).values_list("revision", "kind")
    assert list(revisions.order_by("revision")) == [(1, "HOLD"), (2, "ACCEPT")]


@pytest.mark.django_db
def test_an_inconclusive_answer_holds_the_unit_and_labels_nothing() -> None:
    task = factories.task()
    mine = factories.actor()
    unsure = Verdict(answer=Answer.INCONCLUSIVE, disposition=DispositionKind.HOLD)
    decide(mine, claimed(mine), unsure)
    assert Unit.objects.get(pk=task.unit_id).disposition == "HOLD"
    assert Label.objects.count() == 0


@pytest.mark.django_db
def test_undo_within_the_window_takes_everything_back_and_the_task_returns() -> None:
    task = factories.task(deadline=NOW)
    deadlines.hold_overdue(at=NOW)
    mine = factories.actor()
    recorded = decide(mine, claimed(mine))
    again = decisions.undo(
        actor=mine, decision_id=recorded.decision.uuid, lease=LEASE, at=NOW + WINDOW
    )
    assert (again.state, again.fence, again.holder_id) == (TaskState.LEASED, 2, mine.user_id)
    assert WriteBack.objects.get(revision=2).state == "WITHDRAWN"
    assert Unit.objects.get(pk=task.unit_id).disposition == "HOLD"
    assert hasattr(Label.objects.get(), "withdrawal")
    redone = decide(mine, Lease(again.uuid, again.fence), REJECT, key="key-00000002")
    assert redone.decision.disposition is not None
    assert redone.decision.disposition.revision == 3


@pytest.mark.django_db
def test_undo_after_the_window_is_refused() -> None:
    factories.task()
    mine = factories.actor()
    recorded = decide(mine, claimed(mine))
    late = NOW + WINDOW + timedelta(microseconds=1)
    with pytest.raises(UndoClosed):
        decisions.undo(actor=mine, decision_id=recorded.decision.uuid, lease=LEASE, at=late)
    assert WriteBack.objects.get().state == "PENDING"


@pytest.mark.django_db
def test_undo_is_refused_once_the_write_back_is_on_its_way() -> None:
    factories.task()
    mine = factories.actor()
    recorded = decide(mine, claimed(mine))
    WriteBack.objects.update(state="SENDING", lease_expires_at=NOW + LEASE)
    with pytest.raises(UndoClosed):
        decisions.undo(actor=mine, decision_id=recorded.decision.uuid, lease=LEASE, at=NOW)
    assert ReviewTask.objects.get().state == TaskState.DECIDED


@pytest.mark.django_db
def test_nobody_takes_back_another_persons_verdict() -> None:
    factories.task()
    mine = factories.actor()
    recorded = decide(mine, claimed(mine))
    with pytest.raises(Unknown):
        decisions.undo(
            actor=factories.actor(), decision_id=recorded.decision.uuid, lease=LEASE, at=NOW
        )


@pytest.mark.django_db
@pytest.mark.parametrize("model", [Decision, Disposition, Label, AuditEntry])
def test_what_was_decided_is_never_changed_or_removed(model: type[Model]) -> None:
    factories.task()
    mine = factories.actor()
    decide(mine, claimed(mine), REJECT)
    field = {"Label": "labelled_by", "AuditEntry": "actor", "Disposition": "reason"}.get(
        model.__name__, "comment"
    )
    with pytest.raises(IntegrityError, match="never changed"):
        model._default_manager.update(**{field: "somebody else"})


@pytest.mark.django_db(transaction=True)
def test_a_double_key_press_decides_once() -> None:
    factories.task()
    mine = factories.actor()
    held = claimed(mine)
    answers = at_the_same_time(*[lambda: decide(mine, held)] * 4)
    assert Decision.objects.count() == WriteBack.objects.count() == 1
    assert sum(not a.is_replay for a in answers if isinstance(a, Recorded)) == 1
    assert all(isinstance(a, Recorded) for a in answers)


@pytest.mark.django_db(transaction=True)
def test_two_inspectors_on_one_task_one_decides_and_the_other_is_told() -> None:
    factories.task()
    first, second = actor_of(factories.user()), actor_of(factories.user())
    stale = claimed(first, lease=timedelta(seconds=-1))
    current = claimed(second)
    answers = at_the_same_time(
        lambda: decide(first, stale, ACCEPT, key="key-first"),
        lambda: decide(second, current, REJECT, key="key-second"),
    )
    assert isinstance(answers[0], LeaseLost)
    assert isinstance(answers[1], Recorded)
    assert Decision.objects.get().answer == "CONFIRMED"


def at_the_same_time(*calls: object) -> list[object]:
    """What each call answered or raised, all started together."""
    answers: list[object] = [None] * len(calls)
    start = threading.Barrier(len(calls))

    def run(number: int) -> None:
        start.wait()
        try:
            answers[number] = calls[number]()  # type: ignore[operator]  # callables by convention
        except (LeaseLost, Invalid) as refusal:
            answers[number] = refusal
        connection.close()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def two_questions() -> tuple[Unit, Actor]:
    """A unit that two inspections ask about, and an inspector."""
    unit = factories.unit()
    for _ in range(2):
        factories.task(factories.inspection(unit))
    return unit, factories.actor()


def kinds_of(unit: Unit) -> list[str]:
    found = Disposition.objects.filter(unit=unit, withdrawal__isnull=True)
    return list(found.order_by("revision").values_list("kind", flat=True))


@pytest.mark.django_db
def test_a_unit_is_released_by_the_last_answer_only() -> None:
    unit, mine = two_questions()
    decide(mine, claimed(mine), key="key-00000001")
    assert kinds_of(unit) == ["HOLD"]
    assert "other question" in Disposition.objects.get(unit=unit).reason
    decide(mine, claimed(mine), key="key-00000002")
    assert kinds_of(unit) == ["HOLD", "ACCEPT"]


@pytest.mark.django_db
def test_the_second_answer_sees_the_first_though_both_were_given_at_once() -> None:
    unit, mine = two_questions()
    decide(mine, claimed(mine), key="key-00000001")
    decide(mine, claimed(mine), REJECT, key="key-00000002")
    assert kinds_of(unit) == ["HOLD", "REWORK"]


@pytest.mark.django_db
def test_a_scrapped_unit_stays_scrapped_whatever_is_said_later() -> None:
    unit, mine = two_questions()
    scrap = Verdict(answer=Answer.CONFIRMED, disposition=DispositionKind.SCRAP)
    decide(mine, claimed(mine), scrap, key="key-00000001")
    recorded = decide(mine, claimed(mine), key="key-00000002")
    assert kinds_of(unit) == ["SCRAP", "SCRAP"]
    assert recorded.decision.disposition is not None
    assert recorded.decision.disposition.kind == "SCRAP"
    assert Unit.objects.get(pk=unit.pk).disposition == "SCRAP"


@pytest.mark.django_db
def test_a_scrapped_unit_is_not_held_by_a_deadline() -> None:
    unit, mine = two_questions()
    scrap = Verdict(answer=Answer.CONFIRMED, disposition=DispositionKind.SCRAP)
    decide(mine, claimed(mine), scrap)
    deadlines.hold_overdue(at=NOW + timedelta(hours=1))
    assert kinds_of(unit) == ["SCRAP"]


@pytest.mark.django_db
def test_taking_back_the_first_of_two_answers_holds_what_the_second_released() -> None:
    unit, mine = two_questions()
    first = decide(mine, claimed(mine), key="key-00000001")
    decide(mine, claimed(mine), key="key-00000002")
    decisions.undo(actor=mine, decision_id=first.decision.uuid, lease=LEASE, at=NOW)
    assert kinds_of(unit) == ["ACCEPT", "HOLD"]
    assert Unit.objects.get(pk=unit.pk).disposition == "HOLD"


@pytest.mark.django_db
def test_what_an_inspector_cannot_tell_goes_to_a_lead_and_not_back_to_him() -> None:
    task = factories.task()
    unsure = Verdict(answer=Answer.INCONCLUSIVE, disposition=DispositionKind.HOLD)
    lead = factories.actor(Role.LEAD)
    decide(lead, claimed(lead), unsure)
    assert queue.claim(actor=lead, site=task.site, count=1, lease=LEASE, at=NOW) == []
    other = factories.actor(Role.LEAD)
    decide(other, claimed(other), key="key-00000002")
    assert kinds_of(task.unit) == ["HOLD", "ACCEPT"]


@pytest.mark.django_db
def test_an_inconclusive_answer_can_be_taken_back() -> None:
    task = factories.task()
    mine = factories.actor()
    unsure = Verdict(answer=Answer.INCONCLUSIVE, disposition=DispositionKind.HOLD)
    recorded = decide(mine, claimed(mine), unsure)
    decisions.undo(actor=mine, decision_id=recorded.decision.uuid, lease=LEASE, at=NOW)
    again = ReviewTask.objects.get(pk=task.pk)
    assert (again.state, again.is_escalated) == (TaskState.LEASED, False)


@pytest.mark.django_db(transaction=True)
def test_two_inspectors_answering_two_questions_at_once_release_the_unit_in_the_end() -> None:
    unit, first = two_questions()
    second = actor_of(factories.user())
    one, other = claimed(first), claimed(second)
    at_the_same_time(
        lambda: decide(first, one, key="key-first"),
        lambda: decide(second, other, key="key-second"),
    )
    assert kinds_of(unit) == ["HOLD", "ACCEPT"]


@pytest.mark.django_db
def test_what_was_handed_on_and_taken_back_comes_again_to_who_lets_go_of_it() -> None:
    site = factories.task().site
    unsure = Verdict(answer=Answer.INCONCLUSIVE, disposition=DispositionKind.HOLD)
    for actor in (actor_of(factories.user()), factories.actor(Role.LEAD)):
        recorded = decide(actor, claimed(actor), unsure, key=f"first-{actor.user_id}")
        taken = decisions.undo(actor=actor, decision_id=recorded.decision.uuid, lease=LEASE, at=NOW)
        queue.release(actor=actor, held=Lease(taken.uuid, taken.fence), at=NOW)
        assert queue.figures(actor=actor, site=site).waiting == 1
        decide(actor, claimed(actor), unsure, key=f"second-{actor.user_id}")
        assert queue.figures(actor=actor, site=site).waiting == 0
        assert queue.claim(actor=actor, site=site, count=1, lease=LEASE, at=NOW) == []
