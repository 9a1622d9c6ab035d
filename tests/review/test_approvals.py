"""What waits for a second person: held meanwhile, answered once, by somebody else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from governance.access import Actor
from governance.models import AuditEntry
from governance.roles import Role
from mes_integration.models import WriteBack
from review import approvals, decisions, queue
from review.models import Answer, Approval, Decision, Escalation, ReviewTask
from review.rulings import Ruling
from review.transitions import check_disposition
from review.verdicts import Verdict
from tests import factories
from tests.factories import NOW
from tests.review.test_decisions import ACCEPT, LEASE, REJECT, claimed, decide, kinds_of
from traceability.models import Disposition, DispositionKind, Unit
from traceability.refusals import Conflict, Invalid, NotAllowed, Unknown

SCRAP = Verdict(answer=Answer.CONFIRMED, disposition=DispositionKind.SCRAP, comment="Cracked.")
USE_IT = "The scratch is on the inside and touches nothing."
CONCESSION = Verdict(answer=Answer.CONFIRMED, disposition=DispositionKind.ACCEPT, concession=USE_IT)
LATER = NOW + timedelta(minutes=5)


def question(*, scrap: bool = True, concession: bool = True, **fields: Any) -> ReviewTask:
    """A task whose policy rule has a second person asked."""
    made = factories.task(**fields)
    ReviewTask.objects.filter(pk=made.pk).update(
        second_for_scrap=scrap, second_for_concession=concession
    )
    return made


def asked(verdict: Verdict = SCRAP, by: Actor | None = None) -> Approval:
    """The approval that this verdict on a new part asks for."""
    question()
    mine = by or factories.actor(Role.LEAD)
    return Approval.objects.get(decision=decide(mine, claimed(mine), verdict).decision)


def approve(approval: Approval, by: Actor | None = None, words: str = "") -> Approval:
    who = by or factories.actor(Role.QUALITY_ENGINEER)
    return approvals.approve(actor=who, approval_id=approval.uuid, words=words, at=LATER)


def refuse(approval: Approval, by: Actor | None = None, words: str = "Measure it.") -> Approval:
    who = by or factories.actor(Role.QUALITY_ENGINEER)
    return approvals.refuse(actor=who, approval_id=approval.uuid, words=words, at=LATER)


@pytest.mark.parametrize(
    ("ruling", "scrap", "concession", "kind"),
    [
        (Ruling(DispositionKind.SCRAP), True, False, "SCRAP"),
        (Ruling(DispositionKind.SCRAP), False, True, None),
        (Ruling(DispositionKind.ACCEPT, is_concession=True), False, True, "CONCESSION"),
        (Ruling(DispositionKind.ACCEPT, is_concession=True), True, False, None),
        (Ruling(DispositionKind.ACCEPT), True, True, None),
        (Ruling(DispositionKind.REWORK), True, True, None),
    ],
)
def test_the_policy_says_what_waits(
    ruling: Ruling, scrap: bool, concession: bool, kind: str | None
) -> None:
    found = approvals.waits_for(ruling, second_for_scrap=scrap, second_for_concession=concession)
    assert found == kind


@pytest.mark.parametrize("answer", [Answer.FALSE_CALL, Answer.INCONCLUSIVE])
def test_only_a_confirmed_defect_is_conceded(answer: Answer) -> None:
    kind = DispositionKind.ACCEPT if answer is Answer.FALSE_CALL else DispositionKind.HOLD
    with pytest.raises(Invalid, match="concession"):
        check_disposition(answer, kind, is_concession=True)


@pytest.mark.django_db
def test_a_scrap_that_waits_holds_the_unit_and_tells_the_mes_so() -> None:
    approval = asked()
    unit = Unit.objects.get()
    assert (unit.disposition, approval.state, approval.kind) == ("HOLD", "OPEN", "SCRAP")
    made = Disposition.objects.get()
    assert made.reason == "The scrap waits for a second person. Cracked."
    assert made.nonconformities[0]["defect_class"] == "scratch"
    assert WriteBack.objects.get().payload["data"]["disposition"] == "HOLD"
    assert Decision.objects.get().disposition_kind == "SCRAP"
    assert AuditEntry.objects.filter(action="approval.ask", reason="Cracked.").exists()


@pytest.mark.django_db
def test_without_a_policy_that_says_so_a_scrap_counts_at_once() -> None:
    question(scrap=False)
    mine = factories.actor()
    decide(mine, claimed(mine), SCRAP)
    assert Unit.objects.get().disposition == "SCRAP"
    assert not Approval.objects.exists()


@pytest.mark.django_db
def test_an_approved_scrap_is_the_next_revision_and_goes_to_the_mes_at_once() -> None:
    approval = asked()
    who = factories.actor(Role.QUALITY_ENGINEER)
    approve(approval, who, "Seen it.")
    approval.refresh_from_db()
    assert (approval.state, approval.words) == ("APPROVED", "Seen it.")
    assert approval.decided_by_id == who.user_id
    assert kinds_of(approval.unit) == ["HOLD", "SCRAP"]
    sent = WriteBack.objects.get(revision=2)
    assert sent.due_at == LATER
    assert sent.payload["data"]["decided_by"] == {"kind": "inspector", "badge": who.badge}
    assert sent.payload["data"]["nonconformities"][0]["defect_class"] == "scratch"
    assert sent.payload["data"]["concession"] is None


@pytest.mark.django_db
def test_an_approved_concession_is_an_accept_that_names_both_people() -> None:
    lead, engineer = factories.actor(Role.LEAD), factories.actor(Role.QUALITY_ENGINEER)
    approval = asked(CONCESSION, lead)
    assert kinds_of(approval.unit) == ["HOLD"]
    approve(approval, engineer)
    assert kinds_of(approval.unit) == ["HOLD", "ACCEPT"]
    concession = {
        "reason": USE_IT,
        "asked_by": lead.badge,
        "approved_by": engineer.badge,
        "at": LATER.isoformat(),
    }
    made = Disposition.objects.get(revision=2)
    assert made.concession == concession
    assert made.nonconformities[0]["defect_class"] == "scratch"
    assert WriteBack.objects.get(revision=2).payload["data"]["concession"] == concession
    assert Disposition.objects.get(revision=1).concession is None


@pytest.mark.django_db
def test_where_the_policy_asks_nobody_else_a_concession_counts_at_once() -> None:
    question(concession=False)
    lead = factories.actor(Role.LEAD)
    made = decide(lead, claimed(lead), CONCESSION).decision.disposition
    assert made is not None
    assert made.kind == "ACCEPT"
    assert made.concession == {
        "reason": USE_IT,
        "asked_by": lead.badge,
        "approved_by": None,
        "at": NOW.isoformat(),
    }
    assert made.nonconformities[0]["defect_class"] == "scratch"


@pytest.mark.django_db
def test_an_inspector_asks_for_no_concession() -> None:
    question()
    mine = factories.actor()
    held = claimed(mine)
    with pytest.raises(NotAllowed, match="lead"):
        decide(mine, held, CONCESSION)
    assert not Disposition.objects.exists()


@pytest.mark.django_db
def test_nobody_answers_what_he_has_asked_himself() -> None:
    lead = factories.actor(Role.LEAD)
    approval = asked(by=lead)
    for answer in (approve, refuse):
        with pytest.raises(Conflict, match="yourself") as refusal:
            answer(approval, lead)
        assert refusal.value.reason == "same_person"
    with pytest.raises(IntegrityError, match="approval_by_another_person"), transaction.atomic():
        Approval.objects.filter(pk=approval.pk).update(
            state="APPROVED", decided_by=approval.asked_by, decided_at=LATER
        )


@pytest.mark.django_db
@pytest.mark.parametrize("role", [Role.INSPECTOR, Role.ADMIN, Role.AUDITOR])
def test_who_may_not_approve_is_told_of_nothing(role: Role) -> None:
    approval = asked()
    with pytest.raises(Unknown):
        approve(approval, factories.actor(role))


@pytest.mark.django_db
def test_a_lead_of_another_line_is_told_of_nothing() -> None:
    approval = asked()
    elsewhere = factories.line(code="line-2")
    with pytest.raises(Unknown):
        approve(approval, factories.actor(Role.LEAD, on=elsewhere))
    assert not approvals.waiting(factories.actor(Role.LEAD, on=elsewhere)).exists()
    assert approvals.waiting(factories.actor(Role.LEAD, on=factories.line())).get() == approval


@pytest.mark.django_db
def test_a_lead_of_another_site_is_told_of_nothing() -> None:
    approval = asked()
    stranger = factories.actor(Role.LEAD, at=factories.site("plant-2"))
    for answer in (approve, refuse):
        with pytest.raises(Unknown):
            answer(approval, stranger)
    assert not approvals.waiting(stranger).exists()


@pytest.mark.django_db
def test_the_same_answer_twice_is_one_and_another_is_refused() -> None:
    approval = asked()
    who = factories.actor(Role.QUALITY_ENGINEER)
    approve(approval, who)
    approve(approval, who)
    assert kinds_of(approval.unit) == ["HOLD", "SCRAP"]
    with pytest.raises(Conflict, match="approved by"):
        approve(approval, factories.actor(Role.LEAD))
    with pytest.raises(Conflict, match="approved by"):
        refuse(approval, who)


@pytest.mark.django_db
def test_what_was_answered_is_never_changed_nor_removed() -> None:
    approval = asked()
    approve(approval)
    for change in (
        lambda: Approval.objects.update(state="OPEN", decided_by=None, decided_at=None),
        lambda: Approval.objects.all().delete(),
    ):
        with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
            change()


@pytest.mark.django_db
def test_a_refused_scrap_stays_held_and_goes_to_a_lead_who_had_not_asked() -> None:
    inspector, lead = factories.actor(), factories.actor(Role.LEAD)
    approval = asked(by=inspector)
    refuse(approval, factories.actor(Role.QUALITY_ENGINEER), "Measure it.")
    assert kinds_of(approval.unit) == ["HOLD"]
    task = ReviewTask.objects.get()
    assert (task.state, task.is_escalated) == ("QUEUED", True)
    assert task.deadline > LATER
    assert queue.claim(actor=inspector, site=task.site, count=1, lease=LEASE, at=LATER) == []
    told = Escalation.objects.get()
    assert told.inspector_id == inspector.user_id
    assert "Measure it." in told.comment
    decide(lead, claimed(lead), REJECT, key="key-00000002")
    assert kinds_of(approval.unit) == ["HOLD", "REWORK"]


@pytest.mark.django_db
def test_a_refused_concession_leaves_the_unit_held_and_tells_nobody() -> None:
    approval = asked(CONCESSION, factories.actor(Role.LEAD))
    refuse(approval)
    approval.unit.refresh_from_db()
    assert approval.unit.disposition == "HOLD"
    assert kinds_of(approval.unit) == ["HOLD"]
    assert WriteBack.objects.get().payload["data"]["disposition"] == "HOLD"


@pytest.mark.django_db
def test_a_refusal_says_why() -> None:
    with pytest.raises(Invalid, match="why"):
        refuse(asked(), words="  ")


@pytest.mark.django_db
def test_a_lead_who_scraps_after_a_refusal_waits_for_a_second_person_again() -> None:
    approval = asked(by=factories.actor())
    refuse(approval)
    lead = factories.actor(Role.LEAD)
    decide(lead, claimed(lead), SCRAP, key="key-00000002")
    assert kinds_of(approval.unit) == ["HOLD", "HOLD"]
    again = Approval.objects.get(state="OPEN")
    approve(again)
    assert kinds_of(approval.unit) == ["HOLD", "HOLD", "SCRAP"]


@pytest.mark.django_db
def test_taking_the_verdict_back_takes_the_question_back() -> None:
    lead = factories.actor(Role.LEAD)
    approval = asked(by=lead)
    decisions.undo(actor=lead, decision_id=approval.decision.uuid, lease=LEASE, at=NOW)
    approval.refresh_from_db()
    assert (approval.state, approval.decided_by) == ("WITHDRAWN", None)
    assert Unit.objects.get().disposition == ""
    with pytest.raises(Conflict, match="taken back"):
        approve(approval)
    task = ReviewTask.objects.get()
    decide(lead, queue.Lease(task.uuid, task.fence), SCRAP, key="key-00000002")
    assert Approval.objects.filter(state="OPEN").count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("answer", [approve, refuse])
def test_what_was_answered_is_not_taken_back(answer: Any) -> None:
    lead = factories.actor(Role.LEAD)
    approval = asked(by=lead)
    answer(approval)
    with pytest.raises(Conflict, match="answered already") as refusal:
        decisions.undo(actor=lead, decision_id=approval.decision.uuid, lease=LEASE, at=NOW)
    assert refusal.value.reason == "undo_closed"
    assert not hasattr(approval.decision, "withdrawal")


@pytest.mark.django_db
def test_no_other_answer_releases_a_unit_whose_scrap_waits() -> None:
    unit, lead = factories.unit(), factories.actor(Role.LEAD)
    for _ in range(2):
        question(of=factories.inspection(unit))
    decide(lead, claimed(lead), SCRAP, key="key-00000001")
    approval = Approval.objects.get()
    with pytest.raises(Conflict, match="Another question"):
        approve(approval)
    other = factories.actor()
    decide(other, claimed(other), ACCEPT, key="key-00000002")
    assert kinds_of(unit) == ["HOLD", "HOLD"]
    approve(approval)
    assert kinds_of(unit) == ["HOLD", "HOLD", "SCRAP"]


@pytest.mark.django_db
def test_a_unit_that_is_decided_otherwise_closes_the_question() -> None:
    unit, lead = factories.unit(), factories.actor(Role.LEAD)
    for _ in range(2):
        question(of=factories.inspection(unit))
    decide(lead, claimed(lead), CONCESSION, key="key-00000001")
    other = factories.actor()
    decide(other, claimed(other), REJECT, key="key-00000002")
    approval = Approval.objects.get()
    with pytest.raises(Conflict, match="decided otherwise"):
        approve(approval)
    assert approvals.close_overtaken(at=LATER) == 1
    assert approvals.close_overtaken(at=LATER) == 0
    approval.refresh_from_db()
    assert approval.state == "OVERTAKEN"
    assert kinds_of(unit) == ["HOLD", "REWORK"]


@pytest.mark.django_db
def test_a_scrap_of_a_unit_sent_to_rework_since_is_not_approved() -> None:
    unit, lead = factories.unit(), factories.actor(Role.LEAD)
    for _ in range(2):
        question(of=factories.inspection(unit))
    decide(lead, claimed(lead), SCRAP, key="key-00000001")
    other = factories.actor()
    decide(other, claimed(other), REJECT, key="key-00000002")
    with pytest.raises(Conflict, match="decided otherwise"):
        approve(Approval.objects.get())
    assert kinds_of(unit) == ["HOLD", "REWORK"]


@pytest.mark.django_db
def test_nobody_answers_while_he_judges_the_unit_himself() -> None:
    approval = asked(by=factories.actor())
    second = question(of=factories.inspection(approval.unit))
    lead = factories.actor(Role.LEAD)
    claimed(lead)
    assert second.state == "QUEUED"
    with pytest.raises(Conflict, match="at the bench"):
        approve(approval, lead)


@pytest.mark.django_db
def test_a_concession_that_counts_at_once_waits_for_no_other_question() -> None:
    unit, lead = factories.unit(), factories.actor(Role.LEAD)
    for _ in range(2):
        question(of=factories.inspection(unit), concession=False)
    held = claimed(lead)
    with pytest.raises(Invalid, match="Another question"):
        decide(lead, held, CONCESSION)
    assert not Disposition.objects.exists()
