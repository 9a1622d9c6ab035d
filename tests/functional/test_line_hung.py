"""What a tablet does where its disk, its clock, its server or its pictures fail it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, Route, expect

from governance import devices
from governance.models import Attendance
from review.models import AndonCall, Decision
from tests.functional.conftest import Enter
from tests.functional.intercepting import intercept
from tests.functional.line_station import Floor, floor, in_state, scan
from tests.functional.tablets import Tablet, arrived
from tests.functional.test_bench import wait_until
from tests.functional.test_line_offline import Units, tablet, units

__all__ = ["tablet", "units"]
CANNOT_KEEP = "This tablet cannot keep verdicts now."
# So often two seconds are let pass: three minutes.
STEPS = 90


@pytest.fixture
def at() -> Floor:
    """Station st-1, a measured tablet, and `bo` at it."""
    made = floor()
    made.measured(5.0)
    made.arrive()
    return made


@pytest.mark.parametrize("is_written", [False, True], ids=["before", "while writing"])
def test_a_disk_that_hangs_is_told_and_what_is_pressed_meanwhile_counts_at_most_once(
    tablet: Tablet, units: Units, is_written: bool
) -> None:
    [task, following] = units(2)
    tablet.context.add_init_script(HANGING_DISK)
    page = tablet.ready(2)
    page.evaluate("(isWritten) => window.disk.hang(isWritten)", is_written)
    tablet.accept(page)
    note = page.locator("#note-text")
    expect(note).to_contain_text(CANNOT_KEEP)
    expect(page.locator("#alarmed")).to_contain_text(CANNOT_KEEP)
    expect(page.locator("#undo-says")).to_have_text("")
    expect(page.locator("#serial")).to_have_text(task.unit.serial)
    tablet.accept(page)
    expect(page.locator("#undo-says")).to_have_text("")
    page.evaluate("window.disk.answer()")
    expect(page.locator("#undo-says")).to_contain_text(task.unit.serial)
    expect(page.locator("#serial")).to_have_text(following.unit.serial)
    expect(note).not_to_contain_text(CANNOT_KEEP)
    expect(page.locator("#unsent")).to_have_text("Unsent: 0")
    assert Decision.objects.count() == 1


def test_a_call_pressed_again_on_a_disk_that_hangs_is_one_call(tablet: Tablet) -> None:
    tablet.context.add_init_script(HANGING_DISK)
    page = tablet.page()
    expect(page.locator("#call-STOP")).to_be_enabled()
    page.evaluate("window.disk.hang(true)")
    page.locator("#call-STOP").tap()
    expect(page.locator("#note-text")).to_contain_text(CANNOT_KEEP)
    page.locator("#call-STOP").tap()
    page.evaluate("window.disk.answer()")
    wait_until(page, AndonCall.objects.exists)
    expect(page.locator("#unsent")).to_have_text("Unsent: 0")
    assert AndonCall.objects.count() == 1


def test_a_disk_that_does_not_open_is_told_and_the_page_comes_up_once_it_does(
    tablet: Tablet, units: Units
) -> None:
    [task] = units(1)
    page = tablet.page("/health/")
    page.add_init_script(CLOSED_DISK)
    page.goto(tablet.path)
    expect(page.locator("#note-text")).to_contain_text(CANNOT_KEEP)
    page.evaluate("sessionStorage.setItem('opens', 'yes')")
    expect(page.locator("#serial")).to_have_text(task.unit.serial, timeout=20_000)
    expect(page.locator("#note-text")).not_to_contain_text(CANNOT_KEEP)


def test_a_clock_set_hours_ahead_signs_nobody_out_also_when_the_page_is_opened_anew(
    tablet: Tablet, units: Units
) -> None:
    units(3)
    Attendance.objects.update(until=timezone.now() + timedelta(hours=2))
    tablet.context.add_init_script(CLOCK)
    page = tablet.ready(3)
    tablet.offline()
    expect(page.locator("#contact")).to_have_text("No network")
    page.evaluate("localStorage.setItem('ahead', String(5 * 3600 * 1000))")
    keys = tablet.pressed(page, 1)
    page.wait_for_timeout(600)
    expect(page.locator("#who")).to_have_text(tablet.operator.username)
    keys = tablet.pressed(page, 1)
    page.reload()
    expect(page.locator("#unsent")).to_have_text("Unsent: 2")
    expect(page.locator("#who")).to_have_text(tablet.operator.username)
    expect(page.locator("#room-badge")).to_be_hidden()
    tablet.online()
    expect(page.locator("#unsent")).to_have_text("Unsent: 0")
    assert arrived(*keys) == keys
    assert len(keys) == 2
    assert {each.decided_by for each in Decision.objects.all()} == {tablet.operator}


def test_a_page_whose_script_did_not_come_comes_up_by_itself(at: Floor, enter: Enter) -> None:
    at.passed()
    page = enter(None, "/health/")
    page.clock.install()
    away = {"is": True}

    def answer(route: Route) -> None:
        if away["is"]:
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/built/line/station*.js", answer)
    opened(page, at)
    expect(page.locator("#instruction")).to_contain_text("comes up by itself")
    page.clock.run_for(20_000)
    expect(page.locator("#who")).to_have_text("Nobody")
    away["is"] = False
    page.clock.run_for(20_000)
    expect(page.locator("#who")).to_have_text("bo")
    in_state(page, "RUNNING")


def test_a_server_that_is_away_for_a_minute_at_the_start_needs_no_hand(
    at: Floor, enter: Enter
) -> None:
    at.passed()
    page = enter(None, "/health/")
    page.clock.install()
    page.route("**/api/v1/line/**", lambda route: route.abort("connectionreset"))
    opened(page, at)
    expect(page.locator("#contact")).to_have_text("No network")
    page.clock.run_for(60_000)
    expect(page.locator("#note-text")).to_contain_text("comes up by itself")
    page.unroute("**/api/v1/line/**")
    page.clock.run_for(15_000)
    expect(page.locator("#who")).to_have_text("bo")
    in_state(page, "RUNNING")
    expect(page.locator("#note-text")).not_to_contain_text("comes up by itself")


def opened(page: Page, at: Floor) -> None:
    """The station's page on its tablet."""
    address = page.url.split("/health")[0]
    page.context.add_cookies([{"name": devices.COOKIE, "value": at.token, "url": address}])
    page.goto("/line/line-1:st-1/")


