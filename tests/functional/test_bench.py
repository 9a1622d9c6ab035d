"""An inspector at the bench: one key, and the next image is there."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone
from playwright.sync_api import Page, Route, expect

from governance.models import User
from governance.roles import Role
from review.models import Answer, Decision, ReviewTask, Skip, TaskState
from tests import factories
from tests.functional.conftest import Enter, Part, show
from traceability.models import Capture, DispositionKind

DECISION = "**/decision"
SIZES: dict[str, dict[str, Any]] = {
    "desk": {"viewport": {"width": 1440, "height": 900}},
    "tablet": {"viewport": {"width": 1024, "height": 768}, "has_touch": True, "is_mobile": True},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
    "narrow": {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True},
    "4k": {"viewport": {"width": 3840, "height": 2160}},
}


def ready(page: Page) -> str:
    """Wait until the unit on the screen can be judged; its task's id."""
    expect(page.locator("#accept")).to_be_enabled()
    return page.locator("#stage").get_attribute("data-task") or ""


def next_after(page: Page, before: str) -> str:
    """Wait until another unit is on the screen and can be judged."""
    expect(page.locator("#stage")).not_to_have_attribute("data-task", before)
    return ready(page)


def until_decided(page: Page, count: int) -> list[Decision]:
    """Wait until the page has the answers to so many verdicts; the verdicts."""
    expect(page.locator("#decided")).to_have_text(str(count))
    return list(Decision.objects.order_by("pk").select_related("task"))


def wait_until(page: Page, is_so: Callable[[], bool]) -> None:
    """Wait for what only the database shows."""
    ends = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < ends
        page.wait_for_timeout(20)


def test_a_accepts_and_the_next_unit_is_on_the_screen(
    enter: Enter, part: Part, inspector: User
) -> None:
    first, second = part(), part()
    page = enter(inspector)
    assert ready(page) == str(first.uuid)
    page.keyboard.press("a")
    assert next_after(page, str(first.uuid)) == str(second.uuid)
    [decision] = until_decided(page, 1)
    assert (decision.task, decision.answer) == (first, Answer.FALSE_CALL)
    assert decision.disposition_kind == DispositionKind.ACCEPT
    assert decision.seconds is not None


def test_r_rejects_with_the_disposition_on_the_button(
    enter: Enter, part: Part, inspector: User
) -> None:
    part()
    page = enter(inspector)
    ready(page)
    expect(page.locator("#reject-what")).to_have_text("Scratch · Rework")
    page.keyboard.press("r")
    [decision] = until_decided(page, 1)
    assert (decision.answer, decision.disposition_kind) == ("CONFIRMED", "REWORK")
    assert decision.defect_class == "scratch"


def test_another_defect_and_disposition_are_three_keys_away(
    enter: Enter, part: Part, inspector: User
) -> None:
    factories.defect_class("dent", position=7)
    part()
    page = enter(inspector)
    ready(page)
    page.keyboard.press("Shift+R")
    page.keyboard.press("2")
    expect(page.locator("#reject-what")).to_have_text("Dent · Rework")
    page.keyboard.press("x")
    [decision] = until_decided(page, 1)
    assert (decision.defect_class, decision.disposition_kind) == ("dent", "SCRAP")


def test_what_nobody_can_tell_is_held(enter: Enter, part: Part, inspector: User) -> None:
    part()
    page = enter(inspector)
    ready(page)
    page.keyboard.press("Shift+R")
    page.keyboard.press("i")
    [decision] = until_decided(page, 1)
    assert (decision.answer, decision.disposition_kind) == ("INCONCLUSIVE", "HOLD")


def test_a_double_press_decides_once(enter: Enter, part: Part, inspector: User) -> None:
    first, second, _third = part(), part(), part()
    page = enter(inspector)
    ready(page)
    page.evaluate(
        """() => { for (let n = 0; n < 3; n += 1) { for (const repeat of [false, true]) {
          document.body.dispatchEvent(new KeyboardEvent("keydown",
            {code: "KeyA", key: "a", bubbles: true, repeat})); } } }"""
    )
    [decision] = until_decided(page, 1)
    assert decision.task == first
    assert ready(page) == str(second.uuid)


