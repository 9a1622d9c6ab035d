"""What is pressed and scanned at the tablet, as far as the server knows it afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, Route, expect

from governance import attendances, devices
from governance.models import Attendance, Device
from governance.roles import Role
from review.line import calls
from review.models import AndonCall, CaptureCheck, Decision, HoldAcknowledgement, ReviewTask
from tests import factories
from tests.functional import line_station
from tests.functional.conftest import Enter
from tests.functional.intercepting import intercept
from tests.functional.line_station import Floor, floor, in_state, scan
from tests.functional.tablets import is_shown
from tests.functional.test_bench import wait_until

# However long the machine takes to say so, nothing has been held to its end yet.
NEVER_RIPE = """() => {
  const real = window.requestAnimationFrame.bind(window);
  window.realFrame ??= window.requestAnimationFrame;
  window.requestAnimationFrame = (run) => real(() => run(0));
}"""
RIPENS = "() => { window.requestAnimationFrame = window.realFrame; }"
# However long it takes to come, the second tap of a double tap comes in its time: the 280 ms in
# which the page waits for it are not over before.
STANDS_STILL = """() => {
  const at = performance.now();
  window.realNow = performance.now;
  performance.now = () => at;
  window.realTimeout = window.setTimeout;
  window.caught = 0;
  window.setTimeout = (run, ms, ...given) => {
    window.caught += ms === 280 ? 1 : 0;
    return window.realTimeout(run, ms === 280 ? 600_000 : ms, ...given);
  };
}"""
GOES_ON = """() => {
  performance.now = window.realNow;
  window.setTimeout = window.realTimeout;
  return window.caught;
}"""
VIBRATES = """() => { window.buzzed = []; navigator.vibrate = (how) => window.buzzed.push(how); }"""
# A finger on Accept right after the next unit has come, when the pause of a double tap is over.
PRESSED_EARLY = """() => {
  const { now } = performance;
  new MutationObserver((_seen, observer) => {
    observer.disconnect();
    performance.now = () => now.call(performance) + 400;
    document.querySelector("[data-act=accept]").click();
    performance.now = now;
    window.isPressedEarly = true;
  }).observe(document.querySelector("#serial"), { childList: true, subtree: true });
  document.querySelector("[data-act=accept]").click();
}"""
REJECT = "[data-act=reject]"
HIDE = """(isHidden) => {
  Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange")); }"""


@pytest.fixture
def at() -> Floor:
    """Station st-1, a measured tablet, and `bo` at it."""
    made = floor()
    made.measured(5.0)
    made.arrive()
    return made


@pytest.fixture
def finger(at: Floor) -> Callable[..., None]:
    """Holds a finger on something: until when, and where it slides first."""

    def hold(page: Page, selector: str, *, until: Callable[[], object], slides: int = 0) -> None:
        box = page.locator(selector).bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        touch = page.context.new_cdp_session(page)
        touch.send("Input.dispatchTouchEvent", _touch("touchStart", x, y))
        if slides:
            touch.send("Input.dispatchTouchEvent", _touch("touchMove", x, y - slides))
        until()
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        touch.detach()

    return hold


def _touch(kind: str, x: float, y: float) -> dict[str, Any]:
    return {"type": kind, "touchPoints": [{"x": x, "y": y}]}


def deciding(at: Floor, enter: Enter, *, count: int = 2) -> tuple[Page, list[ReviewTask]]:
    """The tablet with units to decide, the first of them on its screen."""
    tasks = [at.left() for _ in range(count)]
    page = at.open(enter)
    in_state(page, "DECIDE")
    shows(page, tasks[0])
    return page, tasks


def shows(page: Page, task: ReviewTask) -> None:
    """This unit is on the screen with its picture, and its buttons count."""
    expect(page.locator("#serial")).to_have_text(task.unit.serial)
    is_shown(page)
    in_state(page, "DECIDE")


def double_tap(page: Page, selector: str) -> int:
    """How often the page began to wait for the second tap."""
    page.evaluate(STANDS_STILL)
    page.locator(selector).dblclick()
    waited: int = page.evaluate(GOES_ON)
    return waited


def is_held(page: Page) -> None:
    expect(page.locator(REJECT)).to_have_attribute("data-held", "")


def is_said(page: Page, task: ReviewTask) -> None:
    """The latest press was one on this unit."""
    expect(page.locator("#undo-says")).to_contain_text(task.unit.serial)


def standing() -> list[tuple[str, str]]:
    """What is decided: serial and disposition."""
    found = Decision.objects.filter(withdrawal__isnull=True).order_by("pk")
    return [(each.task.unit.serial, each.disposition.kind) for each in found if each.disposition]


def test_a_verdict_counts_once_every_view_of_the_unit_was_looked_at(
    at: Floor, enter: Enter
) -> None:
    task = at.left(views=("main", "side"))
    page = at.open(enter)
    in_state(page, "DECIDE")
    shows(page, task)
    page.locator("[data-act=accept]").tap()
    expect(page.locator("#note-text")).to_have_text(
        "Look at every view first. This is view 2 of 2."
    )
    expect(page.locator("#sight-next")).to_have_text("View 2 of 2")
    expect(page.locator("#undo-says")).to_have_text("")
    shows(page, task)
    page.locator("[data-act=accept]").tap()
    expect(page.locator("#undo-where")).to_have_text("At the server")
    assert standing() == [(task.unit.serial, "ACCEPT")]


def test_a_press_right_after_a_view_was_brought_up_is_none_on_it(at: Floor, enter: Enter) -> None:
    task = at.left(views=("main", "side"))
    page = at.open(enter)
    shows(page, task)
    # Two taps in one turn of the page, the second after the pause that is left between two taps.
    page.evaluate("""() => {
      const accept = document.querySelector("[data-act=accept]");
      const { now } = performance;
      accept.click();
      performance.now = () => now.call(performance) + 400;
      accept.click();
      performance.now = now;
    }""")
    expect(page.locator("#sight-next")).to_have_text("View 2 of 2")
    in_state(page, "DECIDE")
    expect(page.locator("#undo-says")).to_have_text("")
    assert standing() == []


def test_badge_and_pin_let_an_operator_in(enter: Enter) -> None:
    at = floor()
    at.give_pin(at.operator)
    page = at.open(enter)
    expect(page.locator("#room-badge")).to_be_visible()
    scan(page, "B-nobody")
    expect(page.locator("#badge-says")).to_contain_text("Nobody at this line has this badge")
    scan(page, "B-bo")
    expect(page.locator("#room-pin")).to_be_visible()
    page.keyboard.type("1111", delay=80)
    page.locator("[data-key=go]").tap()
    expect(page.locator("#pin-says")).not_to_be_empty()
    for digit in factories.PIN:
        page.locator(f"[data-key='{digit}']").tap()
    page.locator("[data-key=go]").tap()
    expect(page.locator("#who")).to_have_text("bo")
    expect(page.locator("#room-work")).to_be_visible()
    assert Attendance.objects.get(is_current=True).user == at.operator


def test_one_scan_changes_the_operator(at: Floor, enter: Enter) -> None:
    eva = at.person("eva")
    at.arrive(eva)
    page = at.open(enter)
    expect(page.locator("#who")).to_have_text("eva")
    scan(page, "B-bo")
    expect(page.locator("#who")).to_have_text("bo")
    assert Attendance.objects.get(is_current=True).user == at.operator


def test_who_comes_and_goes_counts_though_the_network_goes_right_after(
    at: Floor, enter: Enter
) -> None:
    eva = at.person("eva")
    at.arrive(eva)
    page, tasks = deciding(at, enter)
    expect(page.locator("#who")).to_have_text("eva")
    intercept(page, "**/api/v1/line/board*", lambda route: route.abort())
    scan(page, "B-bo")
    expect(page.locator("#who")).to_have_text("bo")
    page.locator("[data-act=accept]").tap()
    shows(page, tasks[1])
    wait_until(page, Decision.objects.exists)
    assert Decision.objects.get().decided_by == at.operator
    expect(page.locator("#unsent")).to_have_text("Unsent: 0")
    page.locator("#open-menu").tap()
    page.locator("#sign-out").tap()
    expect(page.locator("#room-badge")).to_be_visible()
    expect(page.locator("#who")).to_have_text("Nobody")
    page.reload()
    expect(page.locator("#room-badge")).to_be_visible()


def test_a_scan_presses_no_button_that_has_the_focus(at: Floor, enter: Enter) -> None:
    page, tasks = deciding(at, enter)
    page.locator("[data-act=accept]").focus()
    scan(page, "B-nobody")
    expect(page.locator("#note")).to_contain_text("neither a badge nor a unit")
    shows(page, tasks[0])
    assert standing() == []


def test_a_scanned_serial_comes_first(at: Floor, enter: Enter) -> None:
    page, tasks = deciding(at, enter, count=3)
    scan(page, tasks[2].unit.serial)
    shows(page, tasks[2])


def test_one_tap_accepts_and_a_double_tap_does_no_more(at: Floor, enter: Enter) -> None:
    page, tasks = deciding(at, enter, count=3)
    double_tap(page, "[data-act=accept]")
    shows(page, tasks[1])
    page.wait_for_timeout(300)
    shows(page, tasks[1])
    expect(page.locator("#undo-where")).to_have_text("At the server")
    assert standing() == [(tasks[0].unit.serial, "ACCEPT")]
    decision = Decision.objects.get()
    assert decision.decided_by == at.operator


def test_a_button_that_has_just_changed_takes_no_press(at: Floor, enter: Enter) -> None:
    page, tasks = deciding(at, enter, count=3)
    page.evaluate(PRESSED_EARLY)
    page.wait_for_function("() => window.isPressedEarly")
    shows(page, tasks[1])
    is_said(page, tasks[0])
    wait_until(page, lambda: standing() == [(tasks[0].unit.serial, "ACCEPT")])
    page.locator("[data-act=accept]").tap()
    shows(page, tasks[2])


@pytest.mark.usefixtures("unhurried")
def test_a_verdict_is_taken_back_at_the_server(at: Floor, enter: Enter) -> None:
    page, tasks = deciding(at, enter)
    page.locator("[data-act=accept]").tap()
    shows(page, tasks[1])
    expect(page.locator("#undo-where")).to_have_text("At the server")
    page.locator("#undo-press").tap()
    shows(page, tasks[0])
    wait_until(page, lambda: standing() == [])
    expect(page.locator("#undo-press")).to_be_hidden()
    page.locator("[data-act=accept]").tap()
    shows(page, tasks[1])
    wait_until(page, lambda: standing() == [(tasks[0].unit.serial, "ACCEPT")])


def test_scrap_is_held_to_the_end_or_not_at_all(
    at: Floor, enter: Enter, finger: Callable[..., None]
) -> None:
    page, tasks = deciding(at, enter)
    page.evaluate(NEVER_RIPE)
    finger(page, REJECT, until=lambda: is_held(page))
    expect(page.locator("#spoken")).to_contain_text("Let go too early")
    shows(page, tasks[0])

    def rests() -> None:
        page.evaluate(RIPENS)
        page.wait_for_timeout(1500)

    finger(page, REJECT, until=rests, slides=200)
    shows(page, tasks[0])
    assert standing() == []
    finger(page, REJECT, until=lambda: is_said(page, tasks[0]))
    shows(page, tasks[1])
    wait_until(page, lambda: standing() == [(tasks[0].unit.serial, "SCRAP")])


def test_scrap_is_held_by_key_too(at: Floor, enter: Enter) -> None:
    page, tasks = deciding(at, enter)
    page.locator(REJECT).focus()
    page.evaluate(NEVER_RIPE)
    page.keyboard.down("Enter")
    is_held(page)
    page.keyboard.up("Enter")
    expect(page.locator("#spoken")).to_contain_text("Let go too early")
    page.evaluate(RIPENS)
    shows(page, tasks[0])
    page.keyboard.down("Enter")
    is_said(page, tasks[0])
    page.keyboard.up("Enter")
    shows(page, tasks[1])
    wait_until(page, lambda: standing() == [(tasks[0].unit.serial, "SCRAP")])


def test_what_an_operator_leaves_goes_to_the_bench(at: Floor, enter: Enter) -> None:
    page, tasks = deciding(at, enter)
    page.locator("[data-act=bench]").tap()
    shows(page, tasks[1])
    wait_until(page, lambda: ReviewTask.objects.get(pk=tasks[0].pk).operators_until is None)
    expect(page.locator("#undo-says")).to_contain_text("goes to the bench")


def test_a_hold_is_put_away_by_somebody(at: Floor, enter: Enter) -> None:
    first, second = at.held(), at.held()
    page = at.open(enter)
    in_state(page, "HOLD")
    expect(page.locator("#instruction")).to_have_text(f"Put {first.unit.serial} on the red rack.")
    page.locator("[data-act=placed]").tap()
    expect(page.locator("#serial")).to_have_text(second.unit.serial)
    in_state(page, "HOLD")
    page.locator("[data-act=placed]").tap()
    in_state(page, "RUNNING")
    wait_until(page, lambda: HoldAcknowledgement.objects.count() == 2)
    assert {each.by for each in HoldAcknowledgement.objects.all()} == {at.operator}


def test_a_capture_check_has_steps_and_is_done_by_somebody(at: Floor, enter: Enter) -> None:
    at.unfit()
    page = at.open(enter)
    in_state(page, "CAPTURE_CHECK")
    expect(page.locator("#steps li").last).to_have_text("Take the picture again.")
    page.locator("[data-act=cleaned]").tap()
    expect(page.locator(".answer")).to_have_count(0)
    wait_until(page, lambda: CaptureCheck.objects.get().done_by == at.operator)
    expect(page.locator("#why")).to_contain_text("bo")


def test_help_is_one_press_and_shows_who_comes(at: Floor, enter: Enter) -> None:
    page = at.open(enter)
    expect(page.locator("#who")).to_have_text("bo")
    page.locator("#call-HELP").tap()
    wait_until(page, lambda: AndonCall.objects.count() == 1)
    call = AndonCall.objects.get()
    assert (call.kind, call.called_by) == ("HELP", at.operator)
    lead = factories.actor(Role.LEAD)
    calls.answer(actor=lead, call_id=call.uuid, at=timezone.now())
    expect(page.locator("#call-HELP-since")).to_have_text(f"{lead.name} comes")
    page.locator("#call-HELP").tap()
    page.locator("[data-solve=HELP]").tap()
    wait_until(page, lambda: AndonCall.objects.get().closed_at is not None)
    expect(page.locator("#call-HELP")).not_to_have_attribute("data-called", "")


def test_nobody_has_to_sign_in_to_stop(at: Floor, enter: Enter) -> None:
    attendances.leave(device=at.device, at=timezone.now())
    page = at.open(enter)
    expect(page.locator("#room-badge")).to_be_visible()
    page.locator("#call-STOP").tap()
    wait_until(page, lambda: AndonCall.objects.count() == 1)
    assert AndonCall.objects.get().called_by is None
    expect(page.locator("#state-word")).to_have_text("Stopped", ignore_case=True)


def test_stop_stops_at_once_even_without_network(at: Floor, enter: Enter) -> None:
    page = at.open(enter)
    expect(page.locator("#who")).to_have_text("bo")
    page.context.set_offline(True)
    expect(page.locator("#contact")).to_have_text("No network")
    page.locator("#call-STOP").tap()
    in_state(page, "STOPPED")
    expect(page.locator("#unsent")).to_have_text("Unsent: 1")
    page.context.set_offline(False)
    wait_until(page, lambda: AndonCall.objects.count() == 1)
    in_state(page, "STOPPED")
    expect(page.locator("#why")).to_contain_text("An inspector or a lead releases it")
    lead = factories.actor(Role.LEAD)
    calls.close(actor=lead, call_id=AndonCall.objects.get().uuid, at=timezone.now())
    in_state(page, "RUNNING")


def test_without_network_it_goes_on_and_nobody_signs_out(at: Floor, enter: Enter) -> None:
    page, tasks = deciding(at, enter, count=4)
    page.wait_for_function(
        "async () => (await (await caches.open('loupe-line-images')).keys()).length >= 4"
    )
    page.context.set_offline(True)
    expect(page.locator("#contact")).to_have_text("No network")
    for number, following in enumerate(tasks[1:], start=1):
        page.locator("[data-act=accept]").tap()
        shows(page, following)
        expect(page.locator("#unsent")).to_have_text(f"Unsent: {number}")
        assert page.locator("#sight-image").evaluate("(image) => image.decode().then(() => true)")
    expect(page.locator("#undo-where")).to_have_text("Saved on this tablet")
    page.locator("#open-menu").tap()
    page.locator("#sign-out").tap()
    expect(page.locator("#menu-says")).to_contain_text("Not signed out: 3 presses")
    scan(page, "B-eva")
    page.context.set_offline(False)
    wait_until(page, lambda: len(standing()) == 3)
    assert [serial for serial, _ in standing()] == [task.unit.serial for task in tasks[:3]]
    expect(page.locator("#unsent")).to_have_text("Unsent: 0")
    expect(page.locator("#contact")).to_have_text("Connected")
    if page.locator("#room-menu").is_hidden():
        page.locator("#open-menu").tap()
    page.locator("#sign-out").tap()
    expect(page.locator("#room-badge")).to_be_visible()
    assert not Attendance.objects.filter(is_current=True).exists()


def test_a_hold_is_felt_once(at: Floor, enter: Enter) -> None:
    page = at.open(enter)
    in_state(page, "RUNNING")
    page.evaluate(VIBRATES)
    at.held()
    in_state(page, "HOLD")
    assert page.evaluate("window.buzzed.length") == 1
    expect(page.locator("#note")).to_contain_text("Tap once anywhere")
    page.locator("#serial").tap()
    expect(page.locator("#note")).not_to_contain_text("Tap once anywhere")


def test_a_bank_card_tells_the_scale(at: Floor, enter: Enter) -> None:
    Device.objects.update(px_per_mm=None)
    at.left()
    page = at.open(enter)
    in_state(page, "DECIDE")
    page.locator("#serial").tap()
    page.locator("#note-act").tap()
    expect(page.locator("#card")).to_be_visible()
    before = page.locator("#card").bounding_box()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    page.locator("#card-larger").tap()
    after = page.locator("#card").bounding_box()
    assert before is not None
    assert after is not None
    assert after["width"] - before["width"] == pytest.approx(11, abs=0.5)
    page.locator("#card-save").tap()
    wait_until(page, lambda: Device.objects.get().px_per_mm is not None)
    scale = Device.objects.get().px_per_mm
    assert scale == pytest.approx(after["width"] / 85.6, abs=0.01)
    button = page.locator("[data-act=accept]").bounding_box()
    assert button is not None
    assert button["height"] >= 20 * (scale or 0)


def test_a_tap_hides_the_marks_and_a_double_tap_looks_closer(at: Floor, enter: Enter) -> None:
    page, _tasks = deciding(at, enter)
    expect(page.locator("#sight-marks rect.halo")).to_have_count(1)
    page.locator("#sight-press").tap()
    expect(page.locator("#sight")).to_have_attribute("data-marks", "hidden")
    assert double_tap(page, "#sight-press") == 1
    expect(page.locator("#sight")).to_have_attribute("data-zoom", "2")
    expect(page.locator("#sight")).to_have_attribute("data-marks", "hidden")


def test_a_page_nobody_sees_asks_nothing(at: Floor, enter: Enter) -> None:
    page = at.open(enter)
    in_state(page, "RUNNING")
    page.evaluate(HIDE, True)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(1500)
    assert [url for url in asked if "/board" in url] == []
    at.held()
    page.evaluate(HIDE, False)
    in_state(page, "HOLD")


def test_a_tablet_that_was_revoked_says_so(at: Floor, enter: Enter) -> None:
    page = at.open(enter)
    in_state(page, "RUNNING")
    Device.objects.update(token_sha256=None, revoked_at=timezone.now())
    expect(page.locator("#room-gone")).to_be_visible()
    expect(page.locator("#gone-title")).to_contain_text("no longer registered")


def test_a_picture_that_is_not_made_yet_comes_by_itself(at: Floor, enter: Enter) -> None:
    refused: list[str] = []
    page = enter(None, "/health/", **line_station.TABLET)

    def late(route: Route) -> None:
        if len(refused) < 2:
            refused.append(route.request.url)
            route.fulfill(status=503, headers={"Retry-After": "1"})
        else:
            route.continue_()

    page.context.route("**/images/*", late)
    at.held()
    page.context.add_cookies(
        [{"name": devices.COOKIE, "value": at.token, "url": page.url.split("/health")[0]}]
    )
    page.goto("/line/line-1:st-1/")
    in_state(page, "HOLD")
    expect(page.locator("#sight-image")).to_be_visible()
    assert len(refused) == 2
