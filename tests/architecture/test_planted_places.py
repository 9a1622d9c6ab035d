"""Every planted bug has its one place in the code, and tests that are there."""

from pathlib import Path

import pytest

from tests.planted.bugs import Bug
from tests.planted.test_planted import BUGS, planted

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name.replace(" ", "-"))
def test_it_can_be_planted(bug: Bug) -> None:
    planted(bug, (REPOSITORY / bug.file).read_text())
    for test in bug.tests:
        file, _, name = test.partition("::")
        text = (REPOSITORY / file).read_text()
        assert f"def {name.partition('[')[0]}(" in text or not name, f"{test} is not there"