@pytest.fixture
def pictures(at: Floor, enter: Enter) -> tuple[Page, list[str], dict[str, bool]]:
    """A tablet whose pictures do not come; the asked addresses, and how to let them come."""
    task = at.left()
    asked: list[str] = []
    away = {"is": True}
    page = enter(None, "/health/")
    page.clock.install()

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        if away["is"]:
            route.fulfill(status=503)
        else:
            route.continue_()

    page.context.route("**/images/**", answer)
    opened(page, at)
    expect(page.locator("#serial")).to_have_text(task.unit.serial)
    expect(page.locator("#line")).to_have_attribute("data-state", "DECIDE")
    return page, asked, away


def shown_later(page: Page) -> bool:
    page.clock.run_for(2_000)
    return page.locator("#sight-image").is_visible()


def test_a_picture_that_failed_for_minutes_is_still_asked_for(
    pictures: tuple[Page, list[str], dict[str, bool]],
) -> None:
    page, asked, away = pictures
    for _step in range(STEPS):
        page.clock.run_for(2_000)
    expect(page.locator("#sight-none")).to_contain_text("The image does not come.")
    before = len(asked)
    away["is"] = False
    # One that is on its way may yet fail, and rests for half a minute then.
    wait_until(page, lambda: shown_later(page))
    assert len(asked) > before
    expect(page.locator("#sight-none")).to_have_text("")


def test_a_picture_that_failed_is_asked_for_at_once_when_it_is_pressed(
    pictures: tuple[Page, list[str], dict[str, bool]],
) -> None:
    page, _asked, away = pictures
    for _step in range(20):
        page.clock.run_for(2_000)
    expect(page.locator("#sight-none")).to_contain_text("Press here")
    away["is"] = False
    page.locator("#sight-press").click()
    expect(page.locator("#sight-image")).to_be_visible()


