"""The quality engineer's guide tells how far the rules look, with the numbers of the code."""

from __future__ import annotations

from datetime import timedelta

import pytest

from config.settings.environment import ROOT
from mes_integration import nonconformance_course, nonconformance_settings

GUIDE = (ROOT / "docs" / "how-to" / "quality-engineer.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "told",
    [
        f"| {nonconformance_course.MOST:,} dispositions or one day | one look at a site |",
        f"| {nonconformance_course._MOST_BETWEEN:,} units | read at one place between",
        f"| {nonconformance_course._SCANNED:,} inspections | read back at one station",
        f"| {nonconformance_course._MOST_IN_HOURS:,} dispositions | read for one yield rule",
        f"| {nonconformance_settings.MOST_TRIED:,} dispositions | *Try on the last",
        f"*Try on the last {nonconformance_settings.TRIED_ON.days} days* |",
        f"as it takes, the earliest first, back to {nonconformance_course.REACH.days} days |",
        f"A row may have begun up to {nonconformance_course.REACH.days} days before",
    ],
)
def test_the_guide_tells_a_limit_as_it_is(told: str) -> None:
    assert told in GUIDE


def test_a_look_is_at_one_day() -> None:
    assert timedelta(days=1) == nonconformance_course.LOOKED_BACK