def test_u_takes_the_verdict_back_and_brings_the_unit_back(
    enter: Enter, part: Part, inspector: User
) -> None:
    first, _second = part(), part()
    page = enter(inspector)
    ready(page)
    page.keyboard.press("a")
    until_decided(page, 1)
    expect(page.locator("#undo-left")).to_have_text("8 s")
    page.keyboard.press("u")
    expect(page.locator("#stage")).to_have_attribute("data-task", str(first.uuid))
    [decision] = Decision.objects.all()
    assert decision.withdrawal is not None
    expect(page.locator("#undo")).to_be_disabled()
    ready(page)
    page.wait_for_timeout(350)
    page.keyboard.press("r")
    expect(page.locator("#stage")).not_to_have_attribute("data-task", str(first.uuid))
    until_decided(page, 1)
    assert Decision.objects.filter(withdrawal__isnull=True).get().answer == "CONFIRMED"


def test_a_verdict_whose_answer_is_lost_is_recorded_once(
    enter: Enter, part: Part, inspector: User
) -> None:
    part(), part()
    page = enter(inspector)
    ready(page)
    keys: list[str] = []

    def swallow(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fetch()
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route(DECISION, swallow)
    page.keyboard.press("a")
    until_decided(page, 1)
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert Decision.objects.count() == 1


def test_without_a_network_verdicts_wait_and_are_counted(
    enter: Enter, part: Part, inspector: User
) -> None:
    first = part()
    second = part()
    page = enter(inspector)
    ready(page)
    page.route("**/api/**", lambda route: route.abort("internetdisconnected"))
    page.keyboard.press("a")
    next_after(page, str(first.uuid))
    page.wait_for_timeout(350)
    page.keyboard.press("r")
    expect(page.locator("#unsent")).to_have_text("Unsent: 2")
    expect(page.locator("#connection")).to_have_text("No connection")
    assert not Decision.objects.exists()
    page.unroute("**/api/**")
    expect(page.locator("#unsent")).to_have_text("")
    decisions = list(Decision.objects.order_by("pk"))
    assert [d.task_id for d in decisions] == [first.pk, second.pk]


def test_verdicts_that_wait_survive_a_reload(enter: Enter, part: Part, inspector: User) -> None:
    first = part()
    page = enter(inspector)
    ready(page)
    page.route(DECISION, lambda route: route.abort("internetdisconnected"))
    page.keyboard.press("a")
    expect(page.locator("#unsent")).to_have_text("Unsent: 1")
    page.on("dialog", lambda dialog: dialog.accept())
    page.unroute(DECISION)
    page.reload()
    until_decided(page, 1)
    assert Decision.objects.get().task == first


def test_a_unit_taken_by_a_colleague_says_so_and_keeps_what_was_chosen(
    enter: Enter, part: Part, inspector: User
) -> None:
    first, second = part(), part()
    page = enter(inspector)
    ready(page)
    colleague = factories.user(Role.INSPECTOR)
    ReviewTask.objects.filter(pk=first.pk).update(holder=colleague, fence=F("fence") + 1)
    page.keyboard.press("r")
    assert next_after(page, str(first.uuid)) == str(second.uuid)
    notice = page.locator(".notice")
    expect(notice).to_contain_text(first.unit.serial)
    expect(notice).to_contain_text("Scratch · Rework")
    expect(notice).to_contain_text("was not recorded")
    assert not Decision.objects.exists()


def test_an_image_in_the_making_keeps_its_place_and_takes_no_verdict(
    enter: Enter, part: Part, inspector: User
) -> None:
    task = part(is_shown=False)
    page = enter(inspector)
    expect(page.locator("#picture-wait")).to_be_visible()
    expect(page.locator("#accept")).to_be_disabled()
    before = page.locator("#sheet").bounding_box()
    page.keyboard.press("a")
    show(Capture.objects.get(inspection=task.inspection_id))
    ready(page)
    assert page.locator("#sheet").bounding_box() == before
    assert not Decision.objects.exists()


def test_a_skip_asks_why_and_the_unit_does_not_come_back(
    enter: Enter, part: Part, inspector: User
) -> None:
    first, second = part(), part()
    page = enter(inspector)
    ready(page)
    page.keyboard.press("s")
    page.keyboard.press("1")
    assert next_after(page, str(first.uuid)) == str(second.uuid)
    page.wait_for_timeout(350)
    page.keyboard.press("a")
    expect(page.locator("#empty")).to_be_visible()
    until_decided(page, 1)
    skip = Skip.objects.get()
    assert (skip.task, skip.reason) == (first, "The image is blurred or badly lit")


def test_an_escalated_unit_goes_to_a_lead(enter: Enter, part: Part, inspector: User) -> None:
    task = part()
    page = enter(inspector)
    ready(page)
    page.keyboard.press("e")
    page.keyboard.type("Is this still within the limit?")
    page.keyboard.press("Enter")
    expect(page.locator("#empty")).to_be_visible()
    page.wait_for_function("() => !sessionStorage.getItem('loupe-outbox:ines')?.includes('key')")
    task.refresh_from_db()
    assert (task.is_escalated, task.state) == (True, TaskState.QUEUED)
    lead = enter(factories.user(Role.LEAD))
    assert ready(lead) == str(task.uuid)
    expect(lead.locator("#escalated")).to_be_visible()


def test_an_empty_bench_says_so_and_fills_by_itself(
    enter: Enter, part: Part, inspector: User
) -> None:
    page = enter(inspector)
    expect(page.get_by_text("Nothing is waiting for you.")).to_be_visible()
    task = part()
    assert ready(page) == str(task.uuid)


def test_leaving_the_bench_gives_its_units_back(enter: Enter, part: Part, inspector: User) -> None:
    for _ in range(5):
        part()
    page = enter(inspector)
    ready(page)
    expect(page.locator("#connection")).to_have_text("Connected")
    assert ReviewTask.objects.filter(state=TaskState.LEASED).count() == 4
    page.goto("/")
    colleague = enter(factories.user(Role.INSPECTOR))
    ready(colleague)
    mine = ReviewTask.objects.filter(state=TaskState.LEASED, holder=inspector)
    wait_until(page, lambda: not mine.exists())


def test_an_unattended_bench_gives_back_first_what_nobody_saw_then_everything(
    enter: Enter, part: Part, inspector: User
) -> None:
    first = part()
    for _ in range(3):
        part()
    page = enter(inspector, is_timed=True)
    ready(page)
    leased = ReviewTask.objects.filter(state=TaskState.LEASED)
    assert leased.count() == 4
    with page.expect_response("**/release"):
        page.clock.fast_forward("02:05")
    wait_until(page, lambda: list(leased.all()) == [first])
    with page.expect_response("**/release"):
        page.clock.fast_forward("03:05")
    wait_until(page, lambda: not leased.all().exists())
    expect(page.locator("#paused")).to_be_visible()
    page.keyboard.press("a")
    assert ready(page) == str(first.uuid)
    assert not Decision.objects.exists()


def test_tab_shows_the_next_view_of_the_unit(enter: Enter, part: Part, inspector: User) -> None:
    part(views=("side", "top"))
    page = enter(inspector)
    ready(page)
    views = page.locator(".view")
    expect(views.nth(0)).to_have_attribute("aria-current", "true")
    page.keyboard.press("Tab")
    expect(views.nth(1)).to_have_attribute("aria-current", "true")
    expect(page.locator("#accept")).to_be_enabled()


def test_m_hides_the_models_opinion(enter: Enter, part: Part, inspector: User) -> None:
    part()
    page = enter(inspector)
    ready(page)
    expect(page.locator("#overlay rect.region__line")).to_be_visible()
    page.keyboard.press("m")
    expect(page.locator("#overlay")).to_be_hidden()


def test_the_wheel_zooms_about_the_pointer_and_nought_fits_again(
    enter: Enter, part: Part, inspector: User
) -> None:
    part()
    page = enter(inspector)
    ready(page)
    fitted = page.locator("#sheet").bounding_box()
    assert fitted is not None
    x, y = fitted["x"] + 100, fitted["y"] + 100
    page.mouse.move(x, y)
    page.mouse.wheel(0, -400)
    page.wait_for_function(
        "width => document.getElementById('sheet').getBoundingClientRect().width > width * 1.5",
        arg=fitted["width"],
    )
    zoomed = page.locator("#sheet").bounding_box()
    assert zoomed is not None
    factor = zoomed["width"] / fitted["width"]
    assert abs((x - zoomed["x"]) / factor - 100) < 1
    page.keyboard.press("0")
    assert page.locator("#sheet").bounding_box() == fitted


@pytest.mark.parametrize("size", SIZES)
def test_the_bench_fits_every_screen(enter: Enter, part: Part, inspector: User, size: str) -> None:
    part()
    page = enter(inspector, **SIZES[size])
    ready(page)
    width, room = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert width <= room
    least = 52 if SIZES[size].get("has_touch") else 44
    for name in ("accept", "reject", "skip", "escalate", "undo"):
        box = page.locator(f"#{name}").bounding_box()
        assert box is not None
        assert box["height"] >= least, name
        assert box["width"] >= 44, name
        assert box["y"] + box["height"] <= SIZES[size]["viewport"]["height"], name
    stage = page.locator("#stage").bounding_box()
    assert stage is not None
    assert stage["height"] * stage["width"] > 0.3 * room * SIZES[size]["viewport"]["height"]


def test_touch_alone_is_enough(enter: Enter, part: Part, inspector: User) -> None:
    first, second = part(), part()
    page = enter(inspector, **SIZES["phone"])
    ready(page)
    page.locator("#accept").tap()
    assert next_after(page, str(first.uuid)) == str(second.uuid)
    page.wait_for_timeout(350)
    page.locator("#choose").tap()
    page.locator("[data-disposition=SCRAP]").tap()
    decisions = until_decided(page, 2)
    assert [d.disposition_kind for d in decisions] == ["ACCEPT", "SCRAP"]


PAINTED = """code => new Promise(resolve => {
  const stage = document.getElementById("stage");
  const before = stage.dataset.task;
  const began = performance.now();
  document.body.dispatchEvent(new KeyboardEvent("keydown", {code, key: "", bubbles: true}));
  const look = () => {
    const image = document.querySelector("#sheet img");
    if (stage.dataset.task !== before && image?.complete && image.naturalWidth) {
      requestAnimationFrame(() => resolve(performance.now() - began));
    } else {
      requestAnimationFrame(look);
    }
  };
  requestAnimationFrame(look);
})"""


def test_the_next_image_is_painted_at_once_though_the_network_is_slow(
    enter: Enter, part: Part, inspector: User
) -> None:
    for _ in range(8):
        part()
    page = enter(inspector)
    ready(page)

    page.wait_for_load_state("networkidle")
    page.evaluate(
        """() => { const plain = window.fetch; window.fetch = async (...given) => {
          await new Promise(done => setTimeout(done, 150)); return plain(...given); }; }"""
    )
    took = []
    for _ in range(5):
        took.append(page.evaluate(PAINTED, "KeyA"))
        ready(page)
        page.wait_for_timeout(400)
    assert statistics.median(took) <= 100, took


def test_nothing_moves_when_data_arrives(enter: Enter, part: Part, inspector: User) -> None:
    first = part()
    page = enter(inspector)
    ready(page)
    page.evaluate(
        """() => { window.moved = 0; new PerformanceObserver(list => {
          for (const entry of list.getEntries()) { window.moved += entry.value; }
        }).observe({type: "layout-shift"}); }"""
    )
    for _ in range(3):
        part(deadline=timezone.now())
    expect(page.locator("#waiting")).to_have_text("4")
    expect(page.locator("#oldest")).to_contain_text("overdue")
    assert page.locator("#stage").get_attribute("data-task") == str(first.uuid)
    assert page.evaluate("window.moved") == 0


def test_an_operator_is_told_why_he_cannot_judge(enter: Enter) -> None:
    page = enter(factories.user(Role.OPERATOR))
    expect(page.get_by_role("heading")).to_contain_text("You may not judge units")
