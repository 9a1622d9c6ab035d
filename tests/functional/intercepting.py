"""A request of a page that is already open is answered by the test, from now on for certain."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from playwright.sync_api import Page, Route

PROBE: Final = "/is-anybody-listening"
WITHIN_S: Final = 20


def intercept(page: Page, url: str, answer: Callable[[Route], Any]) -> None:
    """Set a route, and come back once it is in force.

    On a busy machine a page's request was once seen to go past a route that had just been set.
    """
    page.route(url, answer)
    until_heard(page)


def until_heard(page: Page) -> None:
    """Ask until a route meets what the page asks.

    Raises:
        AssertionError: it never did.
    """
    met: list[str] = []

    def meet(route: Route) -> None:
        met.append(route.request.url)
        route.abort()

    page.route(f"**{PROBE}", meet)
    ends = time.monotonic() + WITHIN_S
    while not met:
        assert time.monotonic() < ends, "no route of this page is in force"
        page.evaluate("address => fetch(address).then(() => null, () => null)", PROBE)
    page.unroute(f"**{PROBE}", meet)
