"""A registered tablet in a real browser, touched rather than clicked, and what is on its disk."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Error, Page, Route, ViewportSize, expect

from governance.devices import COOKIE
from governance.models import Attendance, Device, User
from governance.roles import Role
from review.line import stations
from review.models import Decision, ReviewTask, SecondOpinion
from tests import factories
from tests.functional.conftest import LOADS_MS, WAITS_MS
from traceability.models import Station

READY = """async (count) => {
  const opened = await caches.open("loupe-line-images");
  const registration = await navigator.serviceWorker.getRegistration("/line/");
  return (await opened.keys()).length >= count && registration?.active?.state === "activated";
}"""
PICTURE = """() => {
  const image = document.querySelector("#sight-image");
  return image.naturalWidth > 0 && image.complete && !image.hidden;
}"""
SCREEN: ViewportSize = {"width": 1280, "height": 800}
SCRIPTS = settings.BASE_DIR / "static" / "js" / "line"
# What is on the disk, asked in the page without the page's own code.
ON_DISK = """async (store) => {
  const opened = await new Promise((done, fail) => {
    const asked = indexedDB.open("loupe-line");
    asked.onsuccess = () => done(asked.result);
    asked.onerror = () => fail(asked.error);
  });
  if (!opened.objectStoreNames.contains(store)) { opened.close(); return []; }
  const found = await new Promise((done, fail) => {
    const asked = opened.transaction(store).objectStore(store).getAll();
    asked.onsuccess = () => done(asked.result);
    asked.onerror = () => fail(asked.error);
  });
  opened.close();
  return found;
}"""


class Tablet:
    """A device with its browser context, and its operator."""

    def __init__(self, browser: Browser, address: str, *, on: Station | None = None) -> None:
        self.device: Device
        self.device, self.token = factories.tablet(on)
        self.address = address
        self.context: BrowserContext = browser.new_context(
            base_url=address, viewport=SCREEN, has_touch=True
        )
        self.context.add_cookies(
            [
                {
                    "name": COOKIE,
                    "value": self.token,
                    "url": address,
                    "httpOnly": True,
                    "sameSite": "Strict",
                }
            ]
        )
        self.operator = factories.user(Role.OPERATOR, name=f"otto-{self.device.pk}")
        self.attendance: Attendance = factories.arrive(self.device, self.operator)

    @property
    def path(self) -> str:
        """Its station's page."""
        return f"/line/{stations.slug_of(self.device.station)}/"

    def arrive(self, person: User) -> Attendance:
        """Somebody else comes to it, elsewhere than on its page."""
        return factories.arrive(self.device, person)

    def page(self, path: str = "") -> Page:
        """Another tab of it."""
        page = self.context.new_page()
        page.set_default_timeout(WAITS_MS)
        page.set_default_navigation_timeout(LOADS_MS)
        page.goto(path or self.path)
        return page

    def is_ready(self, page: Page, count: int) -> None:
        """So many units lie on the shelf with their pictures, and the page needs no network."""
        ends = time.monotonic() + WAITS_MS / 1000
        while not asked(page, READY, count):
            assert time.monotonic() < ends, "the shelf is not full"
            page.wait_for_timeout(50)

    def accept(self, page: Page) -> None:
        """Tap the first button, once there is something to be seen and a press counts."""
        is_shown(page)
        page.locator("[data-act=accept]:not([data-turned])").tap()

    def ready(self, count: int) -> Page:
        """Its page with so many units on the shelf."""
        page = self.page()
        self.is_ready(page, count)
        return page

    def offline(self) -> None:
        """The network goes."""
        self.context.set_offline(True)

    def online(self) -> None:
        """The network comes back."""
        self.context.set_offline(False)

    def pressed(self, page: Page, count: int) -> list[str]:
        """Accept so many units, each once the one before is saved; the keys of all that is kept."""
        for _press in range(count):
            page.locator("[data-act=accept]:not([data-turned])").wait_for()
            before = page.locator("#serial").text_content() or ""
            self.accept(page)
            expect(page.locator("#undo-says")).to_contain_text(before)
        return [row["key"] for row in on_disk(page)]

    def devtools(self, page: Page, method: str, **given: Any) -> Any:
        """One command to the browser about this page."""
        session = self.context.new_cdp_session(page)
        try:
            return session.send(method, given)
        finally:
            session.detach()

    def blank(self) -> Page:
        """A tab with the scripts of the outbox and nothing else, as `window.line`."""
        self.context.route("**/line-scripts/**", _script)
        return self.page("/line-scripts/blank.html")


def _script(route: Route) -> None:
    name = route.request.url.split("/line-scripts/")[1].split("?")[0]
    if name == "blank.html":
        route.fulfill(content_type="text/html", body=BLANK)
    else:
        route.fulfill(content_type="text/javascript", body=(SCRIPTS / name).read_text())


BLANK = """<!doctype html><meta charset="utf-8"><script type="module">
import { Outbox } from "./outbox/outbox.js";
import { Shelf } from "./outbox/shelf.js";
import { Database } from "./outbox/database.js";
import { Images } from "./outbox/images.js";
window.line = { Outbox, Shelf, Database, Images };
</script>"""


def asked(page: Page, expression: str, argument: object = None) -> Any:
    """What the page answers, also when it loads anew meanwhile."""
    while True:
        try:
            return page.evaluate(expression, argument)
        except Error as refused:
            if "context was destroyed" not in refused.message:
                raise
            page.wait_for_load_state()


def is_shown(page: Page) -> None:
    """The picture of the unit is on the screen: without it nothing is accepted."""
    page.wait_for_function(PICTURE)


def on_disk(page: Page, store: str = "rows") -> list[Any]:
    """What lies in one store of the tablet's database."""
    found: list[Any] = asked(page, ON_DISK, store)
    return found


def for_operators(tasks: Sequence[ReviewTask]) -> None:
    """The policy leaves these to operators of their station for the next hour."""
    ReviewTask.objects.filter(pk__in=[task.pk for task in tasks]).update(
        operators_until=timezone.now() + timedelta(hours=1)
    )


def arrived(*keys: str) -> list[str]:
    """Of these presses, those that are a decision or a second opinion, in the order recorded."""
    decided = Decision.objects.filter(idempotency_key__in=keys).order_by("pk")
    late = SecondOpinion.objects.filter(key__in=keys).order_by("pk")
    return [row.idempotency_key for row in decided] + [str(row.key) for row in late]
