"""Boxes and polygons at the bench, exact to the pixel of the stored image."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db.models import F
from playwright.sync_api import Page, expect

from governance.models import User
from governance.roles import Role
from labeling.models import Annotation
from review.models import Decision, ReviewTask
from tests import factories
from tests.functional.conftest import Enter, Part
from tests.functional.intercepting import intercept
from tests.functional.test_bench import SIZES, next_after, ready, settled, until_decided
from tests.functional.test_every_page import AXE, FAULTS, STANDARD, THEMES
from traceability.models import Capture

# Where a pixel border of the stored image lies on the screen, read from the image itself.
PLACE = """([x, y]) => {
  const sheet = document.querySelector("#stage .sheet");
  const way = new DOMMatrix(getComputedStyle(sheet).transform);
  const shrunk = sheet.offsetWidth / 480;
  const at = way.transformPoint({x: x * shrunk, y: y * shrunk});
  const stage = document.getElementById("stage").getBoundingClientRect();
  return [stage.left + at.x, stage.top + at.y];
}"""
FRAME = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def place(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where the image's point is on the screen."""
    page.evaluate(FRAME)
    left, top = page.evaluate(PLACE, [x, y])
    return left, top


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag the mouse between two points of the image."""
    places = [place(page, *start), place(page, *end)]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[1], steps=4)
    page.mouse.up()


def act(page: Page, name: str) -> None:
    page.locator(f".draw-tools [data-act={name}]").click()


def drawn(page: Page) -> list[str]:
    """What the list beside the image says."""
    rows: list[str] = page.locator("#drawn button").evaluate_all(
        "rows => rows.map(row => [...row.children].map(part => part.textContent).join(' '))"
    )
    return rows


def width_of(page: Page) -> float:
    """CSS pixels from the image's left edge to its right one."""
    return place(page, 480, 0)[0] - place(page, 0, 0)[0]


def drafts(page: Page) -> list[dict[str, Any]]:
    """The drawings kept on this computer."""
    texts = page.evaluate(
        """() => Object.keys(localStorage).filter(name => name.startsWith("loupe-drawing:"))
          .map(name => localStorage.getItem(name))"""
    )
    return [json.loads(text) for text in texts]


def stored(page: Page) -> dict[str, Any]:
    [draft] = drafts(page)
    return draft


def recorded(page: Page, count: int = 1) -> list[tuple[str, str, list[Any]]]:
    """The regions drawn for the latest verdict: view, class, geometry."""
    decision = until_decided(page, count)[-1]
    found = Annotation.objects.filter(label__decision=decision.uuid, origin="drawn").order_by("pk")
    return [(one.label.capture.view, one.defect_class, one.geometry) for one in found]


def test_a_reject_asks_for_one_drag_and_the_drag_decides(
    enter: Enter, part: Part, inspector: User
) -> None:
    first = part()
    page = enter(inspector)
    ready(page)
    page.keyboard.press("r")
    expect(page.locator("#box-prompt")).to_be_visible()
    drag(page, (182, 121), (259, 203))
    assert recorded(page) == [("main", "scratch", [182, 121, 77, 82])]
    assert Decision.objects.get().task == first


def test_whoever_has_no_time_presses_twice(enter: Enter, part: Part, inspector: User) -> None:
    first, second = part(), part()
    page = enter(inspector)
    ready(page)
    page.keyboard.press("r")
    page.keyboard.press("r")
    assert next_after(page, str(first.uuid)) == str(second.uuid)
    assert recorded(page) == []


@pytest.mark.parametrize("ratio", [1, 1.25, 1.5, 2, 3])
def test_a_box_is_exact_at_any_zoom_rotation_and_pixel_density(
    enter: Enter, part: Part, inspector: User, ratio: float
) -> None:
    part()
    page = enter(inspector, device_scale_factor=ratio)
    ready(page)
    boxes = [(10, 20, 33, 41), (200, 100, 7, 5), (301, 211, 120, 90), (180, 125, 3, 2)]
    for turn, (x, y, width, height) in enumerate(boxes):
        at = place(page, x + width / 2, y + height / 2)
        page.mouse.move(*at)
        page.mouse.wheel(0, -300 * turn)
        act(page, "box")
        drag(page, (x, y), (x + width, y + height))
        page.keyboard.press("Escape")
        page.keyboard.press("0")
        if page.locator("[data-act=rotate-right]").count():
            page.locator("[data-act=rotate-right]").first.click()
    assert [row.split(" main")[0] for row in drawn(page)] == [
        f"Scratch · {width} × {height} px" for _, _, width, height in boxes
    ]
    page.reload()
    ready(page)
    assert len(drawn(page)) == len(boxes)
    page.keyboard.press("r")
    assert [tuple(geometry) for _, _, geometry in recorded(page)] == boxes


