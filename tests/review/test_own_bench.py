"""Who is judging a unit himself is told nowhere what others said of it, until he has judged it."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django import Settings

from governance import audit
from governance.access import Actor, actor_of, system
from governance.models import User
from governance.roles import Role
from insights import handover, open_items, plant_overview
from review import approvals, lot_approvals, queue
from review.models import Approval, LotReview, ReviewTask, TaskKind, TaskPurpose
from review.verdicts import Verdict
from tests import factories
from tests.factories import NOW
from tests.review.test_approvals import CONCESSION, LATER, SCRAP, USE_IT, approve, asked, refuse
from tests.review.test_decisions import ACCEPT, claimed, decide
from tests.review.test_lot_approvals import SCRAP as LOT_SCRAP
from tests.review.test_lot_approvals import answer, scrapped
from traceability.models import Unit
from traceability.refusals import Conflict

pytestmark = pytest.mark.django_db
LIST = "/review/approvals/"


@pytest.fixture(autouse=True)
def small_sample(settings: Settings) -> None:
    settings.LOUPE = settings.LOUPE.model_copy(update={"bulk_deviating_share": 0.5})


@pytest.fixture
def lead() -> User:
    return factories.user(Role.LEAD, name="lena")


def page_of(person: User, address: str) -> str:
    client = Client(headers={"Accept-Language": "en"})
    client.force_login(person)
    answered = client.get(address)
    assert answered.status_code == 200
    return str(answered.content.decode())


def listed(person: User) -> tuple[list[str], list[str]]:
    """Over the API: what waits, and which lots."""
    client = Client()
    client.force_login(person)
    found = client.get("/api/v1/review/approvals").json()
    return [each["id"] for each in found["approvals"]], [each["lot"] for each in found["lots"]]


def second_inspection(of: ReviewTask) -> ReviewTask:
    """Somebody else is to judge it again, not knowing what was said."""
    draft = queue.TaskDraft(
        inspection=of.inspection,
        kind=TaskKind(of.kind),
        score=of.score,
        defect_class=of.defect_class,
        policy_version=1,
        review_from=0.3,
        contain_from=0.8,
        inclusion_probability=1.0,
        deadline=of.deadline,
        severity=of.severity,
        purpose=TaskPurpose.SECOND,
        is_blind=True,
    )
    with audit.recorded(actor=system("test"), at=NOW) as trail:
        [made] = queue.open_tasks(trail=trail, drafts=[draft])
    return made


def at_the_bench_of(person: User, approval: Approval) -> queue.Lease:
    """The second inspection of the unit is his now, before it was anybody's."""
    second_inspection(approval.task)
    held = claimed(actor_of(person))
    assert ReviewTask.objects.get(uuid=held.task).unit == approval.unit
    return held


def has_judged(person: User, held: queue.Lease, verdict: Verdict = ACCEPT) -> None:
    decide(actor_of(person), held, verdict, key="key-of-the-second")


@pytest.mark.parametrize("verdict", [SCRAP, CONCESSION])
def test_an_approval_about_a_unit_on_ones_own_bench_says_nothing_until_it_is_judged(
    lead: User, verdict: Verdict
) -> None:
    approval = asked(verdict, by=factories.actor(Role.LEAD))
    address = f"{LIST}{approval.uuid}/"
    words = approval.reason
    assert words in (USE_IT, "Cracked.")
    held = at_the_bench_of(lead, approval)
    for text in (page_of(lead, LIST), page_of(lead, address)):
        assert words not in text
        assert f"{approval.get_kind_display()}: {approval.unit.serial}" not in text
        assert f">{approval.get_kind_display()}<" not in text
        assert str(approval.asked_by) not in text
    assert "Finish there, or give it back, first" in page_of(lead, address)
    assert "once you have judged it" in page_of(lead, LIST)
    assert listed(lead) == ([], [])
    has_judged(lead, held)
    assert words in page_of(lead, LIST)
    assert words in page_of(lead, address)
    assert listed(lead) == ([str(approval.uuid)], [])
    assert "once you have judged it" not in page_of(lead, LIST)


def test_what_others_answered_of_it_says_nothing_either(lead: User) -> None:
    approval = asked(by=factories.actor())
    approve(approval, words="Seen it, it is cracked.")
    at_the_bench_of(lead, approval)
    for address in (LIST, f"{LIST}{approval.uuid}/"):
        text = page_of(lead, address)
        assert "cracked" not in text.lower()
        assert "Approved" not in text
    assert "Finish there" in page_of(lead, f"{LIST}{approval.uuid}/")


def test_who_has_nothing_at_the_bench_reads_it_all(lead: User) -> None:
    approval = asked(by=factories.actor())
    at_the_bench_of(factories.user(Role.LEAD), approval)
    text = page_of(lead, LIST)
    assert "Cracked." in text
    assert "once you have judged it" not in text
    assert "Cracked." in page_of(lead, f"{LIST}{approval.uuid}/")
    assert len(listed(lead)[0]) == 1


def lot_address(review: LotReview) -> str:
    return f"{LIST}lots/{review.uuid}/"


