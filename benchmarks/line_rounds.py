"""Rounds of presses at a tablet, each under another fault."""

from __future__ import annotations

import contextlib
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import psutil
from django.conf import settings
from django.utils import timezone
from playwright.sync_api import Browser, Error, Page, Route

from benchmarks.line_book import WATCH, Book
from governance import attendances
from governance.access import actor_of
from governance.models import User
from governance.roles import Role
from review import decisions, queue
from review.line import shell
from review.models import Answer, ReviewTask
from review.queue import Lease
from review.verdicts import Verdict
from tests import factories
from tests.functional.tablets import Tablet, asked, on_disk
from tests.functional.test_line_offline import (
    FAULTS,
    FILL_DISK,
    OUTBOX,
    SMALL_DISK,
    UPDATED,
    again,
    crash,
    stop_workers,
)
from traceability.models import DispositionKind

PACE_MS: Final = 3000
SETTLED_WITHIN_S: Final = 60.0
SHOWN_WITHIN_S: Final = 2.0
AHEAD: Final = 240
# The browser reckons for half a minute with the room it found: with all of the machine's, filling
# the disk would take more than a gigabyte.
ROOM: Final = 100_000_000
# What the page says of a press that the disk did not take, or not in time.
NOT_KEPT: Final = re.compile(r"Not saved\.|cannot keep verdicts now")
# There is such a button, and the picture of the unit it is about is on the screen.
CAN_BE_JUDGED: Final = """(button) => {
  const image = document.querySelector("#sight-image");
  const isSeen = image && image.complete && image.naturalWidth > 0 && !image.hidden;
  return Boolean(isSeen && document.querySelector(button));
}"""
# The next unit has buttons of its own: until it has come those that were tapped are to be seen.
TAPPED: Final = """() => {
  document.querySelectorAll("[data-act]").forEach((each) => { each.dataset.tapped = ""; });
}"""
# Units on the shelf that are not decided and whose pictures are on the tablet.
AT_HAND: Final = """async () => {
  const images = await (await caches.open("loupe-line-images")).keys();
  const kept = new Set(images.map(({ url }) => url.split("/").pop()));
  const opened = await new Promise((done) => {
    const asked = indexedDB.open("loupe-line");
    asked.onsuccess = () => done(asked.result);
  });
  const found = await new Promise((done) => {
    const asked = opened.transaction("tasks").objectStore("tasks").getAll();
    asked.onsuccess = () => done(asked.result);
  });
  opened.close();
  const whole = ({ task, decided }) => !decided && task.views.every((v) => kept.has(v.capture));
  return found.filter(whole).length;
}"""


