"""What a lot verdict asks a second person for is answered in one press, each part on record."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from django.db import close_old_connections, connection
from django.test import Client
from pytest_django import Settings

from governance.access import Actor, actor_of
from governance.models import AuditEntry, User
from governance.roles import Role
from mes_integration.models import WriteBack
from review import approvals, decisions, lot_approvals, lot_reviews
from review.lot_approvals import Answered, Together
from review.lot_reviews import LotClosed
from review.models import Answer, Approval, LotReview, ReviewTask
from review.verdicts import Verdict
from tests import factories
from tests.factories import NOW
from tests.review.test_approvals import CONCESSION, LATER
from tests.review.test_decisions import LEASE, claimed
from tests.review.test_decisions import decide as decide_one
from tests.review.test_lots import begin, decide, judge, sample, stock
from traceability.models import Disposition, DispositionKind
from traceability.refusals import Conflict, Invalid, Unknown

SCRAP = Verdict(answer=Answer.CONFIRMED, disposition=DispositionKind.SCRAP, defect_class="scratch")


@pytest.fixture(autouse=True)
def small_sample(settings: Settings) -> None:
    settings.LOUPE = settings.LOUPE.model_copy(update={"bulk_deviating_share": 0.5})


def scrapped(by: Actor, count: int = 7) -> LotReview:
    """A lot scrapped in one go by a policy that asks for a second person: five are the sample."""
    tasks = stock(count)
    ReviewTask.objects.update(second_for_scrap=True)
    opened = begin(by, tasks[0], SCRAP)
    for member in sample(opened):
        judge(by, opened, member, SCRAP)
    decide(by, opened)
    return opened.review


def answer(
    review: LotReview, by: Actor, state: Approval.State = Approval.State.APPROVED, words: str = ""
) -> Answered:
    return lot_approvals.answer(actor=by, review_id=review.uuid, state=state, words=words, at=LATER)


def refuse(review: LotReview, by: Actor, words: str = "Measure them.") -> Answered:
    return answer(review, by, Approval.State.REFUSED, words)


def waiting(actor: Actor) -> list[Together | Approval]:
    return lot_approvals.gathered(lot_approvals.with_lot(approvals.waiting(actor)))


@pytest.mark.django_db
def test_a_lot_is_approved_in_one_press_and_each_part_has_its_own_record() -> None:
    review = scrapped(factories.actor())
    engineer = factories.actor(Role.QUALITY_ENGINEER)
    answered = answer(review, engineer, words="Seen them.")
    assert (len(answered.done), answered.left_out) == (7, [])
    assert set(Approval.objects.values_list("state", "words")) == {("APPROVED", "Seen them.")}
    assert set(Approval.objects.values_list("decided_by", flat=True)) == {engineer.user_id}
    scraps = Disposition.objects.filter(kind="SCRAP", revision=2, decider=engineer.badge)
    assert scraps.count() == WriteBack.objects.filter(revision=2, due_at=LATER).count() == 7
    assert AuditEntry.objects.filter(action="approval.approve").count() == 7
    whole = AuditEntry.objects.get(action="lot.approve")
    assert whole.detail == {"bulk": review.pk, "parts": 7, "left_out": []}
    assert (whole.subject, whole.reason) == ("L-1", "Seen them.")


@pytest.mark.django_db
def test_a_lot_is_refused_in_one_press_and_each_part_goes_to_a_lead() -> None:
    review = scrapped(factories.actor())
    assert len(refuse(review, factories.actor(Role.LEAD)).done) == 7
    assert set(Disposition.objects.values_list("kind", flat=True)) == {"HOLD"}
    tasks = set(ReviewTask.objects.values_list("state", "is_escalated"))
    assert tasks == {("QUEUED", True)}
    assert AuditEntry.objects.filter(action="approval.refuse").count() == 7


@pytest.mark.django_db
def test_a_lot_is_refused_with_words_only() -> None:
    review = scrapped(factories.actor())
    with pytest.raises(Invalid, match="why"):
        refuse(review, factories.actor(Role.LEAD), " ")
    assert set(Approval.objects.values_list("state", flat=True)) == {"OPEN"}


@pytest.mark.django_db
def test_who_judged_the_lot_answers_no_part_of_it() -> None:
    lead = factories.actor(Role.LEAD)
    review = scrapped(lead)
    for act in (answer, refuse):
        with pytest.raises(Conflict, match="yourself") as refusal:
            act(review, lead)
        assert refusal.value.reason == "same_person"
    assert set(Approval.objects.values_list("state", flat=True)) == {"OPEN"}


@pytest.mark.django_db
def test_what_cannot_be_approved_is_left_out_and_named() -> None:
    review = scrapped(factories.actor())
    other = Approval.objects.order_by("pk")[2]
    factories.task(factories.inspection(other.unit))
    answered = answer(review, factories.actor(Role.QUALITY_ENGINEER))
    assert len(answered.done) == 6
    [(serial, why)] = answered.left_out
    assert serial == other.unit.serial
    assert "Another question" in why
    other.refresh_from_db()
    assert other.state == "OPEN"
    assert AuditEntry.objects.get(action="lot.approve").detail["left_out"] == [serial]


@pytest.mark.django_db
def test_what_was_answered_or_taken_back_by_itself_keeps_its_answer() -> None:
    mine, lead = factories.actor(), factories.actor(Role.LEAD)
    review = scrapped(mine)
    one, two = Approval.objects.filter(decision__bulk=review)
    approvals.refuse(actor=lead, approval_id=one.uuid, words="Look again.", at=LATER)
    decisions.undo(actor=mine, decision_id=two.decision.uuid, lease=LEASE, at=NOW)
    assert len(answer(review, lead).done) == 5
    states = Approval.objects.order_by("pk").values_list("state", flat=True)
    assert sorted(states) == ["APPROVED"] * 5 + ["REFUSED", "WITHDRAWN"]


@pytest.mark.django_db
def test_the_same_press_again_answers_the_same_and_another_finds_nothing_left() -> None:
    review, lead = scrapped(factories.actor()), factories.actor(Role.LEAD)
    first = answer(review, lead)
    assert answer(review, lead).done == first.done
    assert Disposition.objects.filter(revision=2).count() == 7
    assert AuditEntry.objects.filter(action="lot.approve").count() == 1
    with pytest.raises(Conflict, match="left"):
        refuse(review, lead)
    with pytest.raises(Conflict, match="left"):
        answer(review, factories.actor(Role.QUALITY_ENGINEER))


@pytest.mark.django_db
def test_a_press_that_answers_nothing_new_is_no_change_and_the_next_counts_its_own() -> None:
    review, lead = scrapped(factories.actor()), factories.actor(Role.LEAD)
    other = Approval.objects.order_by("pk")[2]
    asked = factories.task(factories.inspection(other.unit))
    assert [answer(review, lead).anew for _press in range(2)] == [6, 0]
    assert AuditEntry.objects.filter(action="lot.approve").count() == 1
    ReviewTask.objects.filter(pk=asked.pk).update(state="CLOSED")
    last = answer(review, lead)
    assert (last.anew, len(last.done)) == (1, 7)
    counted = AuditEntry.objects.filter(action="lot.approve").order_by("pk")
    assert [each.detail["parts"] for each in counted] == [6, 1]


@pytest.mark.django_db
def test_what_was_said_of_the_lot_is_shown_though_its_sample_was_judged_without_words() -> None:
    mine = factories.actor()
    tasks = stock(7)
    ReviewTask.objects.update(second_for_scrap=True)
    opened = begin(mine, tasks[0], SCRAP)
    for member in sample(opened):
        judge(mine, opened, member, SCRAP)
    lot_reviews.decide(
        actor=mine,
        review_id=opened.review.uuid,
        excluded=[],
        comment="Coolant ran out.",
        undo_window=LEASE,
        at=NOW,
    )
    client = signed_in(factories.user(Role.LEAD))
    for address in ("/review/approvals/", f"/review/approvals/lots/{opened.review.uuid}/"):
        assert "Coolant ran out." in client.get(address).content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("role", [Role.INSPECTOR, Role.ADMIN, Role.AUDITOR])
def test_a_lot_is_unknown_to_who_may_not_approve(role: Role) -> None:
    review = scrapped(factories.actor())
    with pytest.raises(Unknown):
        answer(review, factories.actor(role))


@pytest.mark.django_db
def test_a_lot_is_unknown_to_a_lead_of_another_line_or_site() -> None:
    review = scrapped(factories.actor())
    elsewhere = (factories.line(code="line-2"), factories.line(factories.site("plant-2")))
    for line in elsewhere:
        with pytest.raises(Unknown):
            answer(review, factories.actor(Role.LEAD, on=line))


@pytest.mark.django_db
def test_the_list_shows_a_lot_as_one_and_a_single_part_by_itself() -> None:
    review, lead = scrapped(factories.actor()), factories.actor(Role.LEAD)
    [whole] = waiting(lead)
    assert isinstance(whole, Together)
    assert (whole.review, len(whole.approvals)) == (review, 7)
    for part in whole.approvals[1:]:
        approvals.approve(actor=lead, approval_id=part.uuid, words="", at=LATER)
    [single] = waiting(lead)
    assert isinstance(single, Approval)


@pytest.mark.django_db
def test_a_sample_whose_lot_is_not_decided_yet_is_answered_part_by_part() -> None:
    mine = factories.actor()
    tasks = stock(7)
    ReviewTask.objects.update(second_for_scrap=True)
    opened = begin(mine, tasks[0], SCRAP)
    for member in sample(opened):
        judge(mine, opened, member, SCRAP)
    found = waiting(factories.actor(Role.LEAD))
    assert len(found) == 5
    assert all(isinstance(each, Approval) for each in found)


@pytest.mark.django_db
def test_no_lot_is_accepted_by_concession() -> None:
    lead, [first, *_rest] = factories.actor(Role.LEAD), stock(7)
    for reason in ("", CONCESSION.concession):
        with pytest.raises(Invalid, match="concession"):
            begin(lead, first, replace(CONCESSION, concession=reason))
    ReviewTask.objects.update(second_for_concession=True)
    opened = begin(lead, first, SCRAP)
    with pytest.raises(LotClosed):
        judge(lead, opened, sample(opened)[0], CONCESSION)
    [single] = waiting(factories.actor(Role.QUALITY_ENGINEER))
    assert isinstance(single, Approval)
    assert single.kind == "CONCESSION"


@pytest.mark.django_db
def test_a_lot_that_was_taken_back_leaves_its_sample_alone_to_answer() -> None:
    mine, lead = factories.actor(), factories.actor(Role.LEAD)
    review = scrapped(mine)
    lot_reviews.undo(actor=mine, review_id=review.uuid, lease=LEASE, at=NOW)
    assert len(answer(review, lead).done) == 5
    assert Approval.objects.filter(state="WITHDRAWN").count() == 2


@pytest.mark.django_db
def test_a_part_that_was_judged_anew_is_not_answered_with_its_lot() -> None:
    mine, lead = factories.actor(), factories.actor(Role.LEAD)
    review = scrapped(mine)
    lot_reviews.undo(actor=mine, review_id=review.uuid, lease=LEASE, at=NOW)
    other = factories.actor()
    again = decide_one(other, claimed(other), SCRAP)
    assert len(answer(review, lead).done) == 5
    assert Approval.objects.get(decision=again.decision).state == "OPEN"


@pytest.mark.django_db(transaction=True)
def test_of_two_who_answer_a_lot_at_once_one_does_and_the_other_finds_nothing_left() -> None:
    review = scrapped(factories.actor(), count=8)
    people = [factories.actor(Role.LEAD), factories.actor(Role.QUALITY_ENGINEER)]
    found: list[Answered | Conflict] = []
    start = threading.Barrier(2)

    def press(actor: Actor, act: Any) -> None:
        start.wait()
        try:
            found.append(act(review, actor))
        except Conflict as refusal:
            found.append(refusal)
        finally:
            close_old_connections()
            connection.close()

    threads = [
        threading.Thread(target=press, args=(actor, act))
        for actor, act in zip(people, (answer, refuse), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [done] = [each for each in found if isinstance(each, Answered)]
    assert (len(done.done), done.left_out) == (8, [])
    assert Approval.objects.values("state").distinct().count() == 1


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


@pytest.mark.django_db
def test_over_the_api_a_lot_is_listed_and_answered_as_one() -> None:
    review = scrapped(factories.actor())
    other = Approval.objects.order_by("pk")[0]
    factories.task(factories.inspection(other.unit))
    client = signed_in(factories.user(Role.QUALITY_ENGINEER))
    listed = client.get("/api/v1/review/approvals").json()
    [lot] = listed["lots"]
    assert (lot["review"], lot["lot"]) == (str(review.uuid), "L-1")
    assert sorted(lot["approvals"]) == sorted(each["id"] for each in listed["approvals"])
    address = f"/api/v1/review/approvals/lots/{review.uuid}"
    refused = client.post(f"{address}/refuse", {}, content_type="application/json")
    assert refused.status_code == 422
    done = client.post(f"{address}/approve", {"words": "Yes."}, content_type="application/json")
    assert done.status_code == 200
    body = done.json()
    assert (body["lot"], len(body["answered"])) == ("L-1", 6)
    assert [each["unit"] for each in body["left_out"]] == [other.unit.serial]
    last = client.post(f"{address}/refuse", {"words": "No."}, content_type="application/json")
    assert last.json()["answered"] == [other.unit.serial]
    stays = client.post(f"{address}/approve", {}, content_type="application/json").json()
    assert stays["answered"] == body["answered"]


@pytest.mark.django_db
def test_the_page_of_a_lot_names_what_is_left_out_and_refuses_the_asker() -> None:
    asker = factories.user(Role.LEAD)
    review = scrapped(actor_of(asker))
    other = Approval.objects.order_by("pk")[0]
    factories.task(factories.inspection(other.unit))
    address = f"/review/approvals/lots/{review.uuid}/"
    own = signed_in(asker).get(address).content.decode()
    assert "Somebody else has to answer" in own
    client = signed_in(factories.user(Role.QUALITY_ENGINEER))
    assert "Approve: scrap 6 parts" in client.get(address).content.decode()
    page = client.post(f"{address}approve/", follow=True).content.decode()
    assert "Lot L-1: 6 parts approved." in page
    assert f"{other.unit.serial}: Another question" in page
    told = client.post(f"{address}refuse/", {"words": "No."}, follow=True)
    assert told.redirect_chain[-1][0] == "/review/approvals/"
    assert client.get(address, follow=True).redirect_chain[-1][0] == "/review/approvals/"
