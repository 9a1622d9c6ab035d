"""Every page there is, in every theme and from the narrowest to the widest screen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from playwright.sync_api import Page

from governance.models import User
from tests.authorization.table import TABLE
from tests.authorization.test_matrix import World, path_of, world
from tests.functional.conftest import Enter, Part

__all__ = ["world"]

AXE = (settings.BASE_DIR / "node_modules/axe-core/axe.min.js").read_text()
THEMES = ("light", "dark", "contrast")
WIDTHS = (360, 390, 768, 1024, 1440, 3840)
STANDARD = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
FAULTS = """async (tags) => {
  const { violations } = await axe.run(document, { runOnly: { type: "tag", values: tags } });
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map((node) => `${id}: ${help}: ${node.target.join(" ")}: ${node.failureSummary}`));
}"""
# Wider than the screen is what a person would have to scroll sideways for; a table in its own
# scrolling box is not.
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
SETTLED = "() => !document.querySelector('.htmx-request') && document.readyState === 'complete'"


def pages(of: World) -> Iterator[tuple[str, User]]:
    """The address of every page, and somebody who may see it."""
    for row in TABLE:
        is_page = row.method == "GET" and not row.route.startswith(("api/", "images/", "tiles/"))
        if is_page:
            role = "quality_engineer" if "quality_engineer" in row.may else min(row.may)
            yield path_of(row, of.names), of.people[role, "own"]


def is_whole(page: Page, path: str, *, status: int = 200) -> bool:
    """Open it; False for a fragment that other pages fetch."""
    answer = page.goto(path)
    assert answer is not None
    assert answer.status == status, f"{path}: {answer.status}"
    if "<html" not in answer.text():
        return False
    page.wait_for_function(SETTLED)
    return True


@pytest.fixture
def page_of(enter: Enter) -> Any:
    """One open page for each person, so that not every address costs a browser context."""
    opened: dict[str, Page] = {}

    def page(person: User | None, theme: str) -> Page:
        name = person.username if person else ""
        if name not in opened:
            opened[name] = enter(person, "/health/")
        found = opened[name]
        found.add_init_script(f"localStorage.setItem('loupe-theme', '{theme}')")
        return found

    return page


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("theme", THEMES)
def test_no_page_has_a_fault_that_axe_finds(
    theme: str, world: World, part: Part, page_of: Any
) -> None:
    part(views=("top", "side"))
    part()
    found: dict[str, list[str]] = {}
    seen = 0
    lead, nobody = world.people["lead", "own"], world.people["nobody", "own"]
    special = [("/login/", None, 200), ("/units/none/", lead, 404), ("/units/", nobody, 403)]
    for path, person, status in [*((*each, 200) for each in pages(world)), *special]:
        page = page_of(person, theme)
        if is_whole(page, path, status=status):
            assert page.locator("html").get_attribute("data-theme") == theme
            page.evaluate(AXE)
            if faults := page.evaluate(FAULTS, STANDARD):
                found[path] = faults
            seen += 1
    assert seen >= 12
    assert found == {}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_page_is_wider_than_its_screen(world: World, part: Part, page_of: Any) -> None:
    part(views=("top", "side"))
    wide: list[tuple[str, int, int]] = []
    for path, person in pages(world):
        page = page_of(person, "light")
        if is_whole(page, path):
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 900})
                over = page.evaluate(OVERFLOW)
                if over > 0:
                    wide.append((path, width, over))
    assert wide == []


@pytest.mark.slow
def test_axe_would_find_a_picture_without_a_word(world: World, page_of: Any) -> None:
    page = page_of(world.people["lead", "own"], "light")
    page.goto("/")
    page.evaluate(
        "() => { const bad = document.createElement('img');"
        " bad.src = '/static/img/loupe.svg'; document.body.append(bad); }"
    )
    page.evaluate(AXE)
    assert any(fault.startswith("image-alt") for fault in page.evaluate(FAULTS, STANDARD))
