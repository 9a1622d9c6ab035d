"""The shift handover in a browser: read, changed meanwhile, signed, printed."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from governance.models import User
from governance.roles import Role
from insights.models import Handover
from tests import factories
from tests.functional.conftest import Enter
from traceability.models import Unit

PAGE = "/handover/"


@pytest.fixture
def lead() -> User:
    """A lead of plant-1."""
    return factories.user(Role.LEAD, name="leo")


def hold() -> Unit:
    """A unit of plant-1, held just now."""
    seen = factories.inspection()
    factories.hold(seen)
    return seen.unit


def sign(page: Page, password: str = factories.PASSWORD) -> None:
    page.get_by_label("Your password, as your signature").fill(password)
    page.get_by_role("button", name="Sign and take over").click()


def test_a_lead_signs_what_he_has_read_and_nothing_else(enter: Enter, lead: User) -> None:
    known = hold()
    page = enter(lead, "/")
    page.get_by_role("navigation").get_by_role("link", name="Handover").click()
    expect(page.locator("#owner")).to_contain_text("leo, next in order: nobody has signed")
    expect(page.locator("#holds")).to_contain_text(known.serial)
    fresh = hold()
    page.get_by_label("Remark, if there is one").fill("Quiet night.")
    sign(page)
    expect(page.get_by_role("alert")).to_contain_text("1 item is new")
    marked = page.locator("#holds tr.handover__new")
    expect(marked).to_have_count(1)
    expect(marked).to_contain_text("new")
    expect(marked).to_contain_text(fresh.serial)
    expect(page.get_by_label("Remark, if there is one")).to_have_value("Quiet night.")
    sign(page, "not-the-password")
    expect(page.get_by_role("alert")).to_contain_text("The password is not yours.")
    assert not Handover.objects.exists()
    sign(page)
    expect(page.get_by_role("heading", name="Signed")).to_be_visible()
    for words in ("leo", "Quiet night.", "content as signed", known.serial, fresh.serial):
        expect(page.locator("main")).to_contain_text(words)
    assert page.url.endswith(f"{PAGE}{Handover.objects.get().uuid}/")
    page.goto(PAGE)
    expect(page.locator("#owner")).to_contain_text("leo, by signature of")
    page.goto("/")
    expect(page.locator("#duty")).to_contain_text("leo answers for held units since")


def test_on_paper_it_is_black_on_white_without_what_can_be_pressed(
    enter: Enter, lead: User
) -> None:
    unit = hold()
    page = enter(lead, PAGE)
    page.evaluate("localStorage.setItem('loupe-theme', 'dark')")
    page.reload()
    page.emulate_media(media="print")
    for gone in ("header.top", "#sign", ".handover__earlier", ".page-head__actions"):
        expect(page.locator(gone)).to_be_hidden()
    expect(page.locator("#holds")).to_contain_text(unit.serial)
    colours = page.locator("#holds td").first.evaluate(
        "(cell) => [cell, cell.closest('.page')].map((each) => getComputedStyle(each))"
        ".map((style, at) => (at ? style.backgroundColor : style.color))"
    )
    assert colours == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
    # One page of A4 for an ordinary shift.
    assert page.pdf(format="A4").count(b"/Type /Page\n") == 1