def test_a_lot_says_nothing_while_one_part_of_it_is_on_ones_own_bench(lead: User) -> None:
    asker = factories.user(Role.INSPECTOR, name="ingo-who-asks")
    review = scrapped(actor_of(asker))
    one, other = Approval.objects.order_by("pk")[:2]
    held = at_the_bench_of(lead, one)
    for address in (LIST, lot_address(review), f"{LIST}{other.uuid}/"):
        text = page_of(lead, address)
        assert "ingo-who-asks" not in text, address
        assert "Scratch" not in text, address
    assert "a part of this lot" in page_of(lead, lot_address(review))
    assert "a part of this lot" in page_of(lead, f"{LIST}{other.uuid}/")
    assert listed(lead) == ([], [])
    has_judged(lead, held, LOT_SCRAP)
    for address in (LIST, lot_address(review), f"{LIST}{other.uuid}/"):
        assert "ingo-who-asks" in page_of(lead, address)
    assert listed(lead)[1] == ["L-1"]


def test_a_lot_is_not_answered_by_who_is_judging_a_part_of_it(lead: User) -> None:
    review = scrapped(factories.actor())
    one, other = Approval.objects.order_by("pk")[:2]
    at_the_bench_of(lead, one)
    mine = actor_of(lead)
    with pytest.raises(Conflict, match="a part of this lot"):
        answer(review, mine)
    with pytest.raises(Conflict, match="a part of this lot"):
        approve(other, mine)
    with pytest.raises(Conflict, match="at the bench"):
        refuse(one, mine)
    assert set(Approval.objects.values_list("state", flat=True)) == {"OPEN"}


def test_a_colleague_answers_the_lot_meanwhile(lead: User) -> None:
    review = scrapped(factories.actor())
    at_the_bench_of(lead, Approval.objects.order_by("pk")[0])
    answered = answer(review, factories.actor(Role.QUALITY_ENGINEER))
    assert (len(answered.done), answered.left_out) == (7, [])


def test_another_lot_is_shown_as_ever(lead: User) -> None:
    review = scrapped(factories.actor())
    factories.task(factories.inspection(factories.unit(lot="L-2")))
    claimed(actor_of(lead))
    assert "L-1" in page_of(lead, LIST)
    assert listed(lead)[1] == ["L-1"]
    assert lot_approvals.why_not(actor_of(lead), review) == ""


def test_the_count_on_the_plants_page_tells_nothing_either(lead: User) -> None:
    approval = asked(by=factories.actor())
    mine: Actor = actor_of(lead)
    site = factories.site()
    assert plant_overview.to_approve(actor=mine, site=site) == 1
    held = at_the_bench_of(lead, approval)
    assert plant_overview.to_approve(actor=mine, site=site) == 0
    assert not approvals.waiting(mine).exists()
    has_judged(lead, held)
    assert plant_overview.to_approve(actor=mine, site=site) == 1


def lot_on_the_bench_of(person: User) -> tuple[list[Approval], queue.Lease]:
    """A lot that ingo scrapped; the first part of it is this person's to judge again."""
    scrapped(actor_of(factories.user(Role.INSPECTOR, name="ingo-who-asks")))
    parts = list(Approval.objects.select_related("unit").order_by("pk"))
    return parts, at_the_bench_of(person, parts[0])


def block(page: str, name: str) -> str:
    """One list of the handover."""
    return page.split(f'id="{name}"', 1)[1].split("</section>", 1)[0]


def test_the_handover_says_nothing_of_a_lot_while_one_part_of_it_is_on_ones_own_bench(
    lead: User,
) -> None:
    parts, held = lot_on_the_bench_of(lead)
    page = page_of(lead, "/handover/")
    asked_for = block(page, "approvals")
    assert "ingo-who-asks" not in page
    assert "waits for a second person." not in page
    assert asked_for.count("a part of its lot is on your bench") == len(parts) - 1
    assert asked_for.count(">on your bench<") == 1
    assert ">Scrap<" not in asked_for
    # That it stands in this list is what was said of it; that it is held is not.
    for each in parts:
        assert each.unit.serial not in asked_for
        assert each.unit.serial in block(page, "holds")
    has_judged(lead, held, LOT_SCRAP)
    told = block(page_of(lead, "/handover/"), "approvals")
    assert told.count("ingo-who-asks") == len(parts)
    assert all(each.unit.serial in told for each in parts)


def test_a_signed_handover_tells_no_more_of_it(lead: User) -> None:
    scrapped(actor_of(factories.user(Role.INSPECTOR, name="ingo-who-asks")))
    other = actor_of(factories.user(Role.LEAD, name="lars"))
    site, at = factories.site(), LATER
    seen = handover.document(actor=other, site=site, at=at).sealed()
    signed = handover.sign(
        actor=other, site=site, seen=seen, password=factories.PASSWORD, remark="", at=at
    )
    held = at_the_bench_of(lead, Approval.objects.order_by("pk")[0])
    address = f"/handover/{signed.uuid}/"
    assert "ingo-who-asks" not in page_of(lead, address)
    has_judged(lead, held, LOT_SCRAP)
    assert "ingo-who-asks" in page_of(lead, address)


