"""The tablet's colours: few when all is well, and nothing told by colour alone."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.functional import colours
from tests.functional.conftest import Enter
from tests.functional.line_station import STATES, Floor, floor, in_state

MOST_SATURATED = 0.05
LEAST_APART = 0.25
THEMES = ("light", "dark", "contrast")


@pytest.fixture
def at() -> Floor:
    """Station st-1, a measured tablet and its operator."""
    made = floor()
    made.measured(5.0)
    made.arrive()
    return made


def through_all(at: Floor, page: Page) -> dict[str, dict[str, object]]:
    """Every state of the station: its word, its icon's drawing, and pictures of both."""
    found: dict[str, dict[str, object]] = {}
    for state in STATES:
        at.come_to(state)
        in_state(page, state)
        icon = page.locator("#state-icon").get_attribute("href") or ""
        found[state] = {
            "word": page.locator("#state-word").inner_text(),
            "path": page.locator(f"{icon} > *").evaluate_all(
                "(parts) => parts.map((part) => part.outerHTML).join()"
            ),
            "icon": colours.pixels(page.locator(".band__icon")),
            "band": colours.pixels(page.locator(".band")),
        }
    return found


@pytest.mark.parametrize("theme", THEMES)
def test_a_running_station_is_nearly_without_colour(at: Floor, enter: Enter, theme: str) -> None:
    at.passed()
    page = at.open(enter, theme=theme)
    in_state(page, "RUNNING")
    expect(page.locator("#serial")).not_to_be_empty()
    share = colours.saturated(colours.pixels(page))
    assert share <= MOST_SATURATED, f"{share:.1%}"


def test_the_measure_sees_colour(at: Floor, enter: Enter) -> None:
    at.passed()
    page = at.open(enter)
    in_state(page, "RUNNING")
    page.evaluate(
        "() => { const box = document.createElement('div');"
        " Object.assign(box.style, {position: 'fixed', inset: '0 50% 0 0', background: 'green'});"
        " document.body.append(box); }"
    )
    assert colours.saturated(colours.pixels(page)) > 0.4


@pytest.mark.parametrize("theme", THEMES)
def test_no_state_is_told_by_its_hue_alone(at: Floor, enter: Enter, theme: str) -> None:
    page = at.open(enter, theme=theme)
    found = through_all(at, page)
    assert len({str(shown["word"]) for shown in found.values()}) == len(STATES)
    assert len({str(shown["path"]) for shown in found.values()}) == len(STATES)
    for vision in colours.VISIONS:
        outlines = {
            state: colours.outline(colours.seen_by(shown["icon"], vision))  # type: ignore[arg-type]  # pixels
            for state, shown in found.items()
        }
        for one, other in combinations(STATES, 2):
            apart = colours.apart(outlines[one], outlines[other])
            assert apart >= LEAST_APART, f"{one} and {other} to {vision}: {apart:.2f}"
            bands = [
                colours.luminance(colours.seen_by(found[each]["band"], vision))  # type: ignore[arg-type]  # pixels
                for each in (one, other)
            ]
            alike = bands[0] - bands[1]
            assert float(np.abs(alike).mean()) > 0.01, f"{one} and {other} to {vision}"


def test_two_signs_of_one_shape_and_two_hues_would_be_found() -> None:
    red, green = np.full((20, 20, 3), 1.0), np.full((20, 20, 3), 1.0)
    red[5:15, 5:15] = (0.7, 0.07, 0.04)
    green[5:15, 5:15] = (0.05, 0.42, 0.1)
    for vision in colours.VISIONS:
        one = colours.outline(colours.seen_by(red, vision))
        other = colours.outline(colours.seen_by(green, vision))
        assert one.any()
        assert colours.apart(one, other) < LEAST_APART
