"""Every picture in the documentation is taken by a test, and every one that is taken is shown."""

from __future__ import annotations

import re
from pathlib import Path

from django.conf import settings

ROOT = Path(settings.BASE_DIR)
TAKEN = re.compile(r"snap\(\s*\w+,\s*\"([\w-]+)\"")
SHOWN = re.compile(r"!\[[^\]]+\]\((?:\.\./|docs/)?images/([\w-]+\.\w+)\)")


def taken() -> set[str]:
    """Names of the pictures the browser tests take."""
    tests = (ROOT / "tests/functional").glob("*.py")
    return {f"{name}.webp" for test in tests for name in TAKEN.findall(test.read_text())}


def shown() -> set[str]:
    """Names of the pictures the documentation shows, each with words for who cannot see it."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    return {name for page in pages for name in SHOWN.findall(page.read_text())}


def test_every_picture_shown_is_taken_by_a_test() -> None:
    assert shown() - taken() == set()


def test_every_picture_taken_is_there_and_is_shown() -> None:
    there = {path.name for path in (ROOT / "docs/images").iterdir()}
    assert there == taken()
    assert taken() - shown() == set()