def test_a_long_handover_does_not_name_them_below_either(
    lead: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_items, "SHOWN", 1)
    parts, held = lot_on_the_bench_of(lead)
    text = block(page_of(lead, "/handover/"), "approvals")
    assert "And 6 more:" in text
    assert not [each.unit.serial for each in parts if each.unit.serial in text]
    has_judged(lead, held, LOT_SCRAP)
    text = block(page_of(lead, "/handover/"), "approvals")
    assert all(each.unit.serial in text for each in parts)


def test_the_page_of_another_part_of_the_lot_says_nothing_of_the_verdict(lead: User) -> None:
    parts, held = lot_on_the_bench_of(lead)
    address = f"/units/{parts[1].unit.serial}/"
    told = ("ingo-who-asks", "Hold", "revision 1")
    page = page_of(lead, address)
    assert not [words for words in told if words in page]
    assert "You are judging a part of its lot at the bench" in page
    colleague = factories.user(Role.LEAD, name="lars")
    assert all(words in page_of(colleague, address) for words in told)
    has_judged(lead, held, LOT_SCRAP)
    assert all(words in page_of(lead, address) for words in told)


def test_its_inspections_of_another_day_are_told(lead: User) -> None:
    parts, _held = lot_on_the_bench_of(lead)
    unit = parts[1].unit
    another = factories.inspection(unit)
    factories.hold(another, at=LATER)
    page = page_of(lead, f"/units/{unit.serial}/")
    assert page.count("You are judging a part of its lot") == 1
    assert "No verdict before the deadline." in page
    assert "revision 2" not in page.split("</h1>", 1)[1].split("</div>", 1)[0]


def test_an_earlier_inspection_of_the_unit_on_ones_own_bench_says_nothing(lead: User) -> None:
    approval = asked(by=actor_of(factories.user(Role.LEAD, name="lars-who-asks")))
    address = f"/units/{approval.unit.serial}/"
    factories.task(factories.inspection(approval.unit))
    assert "lars-who-asks" in page_of(lead, address)
    held = claimed(actor_of(lead))
    assert ReviewTask.objects.get(uuid=held.task).inspection_id != approval.task.inspection_id
    page = page_of(lead, address)
    assert "lars-who-asks" not in page
    assert page.count("You are judging this unit at the bench") == 2
    has_judged(lead, held)
    assert "lars-who-asks" in page_of(lead, address)


@pytest.mark.parametrize("address", ["/units/?q=L-1", "/live/"])
def test_the_lists_do_not_say_how_the_other_parts_of_the_lot_stand(
    lead: User, address: str
) -> None:
    parts, held = lot_on_the_bench_of(lead)
    page = page_of(lead, address)
    assert 'state--hold">Hold' not in page
    assert page.count("its lot is on your bench") == len(parts) - 1
    assert 'state--hold">Hold' in page_of(factories.user(Role.LEAD, name="lars"), address)
    has_judged(lead, held, LOT_SCRAP)
    assert 'state--hold">Hold' in page_of(lead, address)


def test_the_list_of_units_in_rework_names_no_part_of_the_lot(lead: User) -> None:
    parts, _held = lot_on_the_bench_of(lead)
    other = factories.unit("SN-ELSEWHERE")
    Unit.objects.filter(pk__in=[other.pk, *(each.unit_id for each in parts)]).update(
        disposition="REWORK", rework_since=NOW, held_since=None, held_at_station=None
    )
    page = page_of(lead, "/units/?show=rework")
    assert "In rework: 1" in page
    assert "SN-ELSEWHERE" in page
    assert not [each.unit.serial for each in parts if f">{each.unit.serial}<" in page]
    assert "In rework: 8" in page_of(factories.user(Role.LEAD, name="lars"), "/units/")


def test_who_judges_another_lot_reads_all_of_this_one(lead: User) -> None:
    scrapped(actor_of(factories.user(Role.INSPECTOR, name="ingo-who-asks")))
    factories.task(factories.inspection(factories.unit(lot="L-2")))
    claimed(actor_of(lead))
    parts = list(Approval.objects.select_related("unit"))
    text = block(page_of(lead, "/handover/"), "approvals")
    assert all(each.unit.serial in text for each in parts)
    for address in ("/handover/", f"/units/{parts[1].unit.serial}/"):
        assert "ingo-who-asks" in page_of(lead, address)
        assert "on your bench" not in block(page_of(lead, "/handover/"), "approvals")


def test_who_answers_late_is_not_told_the_answer_of_a_unit_on_his_own_bench(lead: User) -> None:
    approval = asked(by=factories.actor())
    approve(approval, words="Seen it.")
    at_the_bench_of(lead, approval)
    for answer_again in (approve, refuse):
        with pytest.raises(Conflict) as refused:
            answer_again(approval, actor_of(lead))
        assert "at the bench" in refused.value.sentence
        assert "approved" not in refused.value.sentence.lower()
