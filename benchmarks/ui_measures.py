"""What the browser benches measure."""

from __future__ import annotations

from playwright.sync_api import Page

from benchmarks import ui_page, ui_pictures
from governance.roles import Role
from review.models import ReviewTask, TaskState
from tests import factories


def first_views(address: str, times: int) -> tuple[list[float], float]:
    """Seconds to a sharp first view of 400 megapixels, and the megabytes of images it took."""
    factories.defect_class()
    task = ui_pictures.large()
    person = factories.user(Role.INSPECTOR, name="first")
    seconds, moved = [], 0.0
    with ui_page.chromium() as browser:
        for _time in range(times):
            with ui_page.opened(browser, address, person, watch=ui_page.WATCH_FIRST) as (
                page,
                wire,
            ):
                page.wait_for_function("() => window.firstView")
                found = page.evaluate("() => window.firstView")
                page.wait_for_load_state("networkidle")
                if found["sharpness"] < 1:
                    raise RuntimeError(f"the first view is not sharp: {found['sharpness']:.2f}")
                seconds.append(found["ms"] / 1000)
                moved = max(moved, wire.bytes / 1e6)
    _close(task)
    return seconds, moved


def pans(address: str, regions: int, times: int) -> tuple[float, float, float]:
    """Frames a second while panning over so many regions, and the longest task of the main thread:
    milliseconds by the clock and by the processor."""
    factories.defect_class()
    task = ui_pictures.crowded(regions)
    person = factories.user(Role.INSPECTOR, name="pan")
    frames, longest = [], [(0.0, 0.0)]
    with (
        ui_page.chromium() as browser,
        ui_page.opened(browser, address, person, watch="") as (page, _wire),
    ):
        page.wait_for_load_state("networkidle")
        page.locator("#stage").focus()
        page.keyboard.press("+")
        for _time in range(times):
            page.evaluate(ui_page.COUNT_FRAMES)
            _pan(page)
            frames.append(
                page.evaluate(
                    "() => { isCounting = false; const n = frames_.length;"
                    " return (n - 1) / (frames_[n - 1] - frames_[0]) * 1000; }"
                )
            )
            browser.start_tracing(page=page, categories=["toplevel", "devtools.timeline"])
            _pan(page)
            longest.append(ui_page.longest_task(browser.stop_tracing()))
    _close(task)
    by_clock, by_processor = (max(values) for values in zip(*longest, strict=True))
    return sum(frames) / len(frames), by_clock, by_processor


def key_to_paint(address: str, presses: int, pace_ms: int) -> list[float]:
    """Milliseconds from each press of A to the paint of the next unit's picture."""
    factories.defect_class()
    ui_pictures.parts(presses + 5)
    person = factories.user(Role.INSPECTOR, name="keys")
    with (
        ui_page.chromium() as browser,
        ui_page.opened(browser, address, person, watch=ui_page.WATCH_KEYS) as (page, _wire),
    ):
        page.wait_for_load_state("networkidle")
        for number in range(presses):
            page.keyboard.press("a")
            page.wait_for_function("n => window.painted.length > n", arg=number)
            page.wait_for_timeout(pace_ms)
        waits: list[float] = page.evaluate("() => window.painted")
    return waits


def _pan(page: Page) -> None:
    """A drag to and fro, one move a frame as far as the machine can."""
    page.mouse.move(700, 450)
    page.mouse.down()
    for x, y in ((400, 300), (800, 500), (500, 600), (700, 450)):
        page.mouse.move(x, y, steps=40)
    page.mouse.up()


def _close(task: ReviewTask) -> None:
    """Out of the queue, so that the next bench does not meet it."""
    ReviewTask.objects.filter(pk=task.pk).update(state=TaskState.CLOSED)
