"""A unit of several views is judged as one, by the rules the button has shown before."""

from __future__ import annotations

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from governance.access import system
from governance.models import User
from labeling import criteria
from labeling.models import Annotation, Label
from review.models import ReviewTask
from tests import factories
from tests.functional.conftest import Enter, Part, show, store_picture
from tests.functional.test_bench import SIZES, next_after, ready, until_decided
from traceability.models import Capture, Inspection, Unit

VIEWS = ("back", "left", "right", "top")
THREE = pytest.mark.parametrize("size", ["desk", "tablet", "phone"])


def views_named(page: Page) -> list[str]:
    return page.locator("#views .view__name").all_inner_texts()


def is_current(page: Page, place: int) -> None:
    """This place of the strip is marked as on the stage."""
    expect(page.locator("#views button").nth(place)).to_have_attribute("aria-current", "true")
    expect(page.locator("#views [aria-current=true]")).to_have_count(1)


def expects(task: ReviewTask, count: int) -> None:
    Inspection.objects.filter(pk=task.inspection_id).update(views_expected=count)


def unfit(task: ReviewTask, view: str) -> None:
    captures = Capture.objects.filter(inspection=task.inspection_id, view=view)
    assert captures.update(quality={"verdict": "unfit"}) == 1


def arrives(task: ReviewTask, view: str) -> Capture:
    """Another view of the unit comes in."""
    capture = factories.capture(task.inspection, view=view, quality={"verdict": "ok"})
    store_picture(capture, shade=90)
    factories.prediction(capture, score=0.1, detections=[])
    show(capture)
    return capture


def put_in_force(text: str) -> None:
    zones, rules = criteria.read(text, is_json=False)
    criteria.set_criteria(
        actor=system("test"),
        site=factories.site(),
        zones=zones,
        rules=rules,
        reason="test",
        at=timezone.now(),
    )


@THREE
def test_a_unit_of_four_views_has_one_verdict(
    enter: Enter, part: Part, inspector: User, size: str
) -> None:
    first, second = part(views=VIEWS), part()
    page = enter(inspector, **SIZES[size])
    ready(page)
    assert [name.split()[0] for name in views_named(page)] == list(VIEWS)
    chance = "0.97 that a view shows a defect, if the views err independently"
    assert page.locator("#views").get_attribute("title") == chance
    is_current(page, 0)
    for number in (1, 2, 3, 0):
        page.keyboard.press("Tab")
        is_current(page, number)
    page.keyboard.press("Shift+Tab")
    is_current(page, 3)
    expect(page.locator("#views .view__seen").filter(has_text="seen")).to_have_count(4)
    page.locator("#views button").nth(1).click()
    is_current(page, 1)
    expect(page.locator("#accept-what")).to_have_text("false call")
    page.locator("#stage").focus()
    page.keyboard.press("a")
    assert next_after(page, str(first.uuid)) == str(second.uuid)
    until_decided(page, 1)
    assert Unit.objects.get(pk=first.unit_id).disposition == "ACCEPT"
    assert Label.objects.filter(unit=first.unit, verdict="good").count() == 4


@THREE
def test_a_missing_view_holds_and_the_buttons_say_so(
    enter: Enter, part: Part, inspector: User, size: str
) -> None:
    task = part(views=VIEWS[:3])
    expects(task, 4)
    page = enter(inspector, **SIZES[size])
    ready(page)
    expect(page.locator("#views li").nth(3)).to_have_text("View 4 of 4 has not come")
    expect(page.locator("#accept-what")).to_have_text("Hold: inspection incomplete")
    expect(page.locator("#reject-what")).to_have_text("Scratch · Hold: incomplete")
    expect(page.locator("#unit-verdict")).to_have_text(
        "Inspection incomplete: 3 of 4 views have come."
    )
    page.keyboard.press("a")
    until_decided(page, 1)
    assert Unit.objects.get(pk=task.unit_id).disposition == "HOLD"


@THREE
def test_an_unfit_view_holds_and_is_named(
    enter: Enter, part: Part, inspector: User, size: str
) -> None:
    task = part(views=VIEWS)
    unfit(task, "left")
    page = enter(inspector, **SIZES[size])
    ready(page)
    expect(page.locator("#views .view__fit--not")).to_have_text("not fit")
    expect(page.locator("#unit-verdict")).to_have_text(
        "Inspection incomplete: not fit to judge: left."
    )
    page.keyboard.press("a")
    until_decided(page, 1)
    assert Unit.objects.get(pk=task.unit_id).disposition == "HOLD"
    labelled = Label.objects.filter(unit=task.unit).values_list("capture__view", flat=True)
    assert sorted(labelled) == ["back", "right", "top"]


PLACES = """() => [...document.querySelectorAll("#views li, #stage, #accept, #rail-task")].map(
    (each) => { const { x, y, width, height } = each.getBoundingClientRect();
                return [x, y, width, height].map(Math.round); })"""


