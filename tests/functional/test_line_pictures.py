"""At the tablet, too, a view is looked at when its picture is there; without one it goes to the
bench."""

from __future__ import annotations

import io
from itertools import pairwise

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from governance import devices
from review.models import Decision, ReviewTask
from tests.functional.conftest import Enter
from tests.functional.late_pictures import Answer, HeldBack, broken, missing, on_its_way
from tests.functional.line_station import TABLET, Floor, floor, in_state
from tests.functional.tablets import is_shown
from tests.functional.test_bench import wait_until
from tests.functional.test_line_presses import NEVER_RIPE, standing

VIEWS = ("main", "side")
ACCEPT = "[data-act=accept]:not([data-turned])"


@pytest.fixture
def at() -> Floor:
    """Station st-1, a measured tablet, and `bo` at it."""
    made = floor()
    made.measured(5.0)
    made.arrive()
    return made


def opened(
    at: Floor,
    enter: Enter,
    task: ReviewTask,
    answer: Answer,
    *,
    view: str,
    shows: ReviewTask | None = None,
) -> Page:
    """The tablet, with a picture of this unit on its way or not; it shows this unit or another."""
    page = enter(None, "/health/", **TABLET)
    on_its_way(page.context, task, view, answer)
    at_station(page, at)
    expect(page.locator("#serial")).to_have_text((shows or task).unit.serial)
    return page


def at_station(page: Page, at: Floor) -> None:
    """The station's page on its tablet, once its buttons count."""
    page.context.add_cookies(
        [{"name": devices.COOKIE, "value": at.token, "url": page.url.split("/health")[0]}]
    )
    page.goto("/line/line-1:st-1/")
    in_state(page, "DECIDE")


def test_a_view_counts_as_looked_at_when_its_picture_is_on_the_screen(
    at: Floor, enter: Enter
) -> None:
    task, late = at.left(views=VIEWS), HeldBack()
    page = opened(at, enter, task, late, view="side")
    is_shown(page)
    page.locator("#sight-next").tap()
    expect(page.locator("#sight-next")).to_have_text("View 2 of 2")
    expect(page.locator("#sight-none")).to_have_text("The image is on its way.")
    page.locator(ACCEPT).tap()
    expect(page.locator("#note-text")).to_contain_text("This image has not come yet.")
    assert standing() == []
    late.let_go()
    is_shown(page)
    expect(page.locator("#sight-none")).to_be_empty()
    page.locator(ACCEPT).tap()
    expect(page.locator("#undo-where")).to_have_text("At the server")
    assert standing() == [(task.unit.serial, "ACCEPT")]


def test_the_first_view_too_is_looked_at_when_it_is_there(at: Floor, enter: Enter) -> None:
    task, late = at.left(), HeldBack()
    page = opened(at, enter, task, late, view="main")
    page.locator(ACCEPT).tap()
    expect(page.locator("#note-text")).to_contain_text("This image has not come yet.")
    assert not Decision.objects.exists()


@pytest.mark.parametrize("answer", [missing, broken])
def test_what_never_comes_is_accepted_by_nobody_and_left_to_the_bench(
    at: Floor, enter: Enter, answer: Answer
) -> None:
    task = at.left(views=VIEWS)
    page = opened(at, enter, task, answer, view="side")
    is_shown(page)
    page.locator(ACCEPT).tap()
    expect(page.locator("#note-text")).to_contain_text("This is view 2 of 2.")
    expect(page.locator("#sight-none")).to_contain_text("The image does not come.", timeout=20_000)
    page.locator(ACCEPT).tap()
    expect(page.locator("#note-text")).to_contain_text("Leave the unit to the bench.")
    assert not Decision.objects.exists()
    page.locator("[data-act=bench]:not([data-turned])").tap()
    expect(page.locator("#undo-says")).to_contain_text("goes to the bench")
    wait_until(page, lambda: ReviewTask.objects.get(pk=task.pk).operators_until is None)
    assert not Decision.objects.exists()


def between(page: Page, serial: str, *, sees: str) -> list[object]:
    """What was to be seen of pictures in the frames in which this serial stood there."""
    found: list[object] = page.evaluate(
        "([serial, sees]) => [...new Set(window.frames_seen.filter((one) => one.serial === serial)"
        ".map((one) => one[sees]))]",
        [serial, sees],
    )
    return found


