"""An inspector at the bench: one key, and the next image is there."""

from __future__ import annotations

import re
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
from tests.functional.conftest import WAITS_MS, Enter, Part, show
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


def past_a_bounce(page: Page) -> None:
    """Wait until a press is none of the bounces of the one before, by the page's own clock."""
    now = page.evaluate("performance.now()")
    page.wait_for_function("(since) => performance.now() - since > 350", arg=now)


def settled(page: Page) -> str:
    """Wait until the next press counts on the unit on the screen; its task's id."""
    past_a_bounce(page)
    return ready(page)


def until_decided(page: Page, count: int) -> list[Decision]:
    """Wait until the page has the answers to so many verdicts; the verdicts."""
    expect(page.locator("#decided")).to_have_text(str(count))
    return list(Decision.objects.order_by("pk").select_related("task"))


def wait_until(page: Page, is_so: Callable[[], bool]) -> None:
    """Wait for what only the database shows."""
    ends = time.monotonic() + WAITS_MS / 1000
    while not is_so():
        assert time.monotonic() < ends, "what was waited for has not come"
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
    page.keyboard.press("r")
    [decision] = until_decided(page, 1)
    assert (decision.defect_class, decision.disposition_kind) == ("dent", "SCRAP")


def test_accept_is_out_of_reach_and_looks_so_while_the_reject_form_is_open(
    enter: Enter, part: Part, inspector: User
) -> None:
    part()
    page = enter(inspector)
    ready(page)
    page.keyboard.press("Shift+R")
    expect(page.locator("#choice-form")).to_be_visible()
    expect(page.locator("#accept")).to_be_disabled()
    page.keyboard.press("Escape")
    expect(page.locator("#accept")).to_be_enabled()
    page.keyboard.press("a")
    assert until_decided(page, 1)[0].answer == Answer.FALSE_CALL


def test_the_answers_of_a_lead_are_not_the_verb_in_german(enter: Enter, inspector: User) -> None:
    page = enter(inspector, locale="de-DE")
    expect(page.locator("#answers")).to_be_visible()
    # The verb of a target that answers is another word.
    expect(page.locator("#answers")).not_to_contain_text("Antwortet")


def test_a_score_is_written_as_on_the_other_pages(
    enter: Enter, part: Part, inspector: User
) -> None:
    part()
    page = enter(inspector, locale="de-DE")
    ready(page)
    expect(page.locator("#score")).to_have_text("0,60")


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


@pytest.mark.usefixtures("unhurried")
def test_u_takes_the_verdict_back_and_brings_the_unit_back(
    enter: Enter, part: Part, inspector: User
) -> None:
    first, _second = part(), part()
    page = enter(inspector)
    ready(page)
    page.keyboard.press("a")
    until_decided(page, 1)
    expect(page.locator("#undo-left")).to_have_text(re.compile(r"^1[0-8]\d s$"))
    page.keyboard.press("u")
    expect(page.locator("#stage")).to_have_attribute("data-task", str(first.uuid))
    [decision] = Decision.objects.all()
    assert decision.withdrawal is not None
    expect(page.locator("#undo")).to_be_disabled()
    settled(page)
    page.keyboard.press("r")
    page.keyboard.press("r")
    expect(page.locator("#stage")).not_to_have_attribute("data-task", str(first.uuid))
    until_decided(page, 1)
    assert Decision.objects.filter(withdrawal__isnull=True).get().answer == "CONFIRMED"


def at_the_bench_with(
    enter: Enter, person: User, pattern: str, answer: Callable[[Route], None]
) -> Page:
    """A bench whose requests are answered so from its first: later ones pass by a younger route."""
    page = enter(person, "/health/")
    page.context.route(pattern, answer)
    page.goto("/review/")
    return page


