"""What is pressed at a tablet arrives once and in its order, whatever network and browser do."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Error, Page, Route, expect
from pytest_django.live_server_helper import LiveServer

from governance import attendances, pins
from governance.models import AuditEntry, Device, User
from governance.roles import Role
from review.line import shell
from review.models import Answer, Decision, ReviewTask, SecondOpinion
from tests import factories
from tests.functional.conftest import Part, _wait_until_quiet
from tests.functional.intercepting import intercept
from tests.functional.tablets import Tablet, arrived, for_operators, on_disk
from tests.functional.test_bench import wait_until
from tests.functional.test_flow import decide_as
from traceability.models import DispositionKind

OUTBOX = "**/api/v1/line/outbox"


@pytest.fixture
def tablet(browser: Browser, live_server: LiveServer) -> Iterator[Tablet]:
    """A tablet at st-1 with its operator."""
    made = Tablet(browser, live_server.url)
    yield made
    made.context.set_offline(True)
    made.context.close()
    _wait_until_quiet()


Units = Callable[[int], list[ReviewTask]]


@pytest.fixture
def units(part: Part) -> Units:
    """Makes units that operators of st-1 may judge."""

    def make(count: int) -> list[ReviewTask]:
        made = [part() for _ in range(count)]
        for_operators(made)
        return made

    return make


def test_what_is_pressed_without_network_arrives_once_and_in_its_order(
    tablet: Tablet, units: Units
) -> None:
    tasks = units(6)
    page = tablet.page()
    page.add_init_script(WATCH)
    page.reload()
    tablet.is_ready(page, 6)
    tablet.offline()
    for pressed in range(1, 6):
        serial = page.locator("#serial").text_content() or ""
        tablet.accept(page)
        expect(page.locator("#undo-says")).to_contain_text(serial)
        expect(page.locator("#undo-where")).to_have_text("Saved on this tablet")
        expect(page.locator("#unsent")).to_have_text(f"Unsent: {pressed}")
    rows = on_disk(page)
    assert [row["body"]["task"] for row in rows] == [str(task.uuid) for task in tasks[:5]]
    assert not Decision.objects.exists()
    tablet.online()
    expect(page.locator("#unsent")).to_have_text("Unsent: 0")
    assert arrived(*(row["key"] for row in rows)) == [row["key"] for row in rows]
    assert Decision.objects.count() == 5
    assert on_disk(page) == []
    said = page.evaluate("window.watched")
    assert len(said["kept"]) >= 5
    assert said["early"] == []
    wait_until(page, lambda: Device.objects.get(pk=tablet.device.pk).unsent == 0)


@pytest.mark.usefixtures("unhurried")
def test_what_is_taken_back_without_network_is_taken_back_when_it_arrives(
    tablet: Tablet, units: Units
) -> None:
    [task, _next] = units(2)
    page = tablet.ready(2)
    tablet.offline()
    tablet.pressed(page, 1)
    expect(page.locator("[data-turned]")).to_have_count(0)
    page.locator("#undo-press").tap()
    expect(page.locator("#serial")).to_have_text(task.unit.serial)
    keys = tablet.pressed(page, 1)
    assert [row["kind"] for row in on_disk(page)] == ["decision", "undo", "decision"]
    tablet.online()
    expect(page.locator("#unsent")).to_have_text("Unsent: 0")
    standing = Decision.objects.get(withdrawal__isnull=True)
    assert (standing.idempotency_key, standing.task) == (keys[2], task)
    assert Decision.objects.count() == 2
    assert not SecondOpinion.objects.exists()


def test_presses_of_somebody_who_is_signed_out_meanwhile_arrive_under_his_name(
    tablet: Tablet, units: Units
) -> None:
    units(4)
    page = tablet.ready(4)
    tablet.offline()
    keys = tablet.pressed(page, 2)
    attendances.leave(device=tablet.device, at=timezone.now())
    anna = factories.user(Role.OPERATOR, name="anna")
    lead = factories.actor(Role.LEAD)
    pins.set_pin(actor=lead, person="anna", pin=factories.PIN, at=timezone.now())
    tablet.online()
    expect(page.locator("#room-badge")).to_be_visible()
    sign_in(page, anna)
    expect(page.locator("#unsent")).to_have_text("Unsent: 0")
    assert arrived(*keys) == keys
    assert {d.decided_by for d in Decision.objects.all()} == {tablet.operator}
    tablet.accept(page)
    wait_until(page, lambda: Decision.objects.filter(decided_by=anna).count() == 1)


def test_a_tab_that_crashes_takes_nothing_with_it(tablet: Tablet, units: Units) -> None:
    units(5)
    page = tablet.ready(5)
    tablet.offline()
    keys = tablet.pressed(page, 3)
    crash(page)
    again = tablet.page()
    expect(again.locator("#unsent")).to_have_text("Unsent: 3")
    keys = tablet.pressed(again, 1)
    assert len(keys) == 4
    tablet.online()
    expect(again.locator("#unsent")).to_have_text("Unsent: 0")
    assert arrived(*keys) == keys


def test_a_reload_while_a_press_is_on_its_way_neither_loses_nor_doubles_it(
    tablet: Tablet, units: Units
) -> None:
    units(2)
    page = tablet.ready(2)
    intercept(page, OUTBOX, lambda route: route.fetch() and None)
    tablet.accept(page)
    wait_until(page, Decision.objects.exists)
    keys = [row["key"] for row in on_disk(page)]
    page.unroute(OUTBOX)
    page.reload()
    expect(page.locator("#unsent")).to_have_text("Unsent: 0")
    assert arrived(*keys) == keys
    assert len(keys) == Decision.objects.count() == 1


def test_two_tabs_decide_no_unit_twice_and_send_in_the_order_of_the_presses(
    tablet: Tablet, units: Units
) -> None:
    units(6)
    one = tablet.ready(6)
    two = tablet.page()
    serial = one.locator("#serial").text_content() or ""
    expect(two.locator("#serial")).to_have_text(serial)
    expect(two.locator("[data-act=accept]:not([data-turned])")).to_be_visible()
    tablet.offline()
    both = "document.querySelector('[data-act=accept]').click()"
    one.evaluate(both)
    two.evaluate(both)
    wait_until(one, lambda: len(on_disk(one)) == 1)
    expect(two.locator("#serial")).not_to_have_text(serial)
    for page in (two, one, two):
        expect(page.locator("#unsent")).to_have_text(f"Unsent: {len(on_disk(page))}")
        keys = tablet.pressed(page, 1)
    tablet.online()
    expect(two.locator("#unsent")).to_have_text("Unsent: 0")
    assert len(keys) == 4
    assert arrived(*keys) == keys
    assert Decision.objects.values("task").distinct().count() == 4


def test_a_clock_three_hours_ahead_changes_nothing_and_is_told(
    tablet: Tablet, units: Units
) -> None:
    units(3)
    tablet.context.add_init_script(THREE_HOURS_AHEAD)
    page = tablet.ready(3)
    tablet.offline()
    keys = tablet.pressed(page, 2)
    tablet.online()
    expect(page.locator("#unsent")).to_have_text("Unsent: 0")
    assert arrived(*keys) == keys
    expect(page.locator("#note-text")).to_have_text(
        "This tablet's clock is off by 3 h. Have it set."
    )
    entry = AuditEntry.objects.filter(action="task.decide").latest("pk")
    assert entry.detail["pressed"]["skew_s"] == pytest.approx(-3 * 3600, abs=5)
    assert entry.detail["pressed"]["age_s"] < 60


def test_a_press_the_full_disk_refuses_is_never_called_saved(tablet: Tablet, units: Units) -> None:
    [task] = units(1)
    first = tablet.page("/health/")
    # The override lasts as long as its session.
    session = tablet.context.new_cdp_session(first)
    session.send(
        "Storage.overrideQuotaForOrigin", {"origin": tablet.address, "quotaSize": SMALL_DISK}
    )
    page = tablet.ready(1)
    intercept(page, OUTBOX, lambda route: route.abort())
    page.evaluate(FILL_DISK)
    tablet.accept(page)
    expect(page.locator("#note-text")).to_contain_text("Not saved.")
    expect(page.locator("#undo-says")).to_have_text("")
    expect(page.locator("#serial")).to_have_text(task.unit.serial)
    assert on_disk(page) == []
    large = {"origin": tablet.address, "quotaSize": 100 * SMALL_DISK}
    session.send("Storage.overrideQuotaForOrigin", large)
    # The browser goes on refusing for a moment; what the operator would do is press again.
    page.wait_for_function(DISK_TAKES)
    # As the page asks for: the browser may refuse once more, however much room there is.
    for _press in range(5):
        tablet.accept(page)
        if page.evaluate(SAVED_SOON):
            break
    expect(page.locator("#undo-says")).to_contain_text(task.unit.serial)
    keys = [row["key"] for row in on_disk(page)]
    page.unroute(OUTBOX)
    again(page)
    expect(page.locator("#unsent")).to_have_text("Unsent: 0")
    assert arrived(*keys) == keys
    assert len(keys) == 1


def test_without_its_service_worker_the_page_keeps_and_opens_all_the_same(
    tablet: Tablet, units: Units
) -> None:
    units(3)
    page = tablet.ready(3)
    tablet.offline()
    tablet.pressed(page, 1)
    stop_workers(tablet, page)
    keys = tablet.pressed(page, 1)
    page.reload()
    expect(page.locator("#unsent")).to_have_text("Unsent: 2")
    stop_workers(tablet, page)
    tablet.online()
    expect(page.locator("#unsent")).to_have_text("Unsent: 0")
    assert arrived(*keys) == keys


def test_the_worker_sends_when_the_page_is_gone(tablet: Tablet, units: Units) -> None:
    units(3)
    page = tablet.ready(3)
    intercept(page, OUTBOX, lambda route: route.abort())
    keys = tablet.pressed(page, 3)
    other = tablet.page("/health/")
    page.close()
    assert on_disk(other) != []
    background_sync(tablet, other)
    wait_until(other, lambda: on_disk(other) == [])
    assert arrived(*keys) == keys


def test_a_new_version_waits_until_nothing_is_unsent_and_loses_nothing(
    tablet: Tablet, units: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    units(4)
    page = tablet.ready(4)
    intercept(page, OUTBOX, lambda route: route.fulfill(status=503))
    keys = tablet.pressed(page, 2)
    monkeypatch.setattr(shell, "app_version", lambda: "another")
    assert page.evaluate(UPDATED) == "waiting"
    expect(page.locator("#note-text")).to_have_text("A new version is ready.")
    page.locator("#note-act").tap()
    page.wait_for_timeout(300)
    assert page.evaluate(UPDATED) == "waiting"
    # A newer page changes the database beside the one that is open.
    other = tablet.blank()
    other.evaluate(NEWER_DATABASE)
    assert [row["key"] for row in on_disk(page)] == keys
    keys = tablet.pressed(page, 1)
    page.unroute(OUTBOX)
    again(page)
    expect(page.locator("#unsent")).to_have_text("Unsent: 0")
    with page.expect_navigation():
        page.locator("#note-act").tap()
    assert arrived(*keys) == keys
    names = page.evaluate("caches.keys()")
    assert [name for name in names if "shell" in name] == ["loupe-line-shell-another"]
    tablet.offline()
    page.reload()
    expect(page.locator("#who")).to_have_text(tablet.operator.username)


def test_no_refusal_and_no_failure_of_the_server_loses_or_doubles_a_press(
    tablet: Tablet, units: Units
) -> None:
    units(2)
    page = tablet.ready(2)
    faults = list(FAULTS)
    seen: list[str] = []

    def fail(route: Route) -> None:
        if "key" not in (route.request.post_data or ""):
            route.continue_()
        elif faults:
            fault = faults.pop(0)
            seen.append(fault)
            FAULTS[fault](route)
        else:
            route.continue_()

    intercept(page, OUTBOX, fail)
    keys = tablet.pressed(page, 1)
    while faults:
        so_far = len(seen)
        again(page)
        wait_until(page, lambda: len(seen) > so_far)  # noqa: B023  # waited for within the turn
        assert len(on_disk(page)) == 1
    again(page)
    expect(page.locator("#unsent")).to_have_text("Unsent: 0")
    assert seen == list(FAULTS)
    assert arrived(*keys) == keys
    assert len(keys) == Decision.objects.count() == 1


def test_a_verdict_that_came_too_late_is_shown_to_its_operator_and_to_a_lead(
    tablet: Tablet, units: Units
) -> None:
    [task, _next] = units(2)
    page = tablet.ready(2)
    tablet.offline()
    keys = tablet.pressed(page, 1)
    past = timezone.now() - timedelta(seconds=1)
    tasks = ReviewTask.objects.filter(pk=task.pk)
    tasks.update(lease_expires_at=past, operators_until=past)
    said = {"answer": Answer.CONFIRMED, "disposition": DispositionKind.REWORK}
    decide_as(factories.user(Role.INSPECTOR, name="ines"), task, defect_class="scratch", **said)
    tablet.online()
    note = page.locator("#note-text")
    expect(note).to_contain_text(f"ines decided {task.unit.serial} before")
    expect(page.locator("#unsent")).to_have_text("Unsent: 0")
    opinion = SecondOpinion.objects.get()
    assert (str(opinion.key), opinion.by, opinion.task) == (keys[0], tablet.operator, task)
    assert Decision.objects.count() == 1
    page.reload()
    expect(note).to_contain_text("ines decided")
    page.locator("#note-act").tap()
    expect(note).not_to_contain_text("ines decided")
    assert on_disk(page, "conflicts") == []


def test_what_the_page_is_made_of_is_what_its_worker_keeps(tablet: Tablet) -> None:
    page = tablet.page()
    asked = page.evaluate(
        "performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname)"
        ".filter((path) => path.startsWith('/static/'))"
    )
    assert set(asked) <= set(shell.assets())


def test_the_app_can_be_installed(tablet: Tablet) -> None:
    page = tablet.page()
    manifest = page.locator("link[rel=manifest]").get_attribute("href") or ""
    answer = page.request.get(manifest)
    assert answer.headers["content-type"] == "application/manifest+json"
    told = tablet.devtools(page, "Page.getInstallabilityErrors")["installabilityErrors"]
    assert [fault["errorId"] for fault in told if fault["errorId"] != "in-incognito"] == []


def again(page: Page) -> None:
    """Let the page try at once instead of after its pause."""
    page.evaluate("dispatchEvent(new Event('online'))")


def crash(page: Page) -> None:
    """End the process that renders the page."""
    with page.expect_event("crash"), contextlib.suppress(Error):
        page.goto("chrome://crash")
    page.close()


def stop_workers(tablet: Tablet, page: Page) -> None:
    """End the service worker's process."""
    session = tablet.context.new_cdp_session(page)
    session.send("ServiceWorker.enable")
    session.send("ServiceWorker.stopAllWorkers")
    session.detach()


