"""A lot judged together, in a real browser: by keyboard, by touch, and stopped by its sample."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django import Settings

from governance.models import User
from governance.roles import Role
from review import controls
from review.models import Decision, LotReview, ReviewTask, TaskState
from tests import factories
from tests.factories import NOW
from tests.functional.conftest import Enter, Part
from tests.functional.test_every_page import AXE, FAULTS, STANDARD
from tests.functional.test_flow import new_token
from tests.review.test_adjudication import BAD, GOOD, judge
from traceability.models import Inspection, Unit


@pytest.fixture
def lot(part: Part, settings: Settings) -> str:
    """Seven parts of one lot, of which five are the sample; the address of its page."""
    settings.LOUPE = settings.LOUPE.model_copy(
        update={"bulk_deviating_share": 0.5, "undo_window_s": 120.0}
    )
    tasks = [part() for _ in range(7)]
    lot = factories.unit(lot="L-7").lot
    assert lot is not None
    Unit.objects.filter(pk__in=[task.unit_id for task in tasks]).update(lot=lot)
    number = tasks[0].unit.part_revision
    assert number is not None
    return f"/review/lots/{lot.pk}/{number.part_number_id}/scratch/"


def judge_sample(page: Page, key: str = "KeyA", count: int = 5) -> None:
    for number in range(1, count + 1):
        expect(page.locator("#lot-big-step")).to_have_text(f"Sample: part {number} of 5")
        expect(page.locator("#lot-judge button").first).to_be_enabled()
        page.keyboard.press(key)


def test_a_lot_is_judged_by_keyboard_alone_and_taken_back(
    enter: Enter, inspector: User, lot: str
) -> None:
    page = enter(inspector, "/review/lots/")
    page.get_by_role("link", name="L-7").click()
    cards = page.locator("[data-task]")
    expect(cards).to_have_count(7)
    expect(cards.nth(1)).to_have_attribute("data-out", "false")
    cards.first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(cards.nth(1)).to_have_attribute("data-out", "true")
    expect(page.locator("#lot-chosen")).to_contain_text("6 of 7 parts, 1 left out; sample: 5")
    page.keyboard.press("Enter")
    expect(page.locator("#lot-big")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#lot-big")).to_be_hidden()
    expect(cards.nth(1)).to_be_focused()
    page.get_by_role("button", name="All false calls").press("Enter")
    judge_sample(page)
    page.get_by_role("button", name="Decide the rest").press("Enter")
    expect(page.locator("#lot-chosen")).to_have_text("1 parts decided.")
    assert Decision.objects.count() == 6
    assert Decision.objects.filter(bulk__isnull=False).count() == 1
    assert ReviewTask.objects.filter(state=TaskState.QUEUED).count() == 1
    page.locator("#lot-undo").press("Enter")
    expect(page.locator("#lot-chosen")).to_have_text("1 parts are back in the queue.")
    assert ReviewTask.objects.filter(state=TaskState.QUEUED).count() == 2


def test_a_deviating_part_sends_the_lot_back_to_the_bench(
    enter: Enter, inspector: User, lot: str
) -> None:
    page = enter(inspector, lot)
    page.get_by_role("button", name="All false calls").click()
    judge_sample(page, count=1)
    judge_other(page)
    expect(page.locator("#lot-notice")).to_contain_text("part by part")
    expect(page.locator("#lot-big")).to_be_hidden()
    assert LotReview.objects.get().closed_at is not None
    assert sorted(Decision.objects.values_list("answer", flat=True)) == ["CONFIRMED", "FALSE_CALL"]
    assert ReviewTask.objects.filter(state=TaskState.QUEUED).count() == 5
    page.goto(lot)
    expect(page.get_by_text("Judged part by part")).to_be_visible()


def judge_other(page: Page) -> None:
    expect(page.locator("#lot-big-step")).to_have_text("Sample: part 2 of 5")
    expect(page.locator("#lot-judge button").first).to_be_enabled()
    page.keyboard.press("KeyR")


def test_a_press_that_bounces_judges_one_part_of_the_sample(
    enter: Enter, inspector: User, lot: str
) -> None:
    page = enter(inspector, lot)
    page.get_by_role("button", name="All false calls").click()
    expect(page.locator("#lot-big-step")).to_have_text("Sample: part 1 of 5")
    expect(page.locator("#lot-judge button").first).to_be_enabled()
    # Each as soon as the page could take it, until a hand could have meant another.
    page.evaluate(
        """() => new Promise(done => {
          const ends = performance.now() + 250;
          const press = () => {
            if (performance.now() > ends) { done(); return; }
            document.querySelector("[data-judge=FALSE_CALL]").click();
            setTimeout(press, 5);
          };
          press();
        })"""
    )
    expect(page.locator("#lot-big-step")).to_have_text("Sample: part 2 of 5")
    expect(page.locator("#lot-judge button").first).to_be_enabled()
    expect(page.locator("#lot-big-step")).to_have_text("Sample: part 2 of 5")
    assert Decision.objects.count() == 1


def test_a_part_of_the_sample_without_its_image_says_so_and_can_be_given_back(
    enter: Enter, inspector: User, lot: str
) -> None:
    page = enter(inspector, lot)
    page.route("**/images/**", lambda route: route.fulfill(status=404))
    page.evaluate("document.querySelectorAll('#lot-grid img').forEach(image => image.remove())")
    page.get_by_role("button", name="All false calls").click()
    expect(page.locator("#lot-big-notice")).to_contain_text("cannot be shown")
    expect(page.locator("[data-judge=FALSE_CALL]")).to_be_disabled()
    page.locator("#lot-big [data-leave]").click()
    expect(page.locator("#lot-choose")).to_be_visible()
    assert not ReviewTask.objects.filter(state=TaskState.LEASED).exists()


def test_after_logging_in_again_elsewhere_the_lot_goes_on(
    enter: Enter, inspector: User, lot: str
) -> None:
    page = enter(inspector, lot)
    page.get_by_role("button", name="All false calls").press("Enter")
    new_token(page)
    judge_sample(page)
    page.get_by_role("button", name="Decide the rest").press("Enter")
    expect(page.locator("#lot-chosen")).to_have_text("2 parts decided.")
    assert Decision.objects.count() == 7


def test_on_a_touch_tablet_nothing_needs_a_keyboard(
    enter: Enter, inspector: User, lot: str
) -> None:
    page = enter(inspector, lot, has_touch=True, viewport={"width": 820, "height": 1180})
    cards = page.locator("[data-task]")
    cards.nth(2).tap()
    page.locator("#lot-toggle").tap()
    page.locator("#lot-close").tap()
    expect(cards.nth(2)).to_have_attribute("data-out", "true")
    page.get_by_role("button", name="All confirmed").tap()
    for number in range(1, 6):
        expect(page.locator("#lot-big-step")).to_have_text(f"Sample: part {number} of 5")
        page.locator("[data-judge=CONFIRMED]").tap()
    page.get_by_role("button", name="Decide the rest").tap()
    expect(page.locator("#lot-chosen")).to_have_text("1 parts decided.")
    for button in page.locator(".lot__acts .button:visible").all():
        box = button.bounding_box()
        assert box is not None
        assert box["height"] >= 44


@pytest.mark.parametrize("width", [360, 1440, 3840])
def test_the_page_fits_every_screen(enter: Enter, inspector: User, lot: str, width: int) -> None:
    page = enter(inspector, lot, viewport={"width": width, "height": 800})
    expect(page.locator("[data-task]").first).to_be_visible()
    for path in (lot, "/review/lots/", "/review/mine/"):
        page.goto(path)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, path


def test_what_is_held_is_given_back_when_the_page_is_left(
    enter: Enter, inspector: User, lot: str
) -> None:
    page = enter(inspector, lot)
    page.get_by_role("button", name="All false calls").click()
    expect(page.locator("#lot-big-step")).to_have_text("Sample: part 1 of 5")
    assert ReviewTask.objects.filter(state=TaskState.LEASED).count() == 7
    page.goto("/review/lots/")
    expect(page.get_by_role("link", name="L-7")).to_be_visible()
    page.wait_for_function(
        "async () => (await (await fetch('/review/lots/')).text()).includes('>7<')"
    )
    assert not ReviewTask.objects.filter(state=TaskState.LEASED).exists()


def prepare_control(task: ReviewTask) -> None:
    """A colleague has judged it, and a lead has made it a control."""
    other = ReviewTask.objects.exclude(pk=task.pk)
    other.update(opened_at=timezone.now(), due=timezone.now() + timedelta(hours=1))
    judge(factories.actor(), BAD)
    Inspection.objects.filter(pk=task.inspection_id).update(settled_at=NOW)
    controls.add(
        actor=factories.actor(Role.LEAD),
        inspection_id=task.inspection.uuid,
        at=timezone.now() + timedelta(minutes=1),
    )


def differ() -> None:
    """Two inspectors judge the only task otherwise."""
    judge(factories.actor(), GOOD)
    judge(factories.actor(), BAD)


def test_a_control_is_told_after_the_verdict(enter: Enter, inspector: User, part: Part) -> None:
    known, usual = part(), part()
    prepare_control(known)
    ReviewTask.objects.filter(pk=usual.pk).update(control_rate=1.0)
    page = enter(inspector)
    expect(page.locator("#serial")).to_have_text(known.unit.serial)
    expect(page.locator('[data-act="accept"]').first).to_be_enabled()
    page.keyboard.press("KeyA")
    notice = page.locator("[data-name=control]")
    expect(notice).to_contain_text(f"{known.unit.serial} was a control. It is: Scratch.")


def test_a_lead_who_adjudicates_sees_both_verdicts(enter: Enter, part: Part) -> None:
    task = part()
    ReviewTask.objects.filter(pk=task.pk).update(wants_second=True)
    differ()
    page = enter(factories.user(Role.LEAD, name="lea"))
    expect(page.locator("#adjudication li")).to_have_count(2)
    expect(page.locator("#adjudication")).to_contain_text("first inspector")
    expect(page.locator("#adjudication")).not_to_contain_text("inspector-")


@pytest.mark.parametrize("theme", ["light", "dark", "contrast"])
def test_the_grid_and_the_big_part_have_no_fault_that_axe_finds(
    enter: Enter, inspector: User, lot: str, theme: str
) -> None:
    page = enter(inspector, "/health/")
    page.add_init_script(f"localStorage.setItem('loupe-theme', '{theme}')")
    page.goto(lot)
    page.locator("[data-task]").first.focus()
    page.keyboard.press("Space")
    page.evaluate(AXE)
    assert page.evaluate(FAULTS, STANDARD) == []
    page.keyboard.press("Enter")
    expect(page.locator("#lot-pictures img")).to_be_visible()
    assert page.evaluate(FAULTS, STANDARD) == []
