"""How far a run is, for the person who waits."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from trainer.layout import write_json

STEP_SECONDS = 0.3


@dataclass
class Progress:
    """Replaces the file atomically; often enough to move, seldom enough to cost nothing."""

    path: Path
    _written: float = field(default=-1.0)
    _stage: str = field(default="")

    def report(self, fraction: float, stage: str, detail: str = "") -> None:
        now = time.monotonic()
        if stage == self._stage and now - self._written < STEP_SECONDS and fraction < 1:
            return
        if stage != self._stage:
            print(f"loupe:stage={stage}", flush=True)
        self._written, self._stage = now, stage
        value = round(min(1.0, max(0.0, fraction)), 4)
        write_json(self.path, {"fraction": value, "stage": stage, "detail": detail})