@THREE
def test_a_late_view_joins_the_unit_on_the_screen_and_nothing_moves(
    enter: Enter, part: Part, inspector: User, size: str
) -> None:
    task = part(views=VIEWS[:3])
    expects(task, 4)
    page = enter(inspector, **SIZES[size])
    ready(page)
    page.keyboard.press("Tab")
    is_current(page, 1)
    places = page.evaluate(PLACES)
    comment = "edge looks rough"
    page.evaluate("(text) => { document.querySelector('#comment').value = text; }", comment)
    arrives(task, "above")
    expect(page.locator("#notices")).to_contain_text("View above has come.")
    assert page.evaluate(PLACES) == places
    assert [name.split()[0] for name in views_named(page)] == [*VIEWS[:3], "above"]
    is_current(page, 1)
    assert page.locator("#comment").input_value() == comment
    expect(page.locator("#accept-what")).to_have_text("false call")
    expect(page.locator("#unit-verdict")).to_be_empty()
    page.keyboard.press("a")
    until_decided(page, 1)
    assert Unit.objects.get(pk=task.unit_id).disposition == "ACCEPT"


def test_a_view_taken_again_makes_the_unit_whole(enter: Enter, part: Part, inspector: User) -> None:
    task = part(views=("left", "top"))
    unfit(task, "top")
    page = enter(inspector)
    ready(page)
    expect(page.locator("#accept-what")).to_have_text("Hold: inspection incomplete")
    arrives(task, "top")
    expect(page.locator("#accept-what")).to_have_text("false call")
    expect(page.locator("#views .view__fit").nth(1)).to_have_text("taken again")


def test_what_was_drawn_stays_when_a_view_joins(enter: Enter, part: Part, inspector: User) -> None:
    task = part(views=VIEWS[1:3])
    expects(task, 3)
    page = enter(inspector)
    ready(page)
    draw(page)
    arrives(task, "above")
    expect(page.locator("#notices")).to_contain_text("View above has come.")
    page.keyboard.press("r")
    until_decided(page, 1)
    [drawn] = Annotation.objects.filter(origin="drawn")
    assert (drawn.label.capture.view, drawn.geometry) == ("left", [10, 20, 30, 40])


def test_a_verdict_on_a_view_too_few_comes_back_with_the_view(
    enter: Enter, part: Part, inspector: User
) -> None:
    task = part()
    page = enter(inspector)
    ready(page)
    arrives(task, "above")
    page.keyboard.press("a")
    pressed = page.evaluate("performance.now()")
    expect(page.locator("#notices")).to_contain_text("have not seen: above")
    expect(page.locator("#stage")).to_have_attribute("data-task", str(task.uuid))
    expect(page.locator("#views .view__name")).to_have_count(2)
    # A second press right after the first is taken for a bounce.
    page.wait_for_function("(pressed) => performance.now() - pressed > 350", arg=pressed)
    ready(page)
    page.keyboard.press("a")
    until_decided(page, 1)
    assert Unit.objects.get(pk=task.unit_id).disposition == "ACCEPT"


RULES = """
[[rule]]
defect_class = "scratch"
most = {most}
disposition = "SCRAP"
"""


@THREE
@pytest.mark.parametrize(
    ("most", "words", "becomes"),
    [(9, "Scratch · within limits: accept", "ACCEPT"), (0, "Scratch · Scrap", "SCRAP")],
)
def test_the_rules_change_the_button_and_the_unit_becomes_what_it_said(
    enter: Enter, part: Part, inspector: User, size: str, most: int, words: str, becomes: str
) -> None:
    task = part()
    put_in_force(RULES.format(most=most))
    page = enter(inspector, **SIZES[size])
    ready(page)
    expect(page.locator("#reject-what")).to_have_text("Scratch · Rework")
    expect(page.locator("#unit-verdict")).to_have_text(
        "Scratch: not drawn, so its size is not known."
    )
    draw(page)
    expect(page.locator("#reject-what")).to_have_text(words)
    expect(page.locator("#unit-verdict")).not_to_contain_text("not drawn")
    page.keyboard.press("r")
    until_decided(page, 1)
    assert Unit.objects.get(pk=task.unit_id).disposition == becomes


def draw(page: Page) -> None:
    """Take the model's proposal over as drawn."""
    page.keyboard.press("t")


def test_what_a_button_says_is_there_within_a_tenth_of_a_second(
    enter: Enter, part: Part, inspector: User
) -> None:
    part()
    factories.defect_class("dent", default_disposition="HOLD")
    put_in_force(RULES.format(most=0))
    page = enter(inspector)
    ready(page)
    # In the turn of the press itself, and with that in the next frame.
    before, after = page.evaluate(
        """() => {
          const what = document.querySelector("#reject-what");
          const before = what.textContent;
          document.querySelector("#classes [data-code=dent]").click();
          return [before, what.textContent];
        }"""
    )
    assert before.startswith("Scratch · ")
    assert after.startswith("Dent · ")