def test_a_verdict_whose_answer_is_lost_is_recorded_once(
    enter: Enter, part: Part, inspector: User
) -> None:
    part(), part()
    keys: list[str] = []

    def swallow(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fetch()
            route.abort("connectionreset")
        else:
            route.continue_()

    page = at_the_bench_with(enter, inspector, DECISION, swallow)
    ready(page)
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
    is_away = [False]
    page = at_the_bench_with(
        enter,
        inspector,
        "**/api/**",
        lambda route: route.abort("internetdisconnected") if is_away[0] else route.continue_(),
    )
    ready(page)
    is_away[0] = True
    page.keyboard.press("a")
    assert next_after(page, str(first.uuid)) == str(second.uuid)
    expect(page.locator("#unsent")).to_have_text("Unsent: 1")
    settled(page)
    page.keyboard.press("r")
    expect(page.locator("#box-prompt")).to_be_visible()
    page.keyboard.press("r")
    expect(page.locator("#unsent")).to_have_text("Unsent: 2")
    expect(page.locator("#connection")).to_have_text("No connection")
    assert not Decision.objects.exists()
    is_away[0] = False
    expect(page.locator("#unsent")).to_have_text("")
    decisions = list(Decision.objects.order_by("pk"))
    assert [d.task_id for d in decisions] == [first.pk, second.pk]


def test_verdicts_that_wait_survive_a_reload(enter: Enter, part: Part, inspector: User) -> None:
    first = part()
    is_away = [True]
    page = at_the_bench_with(
        enter,
        inspector,
        DECISION,
        lambda route: route.abort("internetdisconnected") if is_away[0] else route.continue_(),
    )
    ready(page)
    page.keyboard.press("a")
    expect(page.locator("#unsent")).to_have_text("Unsent: 1")
    page.on("dialog", lambda dialog: dialog.accept())
    is_away[0] = False
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
    page.keyboard.press("r")
    assert next_after(page, str(first.uuid)) == str(second.uuid)
    notice = page.locator(".notice")
    expect(notice).to_contain_text(first.unit.serial)
    expect(notice).to_contain_text("Scratch · Rework")
    expect(notice).to_contain_text("was not recorded")
    assert not Decision.objects.exists()


@pytest.mark.usefixtures("unmade")
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
    settled(page)
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
    expect(page.locator("#overlay")).to_have_attribute("data-labels", re.compile(r"\d\.\d\d$"))
    expect(page.locator("#overlay")).to_be_visible()
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
    page.wait_for_function(
        "width => document.getElementById('sheet').getBoundingClientRect().width < width * 1.01",
        arg=fitted["width"],
    )
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


def test_long_words_fit_a_narrow_phone(enter: Enter, part: Part, inspector: User) -> None:
    part()
    page = enter(inspector, locale="de-DE", **SIZES["narrow"])
    ready(page)
    width, room = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert width <= room == 360
    cut = page.evaluate(
        """() => [...document.querySelectorAll(".verdict__word, .status dt, .status dd")]
          .filter(word => word.scrollWidth > word.parentElement.clientWidth)
          .map(word => word.textContent)"""
    )
    assert cut == []


# Of the verdict bar: what is written outside its button, and buttons that lie on one another.
FAULTS_OF_THE_BAR = """() => {
  const box = each => each.getBoundingClientRect();
  const seen = each => box(each).width > 0;
  const lies = (a, b) => a.left < b.right - 1 && b.left < a.right - 1
    && a.top < b.bottom - 1 && b.top < a.bottom - 1;
  const name = each => each.id || each.textContent.trim();
  const faults = [];
  const buttons = [...document.querySelectorAll(".verdicts .verdict")].filter(seen);
  const clear = all => all.forEach((one, n) => all.slice(n + 1).forEach(other => {
    if (lies(box(one), box(other))) faults.push(`${name(one)} lies on ${name(other)}`);
  }));
  clear(buttons);
  for (const button of buttons) {
    const parts = [...button.querySelectorAll("svg, .verdict__word, kbd")].filter(seen);
    clear(parts);
    for (const part of parts) {
      const room = box(button), its = box(part);
      if (its.left < room.left || its.right > room.right || part.scrollWidth > part.clientWidth + 1
          && getComputedStyle(part).display !== "inline") {
        faults.push(`${name(part)} runs out of ${button.id}`);
      }
    }
  }
  const bar = box(document.querySelector(".verdicts")), last = box(buttons.at(-1));
  if (last.right > bar.right) faults.push("the bar is too narrow");
  return faults;
}"""


@pytest.mark.parametrize("language", ["en-GB", "de-DE"])
@pytest.mark.parametrize("has_touch", [False, True])
def test_no_button_of_the_verdict_bar_lies_on_another_nor_cuts_its_words(
    enter: Enter, part: Part, inspector: User, language: str, has_touch: bool
) -> None:
    part(), part()
    touch = {"has_touch": True, "is_mobile": True} if has_touch else {}
    page = enter(inspector, locale=language, viewport={"width": 1024, "height": 768}, **touch)
    before = ready(page)
    page.locator("#accept").click()
    next_after(page, before)
    found = {}
    for width in (800, 900, 1024, 1100, 1101, 1200, 1280, 1366):
        page.set_viewport_size({"width": width, "height": 768})
        found[width] = page.evaluate(FAULTS_OF_THE_BAR)
    assert {width: faults for width, faults in found.items() if faults} == {}


def test_touch_alone_is_enough(enter: Enter, part: Part, inspector: User) -> None:
    first, second = part(), part()
    page = enter(inspector, **SIZES["phone"])
    ready(page)
    page.locator("#accept").tap()
    assert next_after(page, str(first.uuid)) == str(second.uuid)
    settled(page)
    page.locator("#choose").tap()
    page.locator("[data-disposition=SCRAP]").tap()
    page.locator("#reject").tap()
    decisions = until_decided(page, 2)
    assert [d.disposition_kind for d in decisions] == ["ACCEPT", "SCRAP"]


# How many frames and milliseconds after the key the next image is there. What a machine stands
# still between frames is not the bench's, and six of them are a tenth of a second; for how long the
# bench itself stands still in one of them is seen at the best of the keys.
PAINTED = """code => new Promise(resolve => {
  const stage = document.getElementById("stage");
  const before = stage.dataset.task;
  const pressed = performance.now();
  let frames = 1;
  document.body.dispatchEvent(new KeyboardEvent("keydown", {code, key: "", bubbles: true}));
  const look = () => {
    const image = document.querySelector("#sheet img");
    const isThere = stage.dataset.task !== before && image?.complete && image.naturalWidth;
    frames += 1;
    if (isThere || frames > 600) {
      resolve([frames, performance.now() - pressed]);
    } else {
      requestAnimationFrame(look);
    }
  };
  requestAnimationFrame(look);
})"""
AT_ONCE_FRAMES, AT_ONCE_MS = 6, 100
# The images of the unit on the screen and of those ahead are on this computer.
FETCHED = """count => performance.getEntriesByType("resource")
  .filter(({name}) => name.includes("/images/")).length >= count"""


def test_the_next_image_is_painted_at_once_though_the_network_is_slow(
    enter: Enter, part: Part, inspector: User
) -> None:
    for _ in range(8):
        part()
    page = enter(inspector)
    ready(page)

    page.wait_for_function(FETCHED, arg=4)
    # Longer than the whole test takes: whatever is painted was there before.
    page.evaluate(
        """() => { const plain = window.fetch; window.fetch = async (...given) => {
          await new Promise(done => setTimeout(done, 60_000)); return plain(...given); }; }"""
    )
    took = []
    for _ in range(3):
        settled(page)
        took.append(page.evaluate(PAINTED, "KeyA"))
    assert max(frames for frames, _ms in took) <= AT_ONCE_FRAMES, took
    assert min(ms for _frames, ms in took) <= AT_ONCE_MS, took


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