def test_the_models_proposals_are_taken_as_they_are_and_decide(
    enter: Enter, part: Part, inspector: User
) -> None:
    task = part()
    outline = [[10.25, 20.5], [60.125, 22], [40, 70.75]]
    proposals = [
        {"id": "1", "label": "scratch", "score": 0.6, "box": [10.5, 20.25, 30.125, 40]},
        {"id": "2", "label": "unheard_of", "score": 0.4, "polygon": outline},
        {"id": "3", "label": "scratch", "score": 0.3, "box": [470, 350, 30, 40]},
    ]
    factories.prediction(Capture.objects.get(inspection=task.inspection), detections=proposals)
    page = enter(inspector)
    ready(page)
    page.keyboard.press("r")
    page.keyboard.press("t")
    assert recorded(page) == [
        ("main", "scratch", [10.5, 20.25, 30.125, 40]),
        ("main", "scratch", outline),
        ("main", "scratch", [470, 350, 10, 10]),
    ]


def test_a_box_and_a_polygon_by_keyboard_alone(enter: Enter, part: Part, inspector: User) -> None:
    factories.defect_class("dent", position=7)
    part()
    page = enter(inspector)
    ready(page)
    said = page.locator("#drawing-said")
    page.keyboard.press("b")
    page.keyboard.press("ArrowRight")
    expect(said).to_have_text("240, 180")
    page.keyboard.press("Enter")
    for key in ("Shift+ArrowRight", "Shift+ArrowRight", "Shift+ArrowDown", "Shift+ArrowDown"):
        page.keyboard.press(key)
    page.keyboard.press("Space")
    expect(said).to_have_text("Box drawn: Scratch, 2 × 2 px, 240, 180.")
    page.keyboard.press("2")
    page.keyboard.press("Alt+Shift+ArrowRight")
    expect(said).to_have_text("Dent, 3 × 2 px, 240, 180")
    page.keyboard.press("Escape")
    page.keyboard.press("Shift+ArrowUp")
    expect(said).to_have_text("Dent, 3 × 2 px, 240, 179")
    page.keyboard.press("Escape")

    page.keyboard.press("p")
    page.keyboard.press("ArrowLeft")
    for way in ("ArrowRight", "ArrowDown", "ArrowLeft"):
        page.keyboard.press("Space")
        for _ in range(4):
            page.keyboard.press(f"Shift+{way}")
    page.keyboard.press("Space")
    page.keyboard.press("Backspace")
    page.keyboard.press("Enter")
    expect(said).to_contain_text("Polygon drawn: Scratch, 4 × 4 px, 240, 180")
    page.keyboard.press("n")
    expect(page.locator("#drawn [aria-pressed=true]")).to_contain_text("Dent")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    assert recorded(page) == [
        ("main", "dent", [240, 179, 3, 2]),
        ("main", "scratch", [[240, 180], [244, 180], [244, 184]]),
    ]


def test_a_region_is_selected_moved_resized_and_deleted_by_mouse(
    enter: Enter, part: Part, inspector: User
) -> None:
    part()
    page = enter(inspector)
    ready(page)
    act(page, "box")
    drag(page, (100, 100), (200, 160))
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    before = place(page, 0, 0)
    drag(page, (150, 130), (170, 130))
    assert place(page, 0, 0) != before, "without a selection a drag moves the image"
    page.keyboard.press("0")
    page.mouse.click(*place(page, 150, 130))
    drag(page, (150, 130), (157, 141))
    assert stored(page)["regions"][0]["box"] == [107, 111, 100, 60]
    drag(page, (207, 171), (217, 151))
    assert stored(page)["regions"][0]["box"] == [107, 111, 110, 40]
    drag(page, (107, 131), (57, 131))
    assert stored(page)["regions"][0]["box"] == [57, 111, 160, 40]
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    assert stored(page)["regions"][0]["box"] == [107, 111, 100, 60]
    page.keyboard.press("Control+Shift+Z")
    assert stored(page)["regions"][0]["box"] == [107, 111, 110, 40]
    page.keyboard.press("Delete")
    assert drawn(page) == []
    page.keyboard.press("Control+z")
    assert len(drawn(page)) == 1


