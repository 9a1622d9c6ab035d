"""Nothing moves when data arrives: the browser itself counts what is shifted."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Route, expect

from governance.models import User
from governance.roles import Role
from tests import factories
from tests.functional.conftest import Enter, Part, show
from tests.functional.intercepting import intercept
from tests.functional.test_bench import SIZES, next_after, ready
from traceability.models import Capture

WATCH = """() => { window.moved = []; new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (!entry.hadRecentInput) {
      const names = entry.sources.map(({ node }) => node?.id || node?.className);
      window.moved.push([entry.value, ...names]);
    }
  }
}).observe({ type: "layout-shift", buffered: true });
window.pressed = 0;
addEventListener("keydown", () => { window.pressed = performance.now(); }, true); }"""


# A tenth is what browsers call still; a line that breaks anew on a phone is a hundredth.
MOST = 0.02


def moved(page: Page) -> float:
    """How much has been shifted so far, as the browser counts it, without a key or a finger having
    asked for it; a text that stands in the middle of its own place may grow there."""
    entries = [entry for entry in page.evaluate("window.moved") if entry[1:] != ["undo-left"]]
    return float(sum(entry[0] for entry in entries))


@pytest.mark.usefixtures("unmade")
@pytest.mark.parametrize("size", ["desk", "tablet", "phone"])
def test_the_bench_stands_still_while_units_and_images_come(
    enter: Enter, part: Part, inspector: User, size: str
) -> None:
    first = part(views=("top", "side"))
    late = part(is_shown=False)
    part()
    page = enter(inspector, **SIZES[size])
    page.evaluate(WATCH)
    assert ready(page) == str(first.uuid)
    page.keyboard.press("a")
    expect(page.locator("#stage")).to_have_attribute("data-task", str(late.uuid))
    expect(page.locator("#picture-wait")).to_be_visible()
    show(Capture.objects.get(inspection=late.inspection_id))
    assert ready(page) == str(late.uuid)
    slow: list[Route] = []
    intercept(page, "**/decision", lambda route: slow.append(route))  # noqa: PLW0108  # a builtin is not taken
    page.keyboard.press("a")
    next_after(page, str(late.uuid))
    expect(page.locator("#undo-left")).to_have_text("on its way")
    page.wait_for_function("() => performance.now() > window.pressed + 600")
    slow.pop().continue_()
    expect(page.locator("#undo-left")).to_contain_text("s")
    expect(page.locator("#decided")).to_have_text("2")
    assert moved(page) < MOST


def test_the_leads_queue_stands_still_while_units_come(enter: Enter, part: Part) -> None:
    part()
    page = enter(factories.user(Role.LEAD), "/review/queue/")
    page.evaluate(WATCH)
    table = page.locator("main table").first
    expect(table).to_contain_text("P-4711")
    with page.expect_response("**/queue/live/**"):
        part()
    expect(table.locator("tbody tr").first.locator("td").nth(2)).to_have_text("2")
    assert moved(page) < MOST