class Line:
    """The tablet under test: its page of the moment, its book, and the server it talks to."""

    def __init__(
        self, browser: Browser, address: str, web: psutil.Process, chance: random.Random
    ) -> None:
        self.tablet = Tablet(browser, address)
        self.tablet.device.ahead = AHEAD
        self.tablet.device.save(update_fields=["ahead"])
        self.web, self.chance, self.book = web, chance, Book()
        self.people: list[User] = [self.tablet.operator]
        context = self.tablet.context
        context.expose_binding("told", self.book.told)
        context.add_init_script(WATCH)
        context.clock.install()
        self.anchor = self.tablet.page("/health/")
        self.browser = context.new_cdp_session(self.anchor)
        self.room(ROOM)
        self.page = self.tablet.page()
        # A version that comes before the first one is at work need not wait for anything.
        self.page.wait_for_function("() => navigator.serviceWorker.controller !== null")
        self.drains: dict[str, float] = {}

    def press(self, count: int, *, on: Page | None = None, pace_ms: int = PACE_MS) -> None:
        """So many verdicts, each after the screen called the one before saved."""
        for _press in range(count):
            page = on or self.page
            page.bring_to_front()
            self._press(page, "reject" if self.chance.random() < 0.2 else "accept", pace_ms)

    def _press(self, page: Page, act: str, pace_ms: int) -> None:
        shown, ends = len(self.book.shown), time.monotonic() + SETTLED_WITHIN_S
        is_again = False
        while len(self.book.shown) == shown:
            if time.monotonic() > ends:
                raise RuntimeError("a press is not called saved")
            self.tap(page, act, is_again=is_again, pace_ms=pace_ms)
            self.wait(lambda: len(self.book.shown) > shown, SHOWN_WITHIN_S)
            is_again = True

    def tap(self, page: Page, act: str, *, is_again: bool, pace_ms: int = PACE_MS) -> None:
        """One tap after a pause, once there is something to be seen; `is_again`: on what was tapped
        before, and did not count."""
        button = f"[data-act={act}]"
        sought = button if is_again else f"{button}:not([data-tapped])"
        # By the page's clock a picture that is still to come would be a whole pause late, and what
        # is pressed right after a late one does not count.
        self.wait(lambda: asked(page, CAN_BE_JUDGED, sought), SHOWN_WITHIN_S)
        self.tablet.context.clock.fast_forward(pace_ms)
        asked(page, TAPPED)
        with contextlib.suppress(Error):
            page.locator(f"{button}:not([data-turned])").tap(timeout=1000)

    def at_hand(self, count: int) -> None:
        """Wait until so many units lie ready for a time without network."""
        ends = time.monotonic() + SETTLED_WITHIN_S
        while asked(self.page, AT_HAND) < count:
            if time.monotonic() > ends:
                raise RuntimeError(f"there are no {count} units on the shelf")
            self.tablet.context.clock.fast_forward(PACE_MS)
            self.page.wait_for_timeout(200)

    def room(self, size: int) -> None:
        """So many bytes the page may keep from now on."""
        given = {"origin": self.tablet.address, "quotaSize": size}
        self.browser.send("Storage.overrideQuotaForOrigin", given)

    def settle(self) -> None:
        """The fault is over: wait until nothing is unsent."""
        self.page.unroute_all(behavior="ignoreErrors")
        self.tablet.online()
        ends = time.monotonic() + SETTLED_WITHIN_S
        while on_disk(self.page):
            if time.monotonic() > ends:
                raise RuntimeError("some presses stay on the tablet")
            again(self.page)
            self.page.wait_for_timeout(100)
        for conflict in on_disk(self.page, "conflicts"):
            if conflict["key"] not in self.book.kept:
                raise RuntimeError("a conflict nobody pressed")

    def wait(self, is_so: Callable[[], bool], seconds: float) -> None:
        """Until it is so, but no longer than that."""
        ends = time.monotonic() + seconds
        while not is_so() and time.monotonic() < ends:
            self.page.wait_for_timeout(5)


def offline(line: Line, count: int) -> None:
    """No network for a while."""
    line.at_hand(count)
    line.tablet.offline()
    line.press(count)


