from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def state(tmp_path: Path, settings: Any) -> Iterator[Path]:
    """A state folder of the test's own; no trainer outlives the test."""
    folder = tmp_path / "state"
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
    settings.LOUPE = settings.LOUPE.model_copy(update={"state": folder})
    yield folder
    for record in folder.glob("training/*/process.json"):
        with suppress(ProcessLookupError):
            os.killpg(json.loads(record.read_text())["trainer"]["pid"], signal.SIGKILL)
