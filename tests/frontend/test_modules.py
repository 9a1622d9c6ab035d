"""The bench's pure modules, run where Node.js is at hand."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NODE = shutil.which("node")


def _can_test() -> bool:
    """Node has had its own test runner, and modules without a flag, since version 18."""
    if NODE is None:
        return False
    version = subprocess.run([NODE, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.match(r"v(\d+)", version)
    return found is not None and int(found[1]) >= 18


@pytest.mark.skipif(not _can_test(), reason="Node.js 18 or newer is not on the PATH")
def test_the_modules_without_a_page_keep_their_promises() -> None:
    scripts = sorted(str(path) for path in (HERE / "js").glob("*.test.mjs"))
    assert scripts
    run = subprocess.run(
        [str(NODE), "--test", *scripts], capture_output=True, text=True, check=False, timeout=120
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"# pass [1-9]", run.stdout), run.stdout
