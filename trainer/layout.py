"""Where SageMaker puts what goes in and expects what comes out."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEFAULT_ROOT = "/opt/ml"
FAILURE_LIMIT = 1024


@dataclass(frozen=True)
class Layout:
    """The folders under one root; `/opt/ml` on SageMaker."""

    root: Path

    @classmethod
    def from_environment(cls) -> Layout:
        return cls(Path(os.environ.get("LOUPE_ML_ROOT") or DEFAULT_ROOT))

    @property
    def hyperparameters(self) -> Path:
        return self.root / "input" / "config" / "hyperparameters.json"

    @property
    def model(self) -> Path:
        return self.root / "model"

    @property
    def champion(self) -> Path:
        return self.channel("champion")

    @property
    def evaluation(self) -> Path:
        return self.root / "output" / "data" / "evaluation.json"

    @property
    def progress(self) -> Path:
        return self.root / "output" / "progress.json"

    @property
    def failure(self) -> Path:
        return self.root / "output" / "failure"

    def channel(self, name: str) -> Path:
        return self.root / "input" / "data" / name

    def labels(self, split: str) -> Path:
        return self.channel("labels") / f"{split}.jsonl"


def write_atomically(path: Path, content: bytes) -> None:
    """A reader sees the old content or the new, never a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Raises ValueError on NaN: no JSON reader outside Python accepts it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1)
    write_atomically(path, text.encode() + b"\n")


def write_failure(path: Path, text: str) -> None:
    write_atomically(path, text[:FAILURE_LIMIT].encode())
