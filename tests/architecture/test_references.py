"""Pages made from the code are in step with it, and every link of the docs leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from drf_spectacular.drainage import GENERATOR_STATS

from config.references import api, pages
from config.settings.environment import ROOT, Environment
from config.settings.table import settings_table

MADE = pages()
WRITTEN = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "trainer" / "README.md"]
)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("name", MADE)
def test_a_page_made_from_the_code_is_in_step_with_it(name: str) -> None:
    kept = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert kept == MADE[name], "run manage.py write_references"


def test_every_setting_has_its_line_and_its_words() -> None:
    table = settings_table()
    for name, field in Environment.model_fields.items():
        assert field.description, f"{name} says nothing about itself"
        assert field.description in table
        assert name.upper() in table


def test_the_api_is_described_without_a_warning() -> None:
    GENERATOR_STATS.reset()
    api()
    assert not GENERATOR_STATS


@pytest.mark.parametrize("page", WRITTEN, ids=_name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    targets = [
        link.split("#")[0]
        for link in LINK.findall(page.read_text(encoding="utf-8"))
        if not link.startswith(("http://", "https://", "#", "mailto:"))
    ]
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_page_can_be_reached_from_the_index() -> None:
    reached, ahead = set[Path](), [ROOT / "docs" / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        links = LINK.findall(page.read_text(encoding="utf-8"))
        ahead += [
            (page.parent / link.split("#")[0]).resolve()
            for link in links
            if "://" not in link and not link.startswith("#")
        ]
    assert set((ROOT / "docs").rglob("*.md")) - reached == set()


@pytest.mark.parametrize("picture", sorted((ROOT / "docs").rglob("*.webp")), ids=_name)
def test_a_picture_is_light_and_shown(picture: Path) -> None:
    assert picture.stat().st_size < 300_000
    assert any(picture.name in page.read_text(encoding="utf-8") for page in WRITTEN)
