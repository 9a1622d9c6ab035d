"""What nobody could see is not looked at, and accepted by nobody; the unit never gets stuck."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from governance.models import User
from labeling.models import Label
from review.models import Decision, Escalation, ReviewTask
from tests.functional.conftest import Enter, Part
from tests.functional.late_pictures import Answer, HeldBack, broken, missing, on_its_way
from tests.functional.test_bench import (
    DECISION,
    SIZES,
    past_a_bounce,
    ready,
    until_decided,
    wait_until,
)
from tests.functional.test_views import RULES, arrives, put_in_force
from traceability.models import Unit

VIEWS = ("side", "top")
HOLD = "No image: hold"
THREE = pytest.mark.parametrize("size", ["desk", "tablet", "phone"])
NEVER = pytest.mark.parametrize("answer", [missing, broken])


def at_the_bench(
    enter: Enter,
    inspector: User,
    task: ReviewTask,
    answer: Answer,
    *,
    view: str = "top",
    size: str = "desk",
) -> Page:
    page = enter(inspector, "/health/", **SIZES[size])
    on_its_way(page.context, task, view, answer)
    page.goto("/review/")
    expect(page.locator("#stage")).to_have_attribute("data-task", str(task.uuid))
    return page


def stands(page: Page, place: int, words: str) -> None:
    """So much of this view was seen."""
    expect(page.locator("#views .view__seen").nth(place)).to_have_text(words)


@THREE
def test_a_view_is_looked_at_when_its_picture_is_there_and_accepted_then(
    enter: Enter, part: Part, inspector: User, size: str
) -> None:
    task, late = part(views=VIEWS), HeldBack()
    page = at_the_bench(enter, inspector, task, late, size=size)
    expect(page.locator("#reject")).to_be_enabled()
    expect(page.locator("#accept")).to_be_disabled()
    expect(page.locator("#accept-what")).to_have_text("waits for an image")
    expect(page.locator("#unit-verdict")).to_contain_text("has not come yet: top")
    page.keyboard.press("Tab")
    expect(page.locator("#picture-wait")).to_be_visible()
    stands(page, 0, "✓ seen")
    stands(page, 1, "coming …")
    page.keyboard.press("a")
    expect(page.locator("#notices")).to_contain_text("The image has not come yet: top.")
    assert not Decision.objects.exists()
    late.let_go()
    ready(page)
    expect(page.locator("#accept-what")).to_have_text("false call")
    expect(page.locator("#notices")).not_to_contain_text("has not come")
    stands(page, 1, "✓ seen")
    page.keyboard.press("a")
    until_decided(page, 1)
    assert Unit.objects.get(pk=task.unit_id).disposition == "ACCEPT"


@NEVER
@THREE
def test_without_a_picture_the_unit_is_held_by_one_press_and_goes_to_a_lead(
    enter: Enter, part: Part, inspector: User, size: str, answer: Answer
) -> None:
    task = part(views=VIEWS)
    page = at_the_bench(enter, inspector, task, answer, size=size)
    expect(page.locator("#accept-what")).to_have_text("an image is missing")
    expect(page.locator("#accept")).to_be_disabled()
    expect(page.locator("#unit-verdict")).to_contain_text("cannot be shown: top")
    page.keyboard.press("a")
    expect(page.locator("#notices")).to_contain_text("Hold the unit, skip it or escalate it.")
    page.keyboard.press("Escape")
    page.locator("#views button").nth(1).click()
    expect(page.locator("#picture-failed")).to_be_visible()
    stands(page, 1, "no image")
    assert not Decision.objects.exists()
    page.get_by_role("button", name=HOLD).click()
    [decision] = until_decided(page, 1)
    assert (decision.answer, decision.disposition_kind) == ("INCONCLUSIVE", "HOLD")
    assert decision.comment == "Image not seen: top."
    assert Unit.objects.get(pk=task.unit_id).disposition == "HOLD"
    assert Escalation.objects.get().task == task
    assert not Label.objects.exists()


@NEVER
def test_a_unit_whose_only_picture_never_comes_is_held_skipped_or_escalated_by_key(
    enter: Enter, part: Part, inspector: User, answer: Answer
) -> None:
    task = part()
    page = at_the_bench(enter, inspector, task, answer, view="main")
    expect(page.locator("#picture-failed")).to_be_visible()
    for key in ("a", "r"):
        page.keyboard.press(key)
    assert page.locator("#accept, #reject").evaluate_all("all => all.every(b => b.disabled)")
    expect(page.locator("#skip")).to_be_enabled()
    expect(page.locator("#escalate")).to_be_enabled()
    page.keyboard.press("Shift+R")
    expect(page.locator("[data-act=reject-as]").first).to_be_disabled()
    page.keyboard.press("h")
    expect(page.locator("#choice-form")).to_be_visible()
    page.keyboard.press("i")
    [decision] = until_decided(page, 1)
    assert (decision.answer, decision.seconds) == ("INCONCLUSIVE", None)


def test_a_defect_that_is_seen_is_rejected_though_another_picture_is_missing(
    enter: Enter, part: Part, inspector: User
) -> None:
    task = part(views=VIEWS)
    page = at_the_bench(enter, inspector, task, missing)
    expect(page.locator("#accept-what")).to_have_text("an image is missing")
    expect(page.locator("#reject")).to_be_enabled()
    page.keyboard.press("r")
    page.keyboard.press("r")
    [decision] = until_decided(page, 1)
    assert (decision.answer, decision.disposition_kind) == ("CONFIRMED", "REWORK")
    assert decision.comment == "Image not seen: top."


def test_what_the_inspector_says_does_not_replace_that_a_view_was_not_seen(
    enter: Enter, part: Part, inspector: User
) -> None:
    task = part(views=VIEWS)
    page = at_the_bench(enter, inspector, task, missing)
    expect(page.locator("#accept-what")).to_have_text("an image is missing")
    page.keyboard.press("Shift+R")
    page.locator("#comment").fill("conveyor jam")
    page.locator("#choice-form [data-act=inconclusive]").click()
    [decision] = until_decided(page, 1)
    assert decision.comment == "conveyor jam · Image not seen: top."


PRESSED_AS_IT_LANDS = """() => {
  const small = document.querySelectorAll("#views img")[1];
  new MutationObserver(() => {
    window.landed = performance.now();
    const press = {code: "KeyA", key: "a", bubbles: true};
    document.body.dispatchEvent(new KeyboardEvent("keydown", press));
  }).observe(small, {attributes: true}); }"""


def test_a_key_pressed_again_as_the_picture_lands_is_no_verdict(
    enter: Enter, part: Part, inspector: User
) -> None:
    task, late = part(views=VIEWS), HeldBack()
    page = at_the_bench(enter, inspector, task, late)
    expect(page.locator("#reject")).to_be_enabled()
    expect(page.locator("#accept-what")).to_have_text("waits for an image")
    page.keyboard.press("a")
    expect(page.locator("#notices")).to_contain_text("The image has not come yet: top.")
    page.evaluate(PRESSED_AS_IT_LANDS)
    late.let_go()
    # Until a hand could have meant what it sees the button is off.
    assert ready(page) == str(task.uuid)
    assert page.evaluate("performance.now() - window.landed") >= 250
    assert not Decision.objects.exists()
    page.keyboard.press("a")
    assert until_decided(page, 1)[0].answer == "FALSE_CALL"


def test_an_older_image_that_cannot_be_shown_does_not_stand_in_the_way(
    enter: Enter, part: Part, inspector: User
) -> None:
    task = part(views=("top",))
    page = enter(inspector, "/health/")
    on_its_way(page.context, task, "top", missing)
    arrives(task, "top")
    page.goto("/review/")
    ready(page)
    views = page.locator("#views button")
    expect(views.nth(1)).to_have_attribute("aria-current", "true")
    expect(page.locator("#accept-what")).to_have_text("false call")
    page.keyboard.press("Tab")
    expect(page.locator("#picture-older")).to_be_visible()
    expect(page.locator("#picture-hold")).to_be_hidden()
    expect(page.locator("#accept")).to_be_disabled()
    expect(page.locator("#accept-what")).to_have_text("view taken again")
    page.keyboard.press("a")
    expect(page.locator("#notices")).to_contain_text("View top was taken again")
    page.keyboard.press("Tab")
    ready(page)
    expect(page.locator("#notices")).not_to_contain_text("taken again")
    page.keyboard.press("a")
    assert until_decided(page, 1)[0].comment == ""


@pytest.mark.usefixtures("unhurried")
def test_a_unit_that_is_taken_back_asks_again_for_what_could_not_be_shown(
    enter: Enter, part: Part, inspector: User
) -> None:
    task, heals = part(views=VIEWS), Heals()
    page = at_the_bench(enter, inspector, task, heals)
    expect(page.locator("#accept-what")).to_have_text("an image is missing")
    held(page)
    until_decided(page, 1)
    heals.is_whole = True
    page.keyboard.press("u")
    assert ready(page) == str(task.uuid)
    stands(page, 1, "")


def test_a_unit_that_never_left_the_bench_asks_again_too(
    enter: Enter, part: Part, inspector: User
) -> None:
    first, second, heals = part(), part(views=VIEWS), Heals()
    page = enter(inspector, "/health/")
    is_away = [False]
    on_its_way(page.context, second, "top", heals)
    page.context.route(DECISION, lambda route: route.abort() if is_away[0] else route.continue_())
    page.goto("/review/")
    assert ready(page) == str(first.uuid)
    is_away[0] = True
    page.keyboard.press("a")
    expect(page.locator("#stage")).to_have_attribute("data-task", str(second.uuid))
    expect(page.locator("#accept-what")).to_have_text("an image is missing")
    expect(page.locator("#unsent")).to_have_text("Unsent: 1")
    past_a_bounce(page)
    held(page)
    expect(page.locator("#unsent")).to_have_text("Unsent: 2")
    heals.is_whole = True
    page.keyboard.press("u")
    assert ready(page) == str(second.uuid)
    is_away[0] = False


class Heals:
    """A picture there is none of, until there is."""

    def __init__(self) -> None:
        self.is_whole = False

    def __call__(self, route: Route) -> None:
        if self.is_whole:
            route.continue_()
        else:
            missing(route)


def held(page: Page) -> None:
    page.keyboard.press("Shift+R")
    page.keyboard.press("i")


def test_what_is_within_the_limits_is_not_accepted_with_a_picture_missing(
    enter: Enter, part: Part, inspector: User
) -> None:
    task = part(views=VIEWS)
    put_in_force(RULES.format(most=9))
    page = at_the_bench(enter, inspector, task, missing)
    expect(page.locator("#accept-what")).to_have_text("an image is missing")
    expect(page.locator("#reject")).to_be_enabled()
    page.keyboard.press("t")
    expect(page.locator("#reject-what")).to_have_text("Scratch · within limits: accept")
    page.keyboard.press("r")
    expect(page.locator("#notices")).to_contain_text("The image cannot be shown: top.")
    assert not Decision.objects.exists()


def test_a_picture_that_comes_after_all_is_shown(enter: Enter, part: Part, inspector: User) -> None:
    task, refuses = part(), [True]

    def answered(route: Route) -> None:
        if refuses[0]:
            route.fulfill(status=503)
        else:
            route.continue_()

    page = enter(inspector, "/health/", is_timed=True)
    on_its_way(page.context, task, "main", answered)
    page.goto("/review/")
    failed = page.locator("#picture-failed")
    expect(page.locator("#picture-wait")).to_be_visible()
    wait_until(page, lambda: _a_little_later(page, failed.is_visible))
    refuses[0] = False
    wait_until(page, lambda: _a_little_later(page, page.locator("#accept").is_enabled))
    expect(failed).to_be_hidden()


def _a_little_later(page: Page, is_so: Callable[[], bool]) -> bool:
    page.clock.run_for(5000)
    return is_so()
