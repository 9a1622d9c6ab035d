"""One inspector's page in Chromium, behind a slow network, and what it measures of itself."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from governance.models import User

DELAY_MS: Final = 150
ARGUMENTS: Final = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"]

# From the press to the end of the frame in which the next unit's picture is on the stage.
WATCH_KEYS: Final = """
window.painted = [];
document.addEventListener("keydown", (event) => {
  if (event.code !== "KeyA" || event.repeat) return;
  const before = document.getElementById("stage").dataset.task;
  const look = () => {
    const image = document.querySelector("#sheet img");
    const isNext = document.getElementById("stage").dataset.task !== before;
    if (!isNext || !image?.complete || !image.naturalWidth) return requestAnimationFrame(look);
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => window.painted.push(performance.now() - event.timeStamp);
    port2.postMessage(null);
  };
  requestAnimationFrame(look);
}, true);
"""
# From the start of the navigation to the end of the frame that shows the image.
WATCH_FIRST: Final = """
const look = () => {
  const image = document.querySelector("#sheet img");
  if (!image?.complete || !image.naturalWidth) return requestAnimationFrame(look);
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    const shown = image.getBoundingClientRect().width * devicePixelRatio;
    window.firstView = { ms: performance.now(), sharpness: image.naturalWidth / shown };
  };
  port2.postMessage(null);
};
requestAnimationFrame(look);
"""
COUNT_FRAMES: Final = """
() => {
  window.frames_ = []; window.isCounting = true;
  const tick = (now) => {
    window.frames_.push(now);
    if (window.isCounting) requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}
"""


@dataclass
class Traffic:
    """Bytes of images over the wire."""

    addresses: dict[str, str] = field(default_factory=dict)
    bytes: int = 0

    def listen(self, cdp: CDPSession) -> None:
        cdp.on("Network.requestWillBeSent", self._asked)
        cdp.on("Network.loadingFinished", self._came)

    def _asked(self, event: dict[str, Any]) -> None:
        self.addresses[event["requestId"]] = event["request"]["url"]

    def _came(self, event: dict[str, Any]) -> None:
        address = self.addresses.get(event["requestId"], "")
        if "/images/" in address or "/tiles/" in address:
            self.bytes += int(event["encodedDataLength"])


@contextmanager
def chromium() -> Iterator[Browser]:
    """The machine's own Chromium, without a window."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(
    browser: Browser, address: str, person: User, *, watch: str
) -> Iterator[tuple[Page, Traffic]]:
    """The bench as this person opens it for the first time, every answer 150 ms late."""
    client = Client()
    client.force_login(person)
    name = settings.SESSION_COOKIE_NAME
    context = browser.new_context(base_url=address, viewport={"width": 1440, "height": 900})
    context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": address}])
    page = context.new_page()
    page.add_init_script(watch)
    cdp = context.new_cdp_session(page)
    traffic = Traffic()
    traffic.listen(cdp)
    cdp.send("Network.enable")
    unlimited = {"downloadThroughput": -1, "uploadThroughput": -1}
    cdp.send(
        "Network.emulateNetworkConditions", {"offline": False, "latency": DELAY_MS, **unlimited}
    )
    page.goto("/review/")
    page.wait_for_function("() => !document.getElementById('accept').disabled", timeout=60_000)
    try:
        yield page, traffic
    finally:
        page.goto("about:blank")
        # The leases that the page gives back are on their way.
        page.wait_for_timeout(4 * DELAY_MS)
        context.close()


def longest_task(trace: bytes) -> tuple[float, float]:
    """The longest task of the page's main thread, by the clock and by the processor (ms)."""
    events = json.loads(trace)["traceEvents"]
    mains = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    tasks = [
        event
        for event in events
        if event["name"].endswith("RunTask") and (event["pid"], event["tid"]) in mains
    ]
    by_clock = max(event.get("dur", 0) for event in tasks)
    by_processor = max(event.get("tdur", 0) for event in tasks)
    return by_clock / 1000, by_processor / 1000