def test_a_polygon_closes_on_its_first_point_and_never_crosses_itself(
    enter: Enter, part: Part, inspector: User
) -> None:
    part()
    page = enter(inspector)
    ready(page)
    act(page, "polygon")
    for point in [(100, 100), (200, 100), (200, 200)]:
        page.mouse.click(*place(page, *point))
        page.wait_for_timeout(450)
    page.mouse.click(*place(page, 150, 50))
    expect(page.locator("#drawing-said")).to_contain_text("would cross")
    page.wait_for_timeout(450)
    page.mouse.click(*place(page, 100, 100))
    assert [row.split(" main")[0] for row in drawn(page)] == ["Scratch · 100 × 100 px"]
    page.keyboard.press("Escape")
    drag(page, (200, 200), (210, 190))
    page.keyboard.press("r")
    assert recorded(page) == [("main", "scratch", [[100, 100], [200, 100], [210, 190]])]


def test_each_view_has_its_own_regions_and_one_verdict_carries_all(
    enter: Enter, part: Part, inspector: User
) -> None:
    part(views=("back", "front"))
    page = enter(inspector)
    ready(page)
    page.keyboard.press("b")
    drag(page, (200, 100), (230, 140))
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(page.locator("#drawing")).to_have_attribute("data-drawn", "0")
    page.keyboard.press("b")
    drag(page, (250, 200), (300, 260))
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    expect(page.locator("#views [aria-current=true]")).to_contain_text("back")
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    assert sorted(recorded(page)) == [
        ("back", "scratch", [200, 100, 30, 40]),
        ("front", "scratch", [250, 200, 50, 60]),
    ]


def test_the_question_can_be_left_and_answered_by_enter(
    enter: Enter, part: Part, inspector: User
) -> None:
    part()
    page = enter(inspector)
    task = ready(page)
    page.keyboard.press("r")
    page.keyboard.press("Escape")
    expect(page.locator("#box-prompt")).to_be_hidden()
    assert page.locator("#stage").get_attribute("data-task") == task
    page.keyboard.press("r")
    page.keyboard.press("Enter")
    assert recorded(page) == []


@pytest.mark.usefixtures("unhurried")
def test_undo_brings_the_drawing_back_with_the_unit(
    enter: Enter, part: Part, inspector: User
) -> None:
    first = part()
    part()
    page = enter(inspector)
    ready(page)
    page.keyboard.press("r")
    drag(page, (182, 121), (259, 203))
    assert len(recorded(page)) == 1
    assert drafts(page) == []
    page.keyboard.press("u")
    expect(page.locator("#stage")).to_have_attribute("data-task", str(first.uuid))
    assert drawn(page) == ["Scratch · 77 × 82 px main"]
    settled(page)
    page.keyboard.press("r")
    until_decided(page, 1)
    labels = Annotation.objects.filter(origin="drawn").order_by("pk")
    assert [one.geometry for one in labels] == [[182, 121, 77, 82]] * 2


def test_a_drawing_outlives_a_lost_hold_and_is_offered_again(
    enter: Enter, part: Part, inspector: User
) -> None:
    first = part()
    page = enter(inspector, is_timed=True)
    ready(page)
    page.keyboard.press("b")
    drag(page, (182, 121), (259, 203))
    colleague = factories.user(Role.INSPECTOR)
    ReviewTask.objects.filter(pk=first.pk).update(holder=colleague, fence=F("fence") + 1)
    page.clock.run_for(26_000)
    expect(page.locator("#lost")).to_be_visible()
    expect(page.locator("#lost-drawing")).to_contain_text("kept on this computer")
    expect(page.locator("#drawing")).to_have_attribute("data-drawn", "1")
    ReviewTask.objects.filter(pk=first.pk).update(
        holder=None, state="QUEUED", lease_expires_at=None
    )
    page.keyboard.press("Enter")
    page.clock.run_for(5_000)
    expect(page.locator("#accept")).to_be_enabled(timeout=20_000)
    assert drawn(page) == []
    page.get_by_role("button", name="Put back what you drew before").click()
    assert drawn(page) == ["Scratch · 77 × 82 px main"]


def test_without_a_network_a_drawing_waits_with_its_verdict(
    enter: Enter, part: Part, inspector: User
) -> None:
    first = part()
    part()
    page = enter(inspector)
    ready(page)
    intercept(page, "**/api/**", lambda route: route.abort("internetdisconnected"))
    page.keyboard.press("r")
    drag(page, (182, 121), (259, 203))
    next_after(page, str(first.uuid))
    expect(page.locator("#unsent")).to_have_text("Unsent: 1")
    assert len(drafts(page)) == 1
    page.unroute("**/api/**")
    expect(page.locator("#unsent")).to_have_text("")
    assert recorded(page) == [("main", "scratch", [182, 121, 77, 82])]
    assert drafts(page) == []


