"""The guide that hangs beside the station fits on one sheet of paper."""

from __future__ import annotations

import re

import pytest

from governance.models import User
from tests.functional.conftest import Enter

SHEETS = re.compile(rb"/Type\s*/Page\b(?!s)")


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_guide_prints_on_one_sheet_of_a4(enter: Enter, inspector: User, language: str) -> None:
    page = enter(inspector, "/line/guide/", locale=language)
    printed = page.pdf(prefer_css_page_size=True, print_background=False)
    assert len(SHEETS.findall(printed)) == 1
    page.emulate_media(media="print")
    assert not page.get_by_role("button", name=re.compile("Print|druck")).is_visible()
