"""What was done to the plant and when, so that a run that failed can be looked at and run again."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.ledger_notes import Notes
from benchmarks.ledger_seen import Violation


@dataclass
class History:
    """Notes in the order of time, in seconds since the run began."""

    seed: int
    began: float = field(default_factory=time.monotonic)
    lines: list[dict[str, Any]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, what: str, **more: Any) -> None:
        """One thing that was done."""
        with self._lock:
            self.lines.append({"t": round(time.monotonic() - self.began, 3), "do": what, **more})

    def keep(self, folder: Path, violations: Iterable[Violation], notes: Notes) -> Path:
        """The run that failed as a file: its seed, what was done, what was told, what is wrong."""
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"ledger-{self.seed}-{int(time.time())}.jsonl"
        with file.open("w") as out:
            rows: list[dict[str, Any]] = [
                {"seed": self.seed},
                *({"violation": str(violation)} for violation in violations),
                *self.lines,
                *({"claimed": asdict(claimed)} for claimed in notes.claimed),
                *({"said": asdict(said)} for said in notes.said),
                *({"answered": asdict(answered)} for answered in notes.answered),
                *({"settled": asdict(settled)} for settled in notes.settled),
                *({"word": asdict(word)} for word in notes.words),
                *({"changed": asdict(changed)} for changed in notes.changed),
            ]
            out.writelines(json.dumps(row, default=str) + "\n" for row in rows)
        return file