def test_where_nothing_can_be_stored_it_is_said_and_drawing_goes_on(
    enter: Enter, part: Part, inspector: User
) -> None:
    part()
    page = enter(inspector, "/health/")
    page.add_init_script("Storage.prototype.setItem = () => { throw new Error('full'); }")
    page.goto("/review/")
    ready(page)
    page.keyboard.press("b")
    drag(page, (182, 121), (259, 203))
    expect(page.locator(".notice")).to_contain_text("keeps no drawings")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    assert recorded(page) == [("main", "scratch", [182, 121, 77, 82])]


class Fingers:
    """Touches of a tablet, as Chromium gets them from its screen."""

    def __init__(self, page: Page) -> None:
        self.session = page.context.new_cdp_session(page)

    def touch(self, kind: str, *points: tuple[float, float]) -> None:
        touches = [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(points)]
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    def slide(self, *ways: tuple[tuple[float, float], tuple[float, float]]) -> None:
        """Every finger from its first place to its second."""
        for number in range(1, len(ways) + 1):
            self.touch("touchStart", *[start for start, _ in ways[:number]])
        for step in range(1, 6):
            share = step / 5
            self.touch(
                "touchMove",
                *[(a + (c - a) * share, b + (d - b) * share) for (a, b), (c, d) in ways],
            )
        self.touch("touchEnd")


def test_on_a_tablet_a_finger_moves_the_image_or_draws_and_two_zoom(
    enter: Enter, part: Part, inspector: User
) -> None:
    part()
    page = enter(inspector, **SIZES["tablet"])
    ready(page)
    fingers = Fingers(page)
    before = place(page, 100, 100)
    fingers.slide(((300, 400), (340, 430)))
    after = place(page, 100, 100)
    assert after == pytest.approx((before[0] + 40, before[1] + 30), abs=1)

    width = width_of(page)
    page.locator("#tool-box").click()
    expect(page.locator("#tool-box")).to_have_attribute("aria-pressed", "true")
    fingers.slide(((250, 400), (150, 400)), ((350, 400), (450, 400)))
    assert drawn(page) == []
    assert width_of(page) > 2 * width
    page.locator("[data-act=fit]").click()
    fingers.slide((place(page, 200, 150), place(page, 260, 210)))
    assert [row.split(" main")[0] for row in drawn(page)] == ["Scratch · 60 × 60 px"]
    page.locator("#tool-box").click()
    expect(page.locator("#tool-box")).to_have_attribute("aria-pressed", "false")
    corner = place(page, 260, 210)
    fingers.slide(((corner[0] + 15, corner[1] + 15), (corner[0] + 15, corner[1] + 75)))
    [region] = stored(page)["regions"]
    assert region["box"][:3] == [200, 150, 60]
    assert region["box"][3] > 65


def test_five_hundred_regions_are_panned_without_a_long_task(
    enter: Enter, part: Part, inspector: User
) -> None:
    task = part()
    proposals = [
        {"id": str(n), "label": "scratch", "score": 0.5, "box": [n % 25 * 19, n // 25 * 17, 12, 9]}
        for n in range(500)
    ]
    factories.prediction(Capture.objects.get(inspection=task.inspection), detections=proposals)
    page = enter(inspector)
    ready(page)
    page.keyboard.press("t")
    expect(page.locator("#drawing")).to_have_attribute("data-drawn", "500")
    page.evaluate(
        """() => { window.long = []; window.frames_ = 0; new PerformanceObserver(list => {
          for (const entry of list.getEntries()) { window.long.push(entry.duration); }
        }).observe({type: "longtask"}); const count = () => { window.frames_ += 1;
          requestAnimationFrame(count); }; requestAnimationFrame(count); }"""
    )
    page.mouse.move(600, 400)
    page.mouse.wheel(0, -300)
    page.mouse.down()
    page.evaluate(
        "() => { window.long = []; window.frames_ = 0; window.began = performance.now(); }"
    )
    for step in range(40):
        page.mouse.move(600 + step % 10 * 20, 400 + step % 7 * 15)
    page.mouse.up()
    frames, long = page.evaluate(
        "() => [window.frames_ / (performance.now() - window.began) * 1000, window.long]"
    )
    # The machine of a test is shared: the bench's own target, 50 ms, is measured apart.
    assert [each for each in long if each > 1000] == [], frames


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_no_fault_while_something_is_drawn_and_asked(
    enter: Enter, part: Part, inspector: User, theme: str
) -> None:
    part()
    page = enter(inspector)
    page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
    ready(page)
    page.keyboard.press("r")
    expect(page.locator("#box-prompt")).to_be_visible()
    page.evaluate(AXE)
    assert page.evaluate(FAULTS, STANDARD) == []
    page.keyboard.press("Escape")
    page.keyboard.press("t")
    expect(page.locator("#drawing")).to_have_attribute("data-drawn", "1")
    assert page.evaluate(FAULTS, STANDARD) == []