def test_a_picture_that_failed_is_asked_for_at_once_when_the_network_is_back(
    pictures: tuple[Page, list[str], dict[str, bool]],
) -> None:
    page, _asked, away = pictures
    for _step in range(20):
        page.clock.run_for(2_000)
    away["is"] = False
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator("#sight-image")).to_be_visible()


def test_a_badge_scanned_while_another_is_checked_is_used_after_it(at: Floor, enter: Enter) -> None:
    eva, max_ = at.person("eva"), at.person("max")
    at.arrive(eva)
    at.arrive(max_)
    page = at.open(enter)
    expect(page.locator("#who")).to_have_text("max")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    intercept(page, "**/api/v1/line/sign-in", hold)
    scan(page, "B-bo")
    wait_until(page, lambda: len(held) == 1)
    scan(page, "B-eva")
    expect(page.locator("#note-text")).to_have_text(
        "B-eva is next: another badge is being checked."
    )
    held[0].continue_()
    wait_until(page, lambda: len(held) == 2)
    held[1].continue_()
    expect(page.locator("#who")).to_have_text("eva")
    assert Attendance.objects.get(is_current=True).user == eva


def test_what_is_kept_and_sent_and_what_has_failed_is_heard(tablet: Tablet, units: Units) -> None:
    units(2)
    page = tablet.ready(2)
    heard = """(id) => {
      const region = document.getElementById(id).closest("[role=status], [role=alert]");
      return region ? [region.getAttribute("role"), region.checkVisibility()] : null; }"""
    for name in ("undo-says", "undo-where", "contact"):
        assert page.evaluate(heard, name) == ["status", True], name
    assert page.evaluate(heard, "alarmed") == ["alert", True]
    assert page.evaluate(heard, "undo-left") is None
    tablet.offline()
    expect(page.locator("#contact")).to_have_text("No network")
    tablet.accept(page)
    expect(page.locator("[role=status] #undo-where")).to_have_text("Saved on this tablet")
    said = page.locator("#undo-says").text_content()
    page.evaluate(
        "() => { IDBDatabase.prototype.transaction = () => { throw new Error('broken'); }; }"
    )
    tablet.accept(page)
    expect(page.locator("#alarmed")).to_contain_text("Not saved.")
    assert page.locator("#undo-says").text_content() == said


# A disk that takes presses and does not answer: before they are written, or after they cannot be
# taken back.
HANGING_DISK = """(() => {
  const disk = { isHung: false, isWritten: false };
  window.disk = disk;
  disk.hang = (isWritten) => Object.assign(disk, { isHung: true, isWritten });
  disk.answer = () => { disk.isHung = false; };
  const { transaction } = IDBDatabase.prototype;
  IDBDatabase.prototype.transaction = function (stores, mode, options) {
    const made = transaction.call(this, stores, mode, options);
    if (!disk.isHung || mode !== "readwrite" || ![stores].flat().includes("rows")) return made;
    if (disk.isWritten) {
      made.abort = () => { throw new DOMException("it is being written", "InvalidStateError"); };
    }
    // Kept alive by one question after the other.
    const hold = () => {
      if (disk.isHung) made.objectStore("rows").count().onsuccess = hold;
    };
    hold();
    return made;
  };
})()"""
CLOSED_DISK = """(() => {
  if (sessionStorage.getItem("opens")) return;
  const { open } = IDBFactory.prototype;
  IDBFactory.prototype.open = function (...asked) {
    return sessionStorage.getItem("opens") ? open.call(this, ...asked) : {};
  };
})()"""
CLOCK = """(() => {
  const Real = Date;
  const ahead = () => Number(localStorage.getItem("ahead")) || 0;
  globalThis.Date = class extends Real {
    constructor(...given) {
      if (given.length) super(...given); else super(Real.now() + ahead());
    }
    static now() { return Real.now() + ahead(); }
  };
})()"""
