"""One press is one decision, and a key means the same wherever the focus stands."""

from __future__ import annotations

from django.db.models import F
from playwright.sync_api import expect

from governance.models import User
from governance.roles import Role
from review.models import Decision, ReviewTask
from tests import factories
from tests.functional.conftest import Enter, Part
from tests.functional.test_annotation import act, drag, place, stored
from tests.functional.test_bench import next_after, ready, settled, until_decided

FOCUS = "document.activeElement.id"


def test_enter_held_down_on_a_button_presses_it_once(
    enter: Enter, part: Part, inspector: User
) -> None:
    first, second, _third = part(), part(), part()
    page = enter(inspector)
    ready(page)
    page.locator("#accept").focus()
    page.keyboard.down("Enter")
    assert next_after(page, str(first.uuid)) == str(second.uuid)
    # Longer than a switch bounces.
    settled(page)
    page.keyboard.down("Enter")
    page.keyboard.up("Enter")
    [decision] = until_decided(page, 1)
    assert decision.task == first
    assert ready(page) == str(second.uuid)


def test_space_after_a_click_is_the_images_and_no_second_verdict(
    enter: Enter, part: Part, inspector: User
) -> None:
    first, second, _third = part(), part(), part()
    page = enter(inspector)
    ready(page)
    page.locator("#accept").click()
    assert next_after(page, str(first.uuid)) == str(second.uuid)
    assert page.evaluate(FOCUS) == "stage"
    settled(page)
    page.keyboard.press("Space")
    until_decided(page, 1)
    assert ready(page) == str(second.uuid)
    assert Decision.objects.count() == 1


def test_a_slider_of_the_light_takes_arrows_but_no_letters(
    enter: Enter, part: Part, inspector: User
) -> None:
    first, second = part(), part()
    page = enter(inspector)
    ready(page)
    page.keyboard.press("l")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#light-brightness")).to_have_value("1")
    page.keyboard.press("m")
    expect(page.locator("#model-toggle")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("a")
    assert next_after(page, str(first.uuid)) == str(second.uuid)
    page.locator("#light-panel input[type=number]").first.focus()
    page.keyboard.press("a")
    until_decided(page, 1)
    assert ready(page) == str(second.uuid)


def test_tab_leads_from_button_to_button_also_over_an_image_with_views(
    enter: Enter, part: Part, inspector: User
) -> None:
    part(views=("back", "front"))
    page = enter(inspector)
    ready(page)
    page.locator("#model-toggle").focus()
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUS) == "light-toggle"
    expect(page.locator("#views [aria-current=true]")).to_contain_text("back")


def test_a_region_under_the_hand_stays_what_it_was_when_the_view_turns(
    enter: Enter, part: Part, inspector: User
) -> None:
    part(views=("back", "front"))
    page = enter(inspector)
    ready(page)
    act(page, "box")
    drag(page, (100, 100), (200, 160))
    page.keyboard.press("Escape")
    page.mouse.move(*place(page, 150, 130))
    page.mouse.down()
    page.mouse.move(*place(page, 160, 140))
    page.keyboard.press("Tab")
    expect(page.locator("#views [aria-current=true]")).to_contain_text("front")
    page.mouse.move(*place(page, 300, 260))
    page.mouse.up()
    assert stored(page)["regions"][0]["box"] == [100, 100, 100, 60]


def test_a_question_for_a_box_ends_with_the_hold_on_its_unit(
    enter: Enter, part: Part, inspector: User
) -> None:
    first, second = part(), part()
    page = enter(inspector)
    ready(page)
    page.keyboard.press("r")
    expect(page.locator("#box-prompt")).to_be_visible()
    colleague = factories.user(Role.INSPECTOR)
    ReviewTask.objects.filter(pk=first.pk).update(holder=colleague, fence=F("fence") + 1)
    expect(page.locator("#lost")).to_be_visible()
    expect(page.locator("#box-prompt")).to_be_hidden()
    page.keyboard.press("Enter")
    assert next_after(page, str(first.uuid)) == str(second.uuid)
    assert not Decision.objects.exists()
