"""A shift in small without a mouse: 20 units, every kind of answer."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from playwright.sync_api import Page, expect

from governance.models import User
from review.models import Comment, Decision, Escalation, ReviewTask, Skip, TaskState
from tests import factories
from tests.functional.conftest import Enter, Part
from tests.functional.test_bench import ready, settled, wait_until

NO_MOUSE = """() => { for (const name of ["pointerdown", "mousedown", "click"]) {
  document.addEventListener(name, event => {
    if (event.detail > 0) { throw new Error("a mouse was used"); }
  }, {capture: true}); } }"""


def press(page: Page, *keys: str) -> None:
    """Keys one after the other; the guard against double presses has passed before."""
    settled(page)
    for key in keys:
        page.keyboard.press(key)


def without_a_box(page: Page) -> None:
    """Go past the question where the defect is."""
    if page.locator("#box-prompt").is_visible():
        page.keyboard.press("r")


@pytest.mark.usefixtures("unhurried")
def test_twenty_units_by_keyboard_alone(enter: Enter, part: Part, inspector: User) -> None:
    factories.defect_class("dent", position=7)
    tasks = [part(views=("side", "top")) if n % 5 == 0 else part() for n in range(20)]
    page = enter(inspector)
    page.evaluate(NO_MOUSE)
    done: Counter[str] = Counter()
    for number, task in enumerate(tasks):
        assert ready(page) == str(task.uuid), number
        step = number % 10
        if number % 5 == 0:
            press(page, "Tab")
            expect(page.locator(".view").nth(1)).to_have_attribute("aria-current", "true")
            ready(page)
        if step in (0, 1, 4, 8):
            press(page, "a")
            done["FALSE_CALL"] += 1
        elif step in (2, 7):
            press(page, "Shift+R", "2", "x")
            without_a_box(page)
            done["CONFIRMED"] += 1
        elif step == 3:
            press(page, "s", str(number % 3 + 1))
            done["skip"] += 1
        elif step == 5:
            press(page, "e")
            page.keyboard.type(f"Look at {number}")
            page.keyboard.press("Enter")
            done["escalate"] += 1
        elif step == 6:
            press(page, "a")
            expect(page.locator("#undo-left")).to_have_text(re.compile(r"^\d+ s$"))
            press(page, "u")
            expect(page.locator("#stage")).to_have_attribute("data-task", str(task.uuid))
            ready(page)
            press(page, "Shift+R", "i")
            done["INCONCLUSIVE"] += 1
        else:
            press(page, "c")
            page.keyboard.type(f"Seen on {number}")
            page.keyboard.press("Enter")
            expect(page.locator("#comments")).to_contain_text(f"Seen on {number}")
            press(page, "a")
            done["FALSE_CALL"] += 1
    expect(page.locator("#empty")).to_be_visible()
    wait_until(page, lambda: not ReviewTask.objects.filter(state=TaskState.LEASED).exists())
    standing = Decision.objects.filter(withdrawal__isnull=True)
    found = Counter(standing.values_list("answer", flat=True))
    assert found == {name: done[name] for name in ("FALSE_CALL", "CONFIRMED", "INCONCLUSIVE")}
    assert Decision.objects.filter(withdrawal__isnull=False).count() == 2
    assert Skip.objects.exclude(reason="inconclusive").count() == done["skip"] == 2
    assert Escalation.objects.count() == done["escalate"] + done["INCONCLUSIVE"] == 4
    assert Comment.objects.count() == 2