def background_sync(tablet: Tablet, page: Page) -> None:
    """What the browser does once there is network and the page is gone."""
    session = tablet.context.new_cdp_session(page)
    found: list[str] = []

    def told(event: dict[str, Any]) -> None:
        found.extend(each["registrationId"] for each in event["registrations"])

    session.on("ServiceWorker.workerRegistrationUpdated", told)
    session.send("ServiceWorker.enable")
    wait_until(page, lambda: bool(found))
    session.send(
        "ServiceWorker.dispatchSyncEvent",
        {
            "origin": tablet.address,
            "registrationId": found[0],
            "tag": "loupe-line-outbox",
            "lastChance": False,
        },
    )


def sign_in(page: Page, person: User) -> None:
    """Badge and PIN by hand."""
    page.locator("#badge-field").fill(person.badge)
    page.locator("#badge-field").press("Enter")
    expect(page.locator("#room-pin")).to_be_visible()
    for digit in factories.PIN:
        page.locator(f"#pad [data-key='{digit}']").tap()
    page.locator("#pad [data-key=go]").tap()
    expect(page.locator("#room-pin")).to_be_hidden()


def cut(route: Route) -> None:
    """The server has it, and the answer is lost."""
    route.fetch()
    route.abort("connectionreset")


FAULTS: dict[str, Callable[[Route], Any]] = {
    "500": lambda route: route.fulfill(status=500),
    "401": lambda route: route.fulfill(status=401, json={"code": "not_authenticated"}),
    "403": lambda route: route.fulfill(status=403, json={"code": "badge_needed"}),
    "409": lambda route: route.fulfill(status=409, json={"code": "conflict"}),
    "503": lambda route: route.fulfill(status=503),
    "login page": lambda route: route.fulfill(status=200, body="<html>Log in</html>"),
    "names no press": lambda route: route.fulfill(status=200, json={"answers": []}),
    "cut": lambda route: route.abort("connectionreset"),
    "cut after it was recorded": cut,
}
SMALL_DISK = 3_000_000
# Pictures would give way to a press: there are none.
FILL_DISK = """async () => {
  await caches.delete("loupe-line-images");
  const disk = await new Promise((done) => {
    const asked = indexedDB.open("loupe-line");
    asked.onsuccess = () => done(asked.result);
  });
  const write = (name, value) => new Promise((done) => {
    const tx = disk.transaction("facts", "readwrite");
    tx.objectStore("facts").put({ name, value });
    tx.oncomplete = () => done(true);
    tx.onabort = () => done(false);
  });
  let n = 0;
  for (const size of [60_000, 6000, 600, 60]) {
    // What could be compressed would need more of it.
    while (await write(`fill ${n}`, crypto.getRandomValues(new Uint8Array(size)))) n += 1;
  }
  disk.close();
}"""
# The page says within four seconds what became of a press.
SAVED_SOON = """async () => {
  for (let turn = 0; turn < 100; turn += 1) {
    if (document.getElementById("undo-says").textContent !== "") return true;
    await new Promise((done) => setTimeout(done, 50));
  }
  return false;
}"""
DISK_TAKES = """() => new Promise((done) => {
  const asked = indexedDB.open("loupe-line");
  asked.onsuccess = () => {
    const tx = asked.result.transaction("facts", "readwrite");
    const value = crypto.getRandomValues(new Uint8Array(60_000));
    tx.objectStore("facts").put({ name: "room", value });
    const end = (took) => { asked.result.close(); done(took); };
    tx.oncomplete = () => end(true);
    tx.onabort = () => end(false);
  };
})"""
UPDATED = """async () => {
  const registration = await navigator.serviceWorker.getRegistration("/line/");
  await registration.update();
  const made = registration.installing;
  if (made) await new Promise((done) => made.addEventListener("statechange", done));
  return registration.waiting ? "waiting" : "none";
}"""
NEWER_DATABASE = """() => new Promise((done, fail) => {
  const asked = indexedDB.open("loupe-line", 2);
  asked.onupgradeneeded = () => asked.result.createObjectStore("later", { keyPath: "id" });
  asked.onsuccess = () => { asked.result.close(); done(); };
  asked.onerror = () => fail(asked.error);
})"""
THREE_HOURS_AHEAD = """(() => {
  const ahead = 3 * 3600 * 1000;
  const Real = Date;
  globalThis.Date = class extends Real {
    constructor(...given) {
      if (given.length) super(...given); else super(Real.now() + ahead);
    }
    static now() { return Real.now() + ahead; }
  };
})()"""
# Whatever the page calls saved while a press is on its way to the disk is noted as early.
WATCH = """(() => {
  const watched = { kept: [], early: [], open: 0 };
  window.watched = watched;
  const { transaction } = IDBDatabase.prototype;
  IDBDatabase.prototype.transaction = function (stores, mode, options) {
    const made = transaction.call(this, stores, mode, options);
    if (mode === "readwrite" && [stores].flat().includes("rows")) {
      if (options?.durability !== "strict") watched.early.push("not strict");
      watched.open += 1;
      // A slow disk: the screen has time to say too much.
      const until = performance.now() + 400;
      const hold = () => {
        if (performance.now() < until) made.objectStore("rows").count().onsuccess = hold;
      };
      hold();
      const ended = () => { watched.open -= 1; };
      made.addEventListener("complete", () => { watched.kept.push(performance.now()); ended(); });
      made.addEventListener("abort", ended);
    }
    return made;
  };
  addEventListener("DOMContentLoaded", () => {
    const where = document.getElementById("undo-says");
    let before = "";
    new MutationObserver(() => {
      const isNew = where.textContent && where.textContent !== before;
      before = where.textContent;
      if (isNew && watched.open > 0) watched.early.push(where.textContent);
    }).observe(where, { childList: true, characterData: true, subtree: true });
  });
})()"""
