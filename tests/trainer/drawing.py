"""Small parts drawn for the tests: smooth metal, some of it scratched or pitted."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

SIDE = 96


@dataclass(frozen=True)
class Part:
    content: bytes
    label: str
    classes: tuple[str, ...]
    box: tuple[int, int, int, int] | None
    group: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def image(self) -> str:
        return f"{self.sha256[:2]}/{self.sha256[2:4]}/{self.sha256}"

    def line(self, *, regions: bool = True, **more: Any) -> dict[str, Any]:
        boxes = []
        if self.box is not None and regions:
            x, y, width, height = self.box
            boxes = [{"label": self.classes[0], "x": x, "y": y, "width": width, "height": height}]
        return {
            "image": self.image,
            "sha256": self.sha256,
            "label": self.label,
            "classes": list(self.classes),
            "boxes": boxes,
            "polygons": [],
            "group": self.group,
            "unit": self.group,
            "lot": None,
        } | more


def draw_part(number: int, kind: str, *, image_format: str = "PNG", side: int = SIDE) -> Part:
    """`kind` is good, scratch or pit; the number decides grain, place and unit."""
    random = np.random.default_rng(number)
    grain = random.normal(140 + random.uniform(-15, 15), 6, (side, side))
    image = Image.fromarray(np.clip(grain, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    x, y = (int(value) for value in random.integers(10, side - 40, 2))
    box = None
    if kind == "scratch":
        draw.line((x, y, x + 26, y + 18), fill=40, width=2)
        box = (x - 1, y - 1, 29, 21)
    elif kind == "pit":
        draw.ellipse((x, y, x + 9, y + 9), fill=50)
        box = (x - 1, y - 1, 12, 12)
    stream = io.BytesIO()
    image.save(stream, format=image_format)
    good = kind == "good"
    return Part(
        content=stream.getvalue(),
        label="good" if good else "defect",
        classes=() if good else (kind,),
        box=box,
        group=f"unit-{number // 2}",
    )


def draw_parts(count: int, kinds: tuple[str, ...], *, start: int = 0) -> list[Part]:
    return [draw_part(start + number, kinds[number % len(kinds)]) for number in range(count)]


@dataclass
class Job:
    """One root folder as SageMaker would lay it out."""

    root: Path
    hyperparameters: dict[str, str] = field(
        default_factory=lambda: {"model_name": "drawn", "model_version": "7", "seed": "3"}
    )

    def lay_out(self, **splits: list[Part]) -> Job:
        for split, parts in splits.items():
            self.add(split, parts, [part.line() for part in parts])
        return self.configure()

    def configure(self) -> Job:
        config = self.root / "input" / "config"
        config.mkdir(parents=True, exist_ok=True)
        (config / "hyperparameters.json").write_text(json.dumps(self.hyperparameters))
        return self

    def add(self, split: str, parts: list[Part], lines: list[dict[str, Any]]) -> None:
        data = self.root / "input" / "data"
        for part in parts:
            target = data / split / part.image
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(part.content)
        labels = data / "labels" / f"{split}.jsonl"
        labels.parent.mkdir(parents=True, exist_ok=True)
        labels.write_text("".join(json.dumps(line) + "\n" for line in lines))

    @property
    def failure(self) -> str:
        return (self.root / "output" / "failure").read_text()

    @property
    def evaluation(self) -> dict[str, Any]:
        content = (self.root / "output" / "data" / "evaluation.json").read_text()
        return dict(json.loads(content))

    @property
    def model(self) -> dict[str, Any]:
        return dict(json.loads((self.root / "model" / "model.json").read_text()))

    @property
    def progress(self) -> dict[str, Any]:
        return dict(json.loads((self.root / "output" / "progress.json").read_text()))
