"""A trained model: what it measures on an image and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.calibration import Platt, sigmoid, softmax
from trainer.cells import (
    Detection,
    cell_features,
    cell_rows,
    find_detections,
    heat_features,
)
from trainer.features import filter_levels, hand_features, kernel_features
from trainer.forest import Forest
from trainer.pictures import Picture, decode
from trainer.scorers import Scorer, class_chances, log_odds

LABEL_FROM = 0.5
HEAT = "heat"
EVERYTHING = -1


def heat_source(fold: int) -> str:
    """The name of the heat map of the forest that did not see this fold."""
    return HEAT if fold == EVERYTHING else f"{HEAT}.{fold}"


@dataclass(frozen=True)
class Measurements:
    """All that the heads may read of one image."""

    hand: NDArray[np.float32]
    kernels: NDArray[np.float32]
    cells: NDArray[np.float16] | None
    width: int
    height: int


def measure(picture: Picture, *, with_cells: bool) -> Measurements:
    levels = filter_levels(picture)
    return Measurements(
        hand=hand_features(picture, levels),
        kernels=kernel_features(levels),
        cells=cell_features(levels) if with_cells else None,
        width=picture.width,
        height=picture.height,
    )


def cells_of(measured: Measurements) -> NDArray[np.float16]:
    """Raises ValueError when the image was measured without them."""
    if measured.cells is None:
        raise ValueError("the image was measured without cells")
    return measured.cells


def image_rows(measured: list[Measurements]) -> dict[str, NDArray[np.float32]]:
    """(images, values) for each source that a head may read."""
    everything = np.stack([np.concatenate([one.hand, one.kernels]) for one in measured])
    return {"all": everything, "hand": everything[:, : len(measured[0].hand)]}


@dataclass(frozen=True)
class Head:
    """`platt` brings the heads of a blend to one scale; class heads have none."""

    name: str
    source: str
    scorer: Scorer
    weight: float
    platt: Platt | None = None


@dataclass(frozen=True)
class CellPart:
    """One forest, or one for each fold, by the name of the source that heads read.

    `threshold` is the log odds from which a cell belongs to a detection.
    """

    forests: Mapping[str, Forest]
    platt: Platt
    threshold: float


@dataclass(frozen=True)
class Answer:
    """`predicted_class` is "good" when a defect is the less likely case."""

    score: float
    predicted_class: str
    class_chances: dict[str, float]
    detections: list[dict[str, Any]] = field(default_factory=list)

    def outcome(self) -> dict[str, Any]:
        """The prediction event's `outcome` object."""
        body: dict[str, Any] = {"score": round(self.score, 6)}
        if self.predicted_class != "good":
            body["label"] = self.predicted_class
        body["detections"] = self.detections
        return body


@dataclass(frozen=True)
class Model:
    """Without `defect_heads` there was no good part to learn from: `base_score` stands."""

    name: str
    version: str
    side: int
    classes: tuple[str, ...]
    recipe: str
    trained_at: str
    metrics: dict[str, Any]
    base_score: float
    defect_heads: tuple[Head, ...]
    calibration: Platt | None
    class_heads: tuple[Head, ...]
    temperature: float
    cells: CellPart | None

    def answer(self, content: bytes) -> Answer:
        """Raises ImageError when the bytes are not an image."""
        picture = decode(content, side=self.side)
        return self.judge(measure(picture, with_cells=self.cells is not None))

    def judge(self, measured: Measurements) -> Answer:
        rows = image_rows([measured])
        heat = None
        if self.cells is not None and measured.cells is not None:
            seen = cell_rows(measured.cells)
            maps = {name: one.predict(seen)[:, 0] for name, one in self.cells.forests.items()}
            for name, values in maps.items():
                rows[name] = heat_features(values)[None, :].astype(np.float32)
            heat = np.mean(list(maps.values()), axis=0)
        score = float(self.defect_scores(rows)[0])
        chances = self.class_probabilities(rows)[0]
        likeliest = self.classes[int(chances.argmax())]
        named = {name: float(chance) for name, chance in zip(self.classes, chances, strict=True)}
        return Answer(
            score=score,
            predicted_class=likeliest if score >= LABEL_FROM else "good",
            class_chances=named,
            detections=self._detections(heat, measured, likeliest),
        )

    def defect_scores(self, rows: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float64]:
        """(images,): the calibrated probability of a defect."""
        if not self.defect_heads or self.calibration is None:
            return np.full(len(rows["all"]), self.base_score)
        return sigmoid(self.calibration.logits(blend(self.defect_heads, rows)))

    def class_probabilities(self, rows: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float64]:
        """(images, classes), given that there is a defect."""
        if not self.class_heads:
            return np.ones((len(rows["all"]), 1))
        mixed = sum(
            head.weight * class_chances(head.scorer, rows[head.source]) for head in self.class_heads
        )
        return softmax(np.log(np.clip(mixed, 1e-6, 1.0)) / self.temperature)

    def _detections(
        self, heat: NDArray[np.float64] | None, measured: Measurements, label: str
    ) -> list[dict[str, Any]]:
        if heat is None or self.cells is None:
            return []
        found = find_detections(
            heat,
            threshold=self.cells.threshold,
            width=measured.width,
            height=measured.height,
        )
        platt = self.cells.platt
        return [_detection(one, platt, number, label) for number, one in enumerate(found, start=1)]


def _detection(found: Detection, platt: Platt, number: int, label: str) -> dict[str, Any]:
    chance = float(sigmoid(platt.logits(np.asarray([found.peak])))[0])
    return {"id": str(number), "label": label, "score": round(chance, 6), "box": list(found.box)}


def blend(heads: tuple[Head, ...], rows: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float64]:
    """The heads' calibrated log odds, weighed."""
    total = np.zeros(len(rows["all"]))
    for head in heads:
        raw = log_odds(head.scorer, rows[head.source])
        total += head.weight * (head.platt.logits(raw) if head.platt else raw)
    return total
