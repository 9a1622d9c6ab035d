"""What no page may hold: anything inline, anything untranslated, anything too long to read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "templates").rglob("*.html"))
MODULES = sorted((ROOT / "static" / "js").rglob("*.js"))
SHEETS = sorted((ROOT / "static" / "css").rglob("*.css"))
TOKENS = ROOT / "static" / "css" / "tokens.css"

INLINE = {
    "an inline style": re.compile(r"<[^>]*\sstyle\s*=", re.IGNORECASE),
    "a style element": re.compile(r"<style\b", re.IGNORECASE),
    "an event attribute": re.compile(r"<[^>]*\son[a-z]+\s*=", re.IGNORECASE),
    "an htmx event attribute": re.compile(r"<[^>]*\shx-on", re.IGNORECASE),
    "a script without an address": re.compile(r"<script(?![^>]*\ssrc=)[^>]*>", re.IGNORECASE),
    "a javascript: address": re.compile(r"javascript:", re.IGNORECASE),
    "something from another host": re.compile(
        r"(?:src|href)\s*=\s*[\"'](?:https?:)?//", re.IGNORECASE
    ),
}
UNSAFE_SCRIPT = {
    "eval": re.compile(r"\beval\s*\(|new Function\s*\("),
    "markup from strings": re.compile(
        r"\.(?:inner|outer)HTML\b|insertAdjacentHTML|document\.write|srcdoc"
    ),
    "a style attribute": re.compile(r"setAttribute\(\s*[\"']style"),
}
VISIBLE = re.compile(r">([^<>{}]*[A-Za-zÀ-ž]{2}[^<>{}]*)<")
NAMES = {"Loupe", "Esc", "Shift", "Tab"}
COLOUR = re.compile(r"#[0-9a-fA-F]{3,8}\b|\brgb\(|\bhsl\(")


def _id(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _bare(page: Path) -> str:
    """The page without comments, translated blocks and template tags."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"{%\s*comment\b.*?endcomment\s*%}|{#.*?#}|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(
        r"{%\s*blocktrans(?:late)?\b.*?{%\s*endblocktrans(?:late)?\s*%}", "", text, flags=re.DOTALL
    )
    return re.sub(r"{%.*?%}|{{.*?}}", "", text, flags=re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_a_template_holds_nothing_the_content_security_policy_refuses(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [name for name, pattern in INLINE.items() if pattern.search(text)] == []


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_a_template_is_translated_and_short(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert re.search(r"{% load [^%]*\bi18n\b", text), "load i18n"
    assert len(text.splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_every_word_a_person_reads_goes_through_gettext(page: Path) -> None:
    words = {found.strip() for found in VISIBLE.findall(_bare(page).replace("\n", " "))}
    assert {word for word in words if not set(word.split()) & NAMES} == set()


@pytest.mark.parametrize("module", MODULES, ids=_id)
def test_a_module_makes_no_markup_of_strings_and_runs_none(module: Path) -> None:
    text = module.read_text(encoding="utf-8")
    assert [name for name, pattern in UNSAFE_SCRIPT.items() if pattern.search(text)] == []


@pytest.mark.parametrize("sheet", SHEETS, ids=_id)
def test_a_style_sheet_takes_its_colours_from_the_tokens(sheet: Path) -> None:
    if sheet == TOKENS:
        return
    text = re.sub(r"/\*.*?\*/", "", sheet.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert COLOUR.findall(text) == []


def test_light_dark_and_contrast_define_the_same_colours() -> None:
    text = TOKENS.read_text(encoding="utf-8")
    chosen = _block(text, ':root[data-theme="dark"]')
    by_system = _block(text, ':root:not([data-theme="light"], [data-theme="contrast"])')
    assert chosen == by_system
    assert set(chosen) <= set(_block(text, ':root[data-theme="contrast"]'))


def _block(text: str, selector: str) -> dict[str, str]:
    body = text.split(selector + " {", 1)[1].split("}", 1)[0]
    return dict(re.findall(r"(--[\w-]+):\s*([^;]+);", body))


@pytest.mark.parametrize(
    ("markup", "fault"),
    [
        ('<p style="color: red">', "an inline style"),
        ('<button onclick="go()">', "an event attribute"),
        ("<script>go()</script>", "a script without an address"),
        ('<img src="//elsewhere/x.png">', "something from another host"),
    ],
)
def test_the_rules_see_what_they_forbid(markup: str, fault: str) -> None:
    assert INLINE[fault].search(markup)
