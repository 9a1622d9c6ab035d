"""A concession asked for by keyboard at the bench, and answered by another person on a phone."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from governance.models import User
from governance.roles import Role
from labeling.models import DefectClass
from review.models import Approval, ReviewTask
from tests import factories
from tests.functional.conftest import Enter, Part
from tests.functional.test_bench import ready, until_decided
from tests.functional.test_every_page import AXE, FAULTS, STANDARD
from tests.functional.test_lots import judge_sample, lot
from traceability.models import Disposition

__all__ = ["lot"]

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


def test_a_concession_is_asked_for_by_keyboard_and_approved_on_a_phone(
    enter: Enter, part: Part
) -> None:
    lead = factories.user(Role.LEAD, name="leo")
    engineer = factories.user(Role.QUALITY_ENGINEER, name="quinn")
    task = part()
    bench = enter(lead)
    ready(bench)
    bench.keyboard.press("Shift+R")
    bench.keyboard.press("c")
    expect(bench.locator("#concession-reason")).to_be_focused()
    bench.keyboard.type("It is inside and touches nothing.")
    bench.keyboard.press("Enter")
    # Nothing is drawn: one box is asked for, and left out by pressing again.
    bench.keyboard.press("r")
    until_decided(bench, 1)
    expect(bench.locator(".notice")).to_contain_text("waits for a second person")
    approval = Approval.objects.get()
    assert (approval.kind, approval.reason) == (
        "CONCESSION",
        "It is inside and touches nothing.",
    )

    own = enter(lead, f"/review/approvals/{approval.uuid}/")
    expect(own.locator("#approve")).to_be_disabled()
    expect(own.locator("#why-not")).to_contain_text("Somebody else has to answer")

    phone = enter(engineer, "/review/approvals/", **PHONE)
    phone.get_by_role("link", name=re.compile(task.unit.serial)).tap()
    expect(phone.locator("#approval-reason")).to_have_text("It is inside and touches nothing.")
    expect(phone.locator(".seen__region")).to_have_count(1)
    assert phone.evaluate(OVERFLOW) <= 0
    phone.locator("#approve").tap()
    expect(phone.locator("#approvals-answered")).to_contain_text("Approved")
    made = Disposition.objects.order_by("-revision")[0]
    assert (made.kind, made.revision) == ("ACCEPT", 2)
    assert made.concession is not None
    assert made.concession["approved_by"] == engineer.badge


def test_a_refusal_without_words_says_what_is_missing(enter: Enter, part: Part) -> None:
    lead = factories.user(Role.LEAD, name="leo")
    engineer = factories.user(Role.QUALITY_ENGINEER, name="quinn")
    part()
    bench = enter(lead)
    ready(bench)
    for key in ("Shift+R", "c"):
        bench.keyboard.press(key)
    expect(bench.locator("#concession-reason")).to_be_focused()
    bench.keyboard.type("Inside.")
    bench.keyboard.press("Enter")
    bench.keyboard.press("r")
    until_decided(bench, 1)
    page = enter(engineer, f"/review/approvals/{Approval.objects.get().uuid}/")
    page.locator("#refuse").click()
    expect(page.get_by_text("Say why you refuse")).to_be_visible()
    page.locator("#words").fill("Measure it first.")
    page.locator("#refuse").click()
    expect(page.locator("#approvals-answered")).to_contain_text("Refused")
    assert Approval.objects.get().state == "REFUSED"


def test_a_lot_is_scrapped_at_the_bench_and_approved_in_one_press_on_a_phone(
    enter: Enter, inspector: User, lot: str
) -> None:
    ReviewTask.objects.update(second_for_scrap=True)
    DefectClass.objects.update(default_disposition="SCRAP")
    bench = enter(inspector, lot)
    bench.get_by_role("button", name="All confirmed").press("Enter")
    judge_sample(bench, key="KeyR")
    bench.get_by_role("button", name="Decide the rest").press("Enter")
    expect(bench.locator("#lot-chosen")).to_have_text("2 parts decided.")
    other = Approval.objects.order_by("pk")[1]
    factories.task(factories.inspection(other.unit))

    engineer = factories.user(Role.QUALITY_ENGINEER, name="quinn")
    phone = enter(engineer, "/review/approvals/", **PHONE)
    expect(phone.locator("#approvals-waiting li")).to_have_count(1)
    phone.get_by_role("link", name="Lot L-7").tap()
    expect(phone.locator("#approval-parts li")).to_have_count(7)
    assert phone.evaluate(OVERFLOW) <= 0
    phone.evaluate(AXE)
    assert phone.evaluate(FAULTS, STANDARD) == []
    expect(phone.locator("#approve")).to_have_text("Approve: scrap 6 parts")
    phone.locator("#approve").tap()
    expect(phone.get_by_text("Lot L-7: 6 parts approved.")).to_be_visible()
    expect(phone.get_by_text(f"{other.unit.serial}: Another question")).to_be_visible()
    expect(phone.locator("#approval-parts li")).to_have_count(1)
    phone.locator("#refuse").tap()
    expect(phone.get_by_text("Say why you refuse")).to_be_visible()
    phone.locator("#words").fill("Judge it first.")
    phone.locator("#refuse").tap()
    expect(phone.get_by_text("Lot L-7: 1 part refused.")).to_be_visible()
    expect(phone.locator("#approvals-answered tbody tr")).to_have_count(7)
    assert Disposition.objects.filter(kind="SCRAP", revision=2).count() == 6
