"""The tablet's screen by its measures: what is pressed, what is read, and what axe finds."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from governance.roles import Role
from tests import factories
from tests.functional.conftest import Enter
from tests.functional.line_station import (
    DESK,
    PHONE,
    SMALL,
    STATES,
    TABLET,
    UPRIGHT,
    Floor,
    floor,
    in_state,
    scan,
)
from tests.functional.test_every_page import AXE, FAULTS, STANDARD

SIZES = {"tablet": TABLET, "small": SMALL, "upright": UPRIGHT, "desk": DESK, "phone": PHONE}
BIG_MM, CONTROL_MM, GAP_MM = 20, 15, 3
VERDICTS = (".answer", ".pad__key")
# Everything that can be pressed and is to be seen, as it lies on the screen; `isWhole`: nothing of
# it is scrolled out of its room.
PRESSED = """(big) => [...document.querySelectorAll("button, a[href], input:not([type=hidden])")]
  .filter((one) => one.checkVisibility({ visibilityProperty: true })
    && !one.matches(".skip, .sight__press"))
  .map((one) => {
    const { x, y, width, height } = one.getBoundingClientRect();
    const corners = [[x + 5, y + 5], [x + width - 5, y + 5], [x + 5, y + height - 5],
      [x + width - 5, y + height - 5]];
    return { name: one.id || one.className || one.textContent, x, y, width, height,
      isBig: big.some((which) => one.matches(which)),
      isWhole: corners.every((place) => one.contains(document.elementFromPoint(...place))) };
  })"""
PLACES = """() => [".band", "#sight", ".subject", ".answers", ".strip", "#call-HELP"].map((one) => {
  const { x, y, width, height } = document.querySelector(one).getBoundingClientRect();
  return [x, y, width, height].map(Math.round); })"""
# Of these, what hides a part of its own text.
READ = [
    ".band__word",
    ".andon__button",
    "#do",
    "#note-text",
    ".answer",
    "#undo-says",
    "#undo-where",
]
READ += [
    "#serial",
    "#facts",
    "#who",
    "#who-hint",
    "#waiting",
    "#contact",
    "#unsent",
    ".sight__none",
]
CUT = """(read) => read.flatMap((selector) => [...document.querySelectorAll(selector)])
  .filter((one) => one.checkVisibility())
  .filter((one) => one.scrollHeight > one.clientHeight + 1 && one.clientHeight
    && one.dataset.fit !== "width"
    || one.scrollWidth > one.clientWidth + 1 && one.clientWidth)
  .map((one) => `${one.id || one.className}: ${one.textContent}`)"""
LETTERS = """(selector) => {
  const { fontWeight, fontSize, fontFamily, textTransform } =
    getComputedStyle(document.querySelector(selector));
  const brush = document.createElement("canvas").getContext("2d");
  brush.font = `${fontWeight} ${fontSize} ${fontFamily}`;
  const letter = textTransform === "uppercase" ? "H" : "x";
  return brush.measureText(letter).actualBoundingBoxAscent; }"""


@pytest.fixture
def at() -> Floor:
    """Station st-1 with its tablet."""
    return floor()


def pressed(page: Page) -> list[dict[str, Any]]:
    """What can be pressed now."""
    found: list[dict[str, Any]] = page.evaluate(PRESSED, list(VERDICTS))
    return found


def too_small(page: Page, px_per_mm: float) -> list[str]:
    """What a glove would miss, or hit together with something else."""
    found = pressed(page)
    faults = []
    for one in found:
        least = (BIG_MM if one["isBig"] else CONTROL_MM) * px_per_mm
        if min(one["width"], one["height"]) < least:
            faults.append(f"{one['name']}: {one['width']:.0f} x {one['height']:.0f} px")
    for one, other in combinations([each for each in found if each["isWhole"]], 2):
        across = max(one["x"], other["x"]) - min(
            one["x"] + one["width"], other["x"] + other["width"]
        )
        down = max(one["y"], other["y"]) - min(
            one["y"] + one["height"], other["y"] + other["height"]
        )
        if max(across, down) < GAP_MM * px_per_mm:
            faults.append(f"{one['name']} and {other['name']}: {max(across, down):.1f} px apart")
    return faults


def cut_off(page: Page) -> list[str]:
    """What lies beyond the edges of the screen, and whether the page could be scrolled."""
    size = page.viewport_size or {"width": 0, "height": 0}
    beyond = [
        one["name"]
        for one in pressed(page)
        if one["x"] < 0
        or one["y"] < 0
        or one["x"] + one["width"] > size["width"]
        or one["y"] + one["height"] > size["height"]
    ]
    scrolled = page.evaluate(
        "() => [document.documentElement.scrollWidth > innerWidth,"
        " document.documentElement.scrollHeight > innerHeight]"
    )
    return beyond + (["the page scrolls"] if any(scrolled) else [])


def go(page: Page, room: str) -> None:
    """Open a room from the unit."""
    page.locator("#call-HELP" if room == "calls" else "#open-menu").click()
    if room == "calibrate":
        page.locator("#open-calibrate").click()
    expect(page.locator(f"#room-{room}")).to_be_visible()


def leave(page: Page, room: str) -> None:
    """Back to the unit."""
    page.locator(f"#room-{room} [data-back]").click()
    expect(page.locator("#room-work")).to_be_visible()


@pytest.mark.parametrize(
    ("size", "px_per_mm"),
    [
        *[("tablet", 3.78), ("tablet", 7.5), ("small", 5.2), ("small", 7.5)],
        *[("desk", 3.78), ("phone", 5.2)],
    ],
)
def test_whatever_is_pressed_has_its_size_in_every_state(
    at: Floor, enter: Enter, size: str, px_per_mm: float
) -> None:
    at.measured(px_per_mm)
    at.arrive()
    page = at.open(enter, **SIZES[size])
    faults: dict[str, list[str]] = {}
    for state in STATES:
        at.come_to(state)
        in_state(page, state)
        if found := too_small(page, px_per_mm):
            faults[state] = found
    at.called("HELP")
    expect(page.locator("#call-HELP")).to_have_attribute("data-called", "")
    for room in ("menu", "calls", "calibrate"):
        go(page, room)
        if found := too_small(page, px_per_mm):
            faults[room] = found
        leave(page, room)
    assert faults == {}


@pytest.mark.parametrize("px_per_mm", [3.78, 5.2])
def test_badge_and_pin_have_their_sizes(at: Floor, enter: Enter, px_per_mm: float) -> None:
    at.measured(px_per_mm)
    at.give_pin(at.operator)
    page = at.open(enter)
    expect(page.locator("#room-badge")).to_be_visible()
    faults = too_small(page, px_per_mm) + cut_off(page)
    scan(page, "B-bo")
    expect(page.locator("#room-pin")).to_be_visible()
    assert faults + too_small(page, px_per_mm) + cut_off(page) == []


def test_a_tablet_of_12_inches_shows_all_of_it_and_is_read_from_2_m(
    at: Floor, enter: Enter
) -> None:
    px_per_mm = 5.0
    at.measured(px_per_mm)
    at.arrive()
    page = at.open(enter)
    small: dict[str, list[str]] = {}
    for state in STATES:
        at.come_to(state)
        in_state(page, state)
        word = page.evaluate(LETTERS, "#state-word") / px_per_mm
        told = page.evaluate(LETTERS, "#instruction") / px_per_mm
        steps = page.locator("#steps li")
        if steps.count():
            told = page.evaluate(LETTERS, "#steps li") / px_per_mm
        found = cut_off(page)
        found += [f"the word {word:.1f} mm"] if word < 12 else []
        least = 5 if steps.count() else 8
        found += [f"the instruction {told:.1f} mm"] if told < least else []
        if found:
            small[state] = found
        assert page.locator(".answer").count() <= 3
    assert small == {}
    at.called("HELP")
    expect(page.locator("#call-HELP")).to_have_attribute("data-called", "")
    for room in ("menu", "calls", "calibrate"):
        go(page, room)
        assert cut_off(page) == []
        leave(page, room)


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("size", ["small", "upright"])
def test_no_text_is_cut_off_in_any_state(at: Floor, enter: Enter, size: str, language: str) -> None:
    at.measured(5.2)
    page = at.open(enter, **SIZES[size], locale=language)
    expect(page.locator("#room-badge")).to_be_visible()
    # Then the next note has its turn, while another room is open.
    page.locator("#badge-title").tap()
    expect(page.locator("#note")).to_have_attribute("data-name", "weakness")
    at.arrive()
    faults: dict[str, list[str]] = {}
    for state in STATES:
        at.come_to(state)
        in_state(page, state)
        expect(page.locator("#room-work")).to_be_visible()
        if found := page.evaluate(CUT, READ):
            faults[state] = found
    assert faults == {}


def test_a_screen_nobody_measured_has_buttons_large_enough_for_a_fine_one(
    at: Floor, enter: Enter
) -> None:
    at.arrive()
    at.left()
    page = at.open(enter, **{**TABLET, "is_mobile": True})
    in_state(page, "DECIDE")
    # The finest CSS pixel at hand has 6.3 to a millimetre.
    assert too_small(page, 6.3) == []
    expect(page.locator("#note")).to_contain_text("Tap once anywhere")
    page.locator("#serial").tap()
    expect(page.locator("#note")).to_contain_text("has not been measured")


def test_accept_and_scrap_are_never_beside_each_other(at: Floor, enter: Enter) -> None:
    at.measured(5.0)
    at.arrive()
    at.left()
    for options in (TABLET, PHONE):
        page = at.open(enter, **options)
        in_state(page, "DECIDE")
        accept, reject = (
            page.locator(f"[data-act={act}]").bounding_box() for act in ("accept", "reject")
        )
        assert accept is not None
        assert reject is not None
        across = reject["x"] - accept["x"] - accept["width"]
        down = reject["y"] - accept["y"] - accept["height"]
        assert max(across, down) >= BIG_MM * 5.0


@pytest.mark.parametrize("theme", ["light", "dark", "contrast"])
def test_axe_finds_nothing_in_any_state(at: Floor, enter: Enter, theme: str) -> None:
    at.measured(5.0)
    page = at.open(enter, theme=theme)
    expect(page.locator("#room-badge")).to_be_visible()
    faults: dict[str, list[str]] = {}

    def look(name: str) -> None:
        page.evaluate(AXE)
        if found := page.evaluate(FAULTS, STANDARD):
            faults[name] = found

    look("badge")
    factories.arrive(at.device, at.operator)
    for state in STATES:
        at.come_to(state)
        in_state(page, state)
        look(state)
    at.called("HELP")
    expect(page.locator("#call-HELP")).to_have_attribute("data-called", "")
    for room in ("menu", "calls", "calibrate"):
        go(page, room)
        look(room)
        leave(page, room)
    at.person("eva")
    scan(page, "B-eva")
    expect(page.locator("#room-pin")).to_be_visible()
    look("pin")
    assert faults == {}


def test_who_looks_on_sees_why_there_is_nothing_to_press(at: Floor, enter: Enter) -> None:
    at.held()
    page = enter(factories.user(Role.LEAD, name="lena"), "/line/line-1:st-1/")
    in_state(page, "HOLD")
    expect(page.locator(".answer")).to_have_count(0)
    expect(page.locator("#call-HELP")).to_be_disabled()
    expect(page.locator("#note")).to_contain_text("not a registered tablet")
    expect(page.locator("#room-badge")).to_be_hidden()


def test_the_screen_stands_still_while_units_come(at: Floor, enter: Enter) -> None:
    at.measured(5.0)
    at.arrive()
    page = at.open(enter)
    in_state(page, "RUNNING")
    before = page.evaluate(PLACES)
    for state in STATES[1:]:
        at.come_to(state)
        in_state(page, state)
        assert page.evaluate(PLACES) == before, state
