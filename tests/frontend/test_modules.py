"""The bench's pure modules, run where Node.js is at hand."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NODE = shutil.which("node") or shutil.which("node", path=Path(sys.executable).parent)


@pytest.mark.timeout(600)
def test_the_modules_without_a_page_keep_their_promises() -> None:
    if NODE is None:
        pytest.fail("Node.js is neither on the PATH nor in .venv: run make assets")
    scripts = sorted(str(path) for path in (HERE / "js").glob("*.test.mjs"))
    assert scripts
    run = subprocess.run(
        [NODE, "--test", *scripts], capture_output=True, text=True, check=False, timeout=540
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"# pass [1-9]", run.stdout), run.stdout