def is_bare(page: Page) -> None:
    """Where the picture belongs there is nothing but the stage."""
    with Image.open(io.BytesIO(page.locator("#sight-press").screenshot())) as seen:
        middle = seen.convert("RGB").crop((20, 20, seen.width - 20, seen.height // 3))
    assert len(middle.getcolors() or []) == 1


def places(page: Page) -> list[object]:
    return [page.locator(one).bounding_box() for one in ("#sight", "#sight-press", "#choices")]


def test_nothing_of_the_part_before_is_seen_under_the_next_ones_serial(
    at: Floor, enter: Enter
) -> None:
    first, second, late = at.left(), at.left(), HeldBack()
    page = opened(at, enter, second, late, view="main", shows=first)
    is_shown(page)
    before = places(page)
    page.evaluate(FRAMES)
    page.locator(ACCEPT).tap()
    expect(page.locator("#serial")).to_have_text(second.unit.serial)
    expect(page.locator("#sight-image")).to_be_hidden()
    is_bare(page)
    assert places(page) == before
    expect(page.locator("#sight-none")).to_have_text("The image is on its way.")
    expect(page.locator("#sight-image")).to_be_hidden()
    expect(page.locator("#sight-marks")).to_be_hidden()
    assert between(page, second.unit.serial, sees="isPainted") == [False]
    assert between(page, second.unit.serial, sees="marks") == ["hidden"]
    late.let_go()
    is_shown(page)
    expect(page.locator("#sight-marks")).to_be_visible()
    assert places(page) == before


def test_nothing_of_a_view_is_seen_while_the_next_one_is_on_its_way(
    at: Floor, enter: Enter
) -> None:
    task, late = at.left(views=VIEWS), HeldBack()
    page = opened(at, enter, task, late, view="side")
    is_shown(page)
    page.locator("#sight-next").tap()
    expect(page.locator("#sight-next")).to_have_text("View 2 of 2")
    expect(page.locator("#sight-image")).to_be_hidden()
    is_bare(page)
    page.locator("#sight-next").tap()
    is_shown(page)


def test_what_lies_on_the_tablet_is_there_with_its_serial(at: Floor, enter: Enter) -> None:
    tasks = [at.left() for _ in range(3)]
    page = enter(None, "/health/", **TABLET)
    page.add_init_script(AHEAD)
    at_station(page, at)
    for task, following in pairwise(tasks):
        expect(page.locator("#serial")).to_have_text(task.unit.serial)
        is_shown(page)
        # Fetched, and made ready ahead of its turn.
        page.wait_for_function(MADE_READY, arg=tasks.index(following) + 1)
        page.evaluate(FRAMES)
        page.locator(ACCEPT).tap()
        expect(page.locator("#serial")).to_have_text(following.unit.serial)
        page.wait_for_function(
            "(serial) => window.frames_seen.some((one) => one.serial === serial)",
            arg=following.unit.serial,
        )
        assert between(page, following.unit.serial, sees="isWhole") == [True]


def test_a_press_that_lands_as_the_picture_does_is_none(at: Floor, enter: Enter) -> None:
    task, late = at.left(), HeldBack()
    page = opened(at, enter, task, late, view="main")
    page.locator(ACCEPT).tap()
    expect(page.locator("#note-text")).to_contain_text("This image has not come yet.")
    in_state(page, "DECIDE")
    page.evaluate(PRESSED_ON_ARRIVAL)
    late.let_go()
    is_shown(page)
    page.wait_for_function("() => window.pressed_on_arrival")
    in_state(page, "DECIDE")
    expect(page.locator("#undo-says")).to_have_text("")
    assert page.evaluate("window.turned_on_arrival")
    assert standing() == []
    page.locator(ACCEPT).tap()
    expect(page.locator("#undo-where")).to_have_text("At the server")
    assert standing() == [(task.unit.serial, "ACCEPT")]


def test_a_reject_held_before_the_picture_came_is_let_go(at: Floor, enter: Enter) -> None:
    task, late = at.left(), HeldBack()
    page = opened(at, enter, task, late, view="main")
    expect(page.locator("#sight-none")).to_have_text("The image is on its way.")
    page.evaluate(NEVER_RIPE)
    page.locator("[data-act=reject]").focus()
    page.keyboard.down("Enter")
    expect(page.locator("[data-act=reject]")).to_have_attribute("data-held", "")
    late.let_go()
    is_shown(page)
    expect(page.locator("#note-text")).to_have_text(
        "The image has just come. Look at it, then press again."
    )
    expect(page.locator("[data-held]")).to_have_count(0)
    page.keyboard.up("Enter")
    in_state(page, "DECIDE")
    expect(page.locator("#serial")).to_have_text(task.unit.serial)
    assert standing() == []


def test_a_picture_that_is_there_at_once_puts_no_press_off(at: Floor, enter: Enter) -> None:
    task = at.left(views=VIEWS)
    page = enter(None, "/health/", **TABLET)
    page.add_init_script(AHEAD)
    at_station(page, at)
    is_shown(page)
    expect(page.locator("#serial")).to_have_text(task.unit.serial)
    page.wait_for_function(MADE_READY, arg=2)
    in_state(page, "DECIDE")
    page.evaluate("document.querySelector('#sight-next').click()")
    is_shown(page)
    assert page.locator("[data-turned]").count() == 0
    page.evaluate("document.querySelector('[data-act=accept]').click()")
    expect(page.locator("#undo-where")).to_have_text("At the server")
    assert standing() == [(task.unit.serial, "ACCEPT")]


# What each frame shows: the serial, whether a picture is painted, and whether it has loaded.
FRAMES = """() => {
  window.frames_seen = [];
  const image = document.querySelector("#sight-image");
  const marks = document.querySelector("#sight-marks");
  const look = () => {
    const isPainted = image.checkVisibility() && image.naturalWidth > 0;
    window.frames_seen.push({
      serial: document.querySelector("#serial").textContent,
      isPainted,
      isWhole: isPainted && image.complete,
      marks: getComputedStyle(marks).visibility,
    });
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""
# The addresses that were made ready before they were shown.
AHEAD = """(() => {
  window.ahead = new Set();
  const Real = window.Image;
  window.Image = class extends Real {
    constructor(...given) {
      super(...given);
      this.addEventListener("load", () => window.ahead.add(this.src));
    }
  };
})()"""
MADE_READY = "(count) => window.ahead.size >= count"
# A finger that comes down right after the picture has.
PRESSED_ON_ARRIVAL = """() => {
  document.querySelector("#sight-image").addEventListener("load", () => {
    const button = document.querySelector("[data-act=accept]");
    window.turned_on_arrival = button.hasAttribute("data-turned");
    button.click();
    window.pressed_on_arrival = true;
  }, { once: true });
}"""