def ten_minutes(line: Line, count: int) -> None:
    """Ten minutes without network, as long by the page's own clock."""
    line.at_hand(count)
    line.tablet.offline()
    line.press(count, pace_ms=600_000 // count)
    began = time.monotonic()
    line.settle()
    line.drains["line.drain_200_s"] = time.monotonic() - began


# What a 500 says of more than one is no word about any of them: they are sent again in their order.
def _may_be_overtaken(fault: str, rows: Sequence[dict[str, Any]]) -> bool:
    """Whether these are set aside, and then hold up only what is about the same."""
    return fault == "names no press" or (fault == "500" and len(rows) == 1)


def failing_server(line: Line, count: int) -> None:
    """Refusals, failures and answers that are none, in any order."""

    def fail(route: Route) -> None:
        fault = line.chance.choice([*FAULTS, *["none"] * 3])
        rows = (route.request.post_data_json or {}).get("rows", [])
        if _may_be_overtaken(fault, rows):
            line.book.overtaken |= {row["key"] for row in rows}
        (FAULTS[fault] if fault != "none" else _go_on)(route)

    line.page.route(OUTBOX, fail)
    line.press(count)


def lost_answers(line: Line, count: int) -> None:
    """Everything is recorded, and the answers are lost."""
    line.page.route(OUTBOX, FAULTS["cut after it was recorded"])
    line.press(count)


def reload_mid_send(line: Line, count: int) -> None:
    """The page is loaded anew while a press is on its way."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)
        with contextlib.suppress(Error):
            route.fetch()

    for _press in range(count):
        line.page.route(OUTBOX, hold)
        line.press(1)
        line.page.reload()
        while held:
            with contextlib.suppress(Error):
                held.pop().abort()
        line.page.unroute_all(behavior="ignoreErrors")


def crashed_tab(line: Line, count: int) -> None:
    """The page's process ends, with and without network."""
    line.at_hand(count)
    if line.chance.random() < 0.7:
        line.tablet.offline()
    line.press(count // 2)
    crash(line.page)
    line.page = line.tablet.page()
    line.press(count - count // 2)


def two_tabs(line: Line, count: int) -> None:
    """Two tabs, pressed in turns."""
    line.at_hand(count)
    other = line.tablet.page()
    if line.chance.random() < 0.5:
        line.tablet.offline()
    for _turn in range(count):
        line.press(1, on=line.chance.choice([line.page, other]))
    other.close()


def no_worker(line: Line, count: int) -> None:
    """The service worker is ended again and again."""
    line.at_hand(count)
    for _turn in range(count // 5 + 1):
        (line.tablet.offline if line.chance.random() < 0.5 else line.tablet.online)()
        line.press(5)
        stop_workers(line.tablet, line.page)


def clock_set(line: Line, count: int) -> None:
    """The tablet's clock jumps three hours, and back."""
    hours = line.chance.choice([-3, 3])
    line.tablet.context.clock.set_system_time(timezone.now() + timedelta(hours=hours))
    line.press(count // 2)
    line.tablet.context.clock.set_system_time(timezone.now())
    line.press(count - count // 2)


def full_disk(line: Line, count: int) -> None:
    """The disk is full: nothing is called saved, until there is room again."""
    line.at_hand(count)
    line.settle()
    # Measured with them, the room they leave would be filled as well.
    line.page.evaluate('caches.delete("loupe-line-images")')
    kept = line.browser.send("Storage.getUsageAndQuota", {"origin": line.tablet.address})
    line.room(int(kept["usage"]) + SMALL_DISK // 3)
    line.page.evaluate(FILL_DISK)
    shown, is_told = len(line.book.shown), False
    for _press in range(3):
        line.tap(line.page, "accept", is_again=True)
        line.wait(lambda: _is_told_not_kept(line.page), SHOWN_WITHIN_S)
        # By the next tap the note may be gone.
        is_told = is_told or _is_told_not_kept(line.page)
    refused = is_told and len(line.book.shown) == shown
    line.room(ROOM)
    line.page.evaluate(EMPTY_FACTS)
    line.drains["line.full_disk_refused"] = line.drains.get("line.full_disk_refused", 0) + refused
    line.press(count)


def _is_told_not_kept(page: Page) -> bool:
    return page.locator("#note-text", has_text=NOT_KEPT).count() > 0


EMPTY_FACTS: Final = """async () => {
  const opened = await new Promise((done) => {
    const asked = indexedDB.open("loupe-line");
    asked.onsuccess = () => done(asked.result);
  });
  const tx = opened.transaction("facts", "readwrite");
  tx.objectStore("facts").clear();
  await new Promise((done) => { tx.oncomplete = done; tx.onabort = done; });
  opened.close();
}"""


def upgrade(line: Line, count: int) -> None:
    """Another version of the app comes while presses are unsent."""
    line.page.route(OUTBOX, FAULTS["503"])
    line.press(count // 2)
    with (Path(settings.STATIC_ROOT) / shell.WORKER).open("a") as script:
        script.write(f"\n// {line.chance.random()}\n")
    line.page.evaluate(UPDATED)
    asked(line.page, TAKE_OVER)
    line.page.wait_for_timeout(300)
    # The worker may have sent them by itself: then nothing holds the new version up.
    if on_disk(line.page) and not asked(line.page, IS_WAITING):
        raise RuntimeError("the new version took over with presses unsent")
    line.settle()
    is_waiting = True
    while is_waiting:
        # The page is loaded anew when it has taken over.
        with contextlib.suppress(Error):
            line.page.evaluate(TAKE_OVER)
            line.page.wait_for_timeout(300)
            is_waiting = line.page.evaluate(IS_WAITING)
    line.press(count - count // 2)


TAKE_OVER: Final = """async () => {
  const registration = await navigator.serviceWorker.getRegistration("/line/");
  registration.waiting?.postMessage({ kind: "take-over" });
}"""
IS_WAITING: Final = """async () => {
  const registration = await navigator.serviceWorker.getRegistration("/line/");
  return registration.waiting !== null;
}"""


def overtaken(line: Line, count: int) -> None:
    """An inspector decides some of the units meanwhile."""
    line.at_hand(count)
    line.tablet.offline()
    line.press(count)
    rows = [row for row in on_disk(line.page) if row["kind"] == "decision"]
    inspector = factories.user(Role.INSPECTOR)
    for row in line.chance.sample(rows, min(3, len(rows))):
        _decide_elsewhere(inspector, row["body"]["task"])


def _decide_elsewhere(person: User, task_id: str) -> None:
    past = timezone.now() - timedelta(seconds=1)
    task = ReviewTask.objects.filter(uuid=task_id)
    task.update(lease_expires_at=past, operators_until=past, due=past - timedelta(days=1))
    actor, site = actor_of(person), factories.site()
    lease = timedelta(minutes=1)
    [held] = queue.claim(actor=actor, site=site, count=1, lease=lease, at=timezone.now())
    decisions.decide(
        actor=actor,
        held=Lease(held.uuid, held.fence),
        verdict=Verdict(answer=Answer.FALSE_CALL, disposition=DispositionKind.ACCEPT),
        key=f"elsewhere/{task_id}",
        undo_window=timedelta(),
        at=timezone.now(),
    )


def taken_back(line: Line, count: int) -> None:
    """Verdicts are taken back and given again, half the time without network."""
    line.at_hand(count)
    if line.chance.random() < 0.5:
        line.tablet.offline()
    for _press in range(count // 2):
        line.press(1)
        line.tablet.context.clock.fast_forward(1000)
        with contextlib.suppress(Error):
            line.page.locator("#undo-press").tap(timeout=1000)
        line.press(1)


def other_operator(line: Line, count: int) -> None:
    """The operator is signed out while there is no network; somebody else comes."""
    line.at_hand(count)
    line.tablet.offline()
    line.press(count // 2)
    attendances.leave(device=line.tablet.device, at=timezone.now())
    person = factories.user(Role.OPERATOR)
    line.tablet.arrive(person)
    line.tablet.online()
    line.page.locator("#who", has_text=person.username).wait_for()
    line.press(count - count // 2)


def killed_server(line: Line, count: int) -> None:
    """Processes of the web server are killed while presses come in."""
    for _turn in range(count // 5 + 1):
        line.press(3)
        workers = line.web.children()
        if workers:
            line.chance.choice(workers).kill()
        line.press(2)


def _go_on(route: Route) -> Any:
    return route.continue_()


ROUNDS: Final[tuple[Callable[[Line, int], None], ...]] = (
    offline,
    failing_server,
    lost_answers,
    reload_mid_send,
    crashed_tab,
    two_tabs,
    no_worker,
    clock_set,
    full_disk,
    upgrade,
    overtaken,
    taken_back,
    other_operator,
    killed_server,
)


@contextmanager
def at_line(
    browser: Browser, address: str, web: psutil.Process, chance: random.Random
) -> Iterator[Line]:
    """A tablet to press on; its page is gone afterwards."""
    line = Line(browser, address, web, chance)
    try:
        yield line
    finally:
        with contextlib.suppress(Error):
            line.page.unroute_all(behavior="ignoreErrors")
        line.tablet.offline()
        line.tablet.context.close()
