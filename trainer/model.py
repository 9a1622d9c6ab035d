"""A trained model: what it answers on an image, and its directory on disk."""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.calibration import Platt, sigmoid, softmax
from trainer.cells import (
    CELL,
    HEAT_FEATURES,
    Detection,
    cell_features,
    cell_rows,
    find_detections,
    heat_features,
)
from trainer.errors import ModelError
from trainer.features import FEATURES_VERSION, filter_levels, hand_features, kernel_features
from trainer.forest import Forest
from trainer.layout import write_atomically, write_json
from trainer.pictures import Picture, decode
from trainer.scorers import Linear, Scorer, class_chances, log_odds

FORMAT = "loupe-trainer-1"
SIDES = (128, 256)
MAX_WEIGHT_BYTES = 256 * 1024 * 1024
MAX_JSON_BYTES = 1024 * 1024
LABEL_FROM = 0.5


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
    """`threshold` is the log odds from which a cell belongs to a detection."""

    forest: Forest
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
            heat = self.cells.forest.predict(cell_rows(measured.cells))[:, 0]
            rows["heat"] = heat_features(heat)[None, :].astype(np.float32)
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
            head.weight * class_chances(head.scorer, rows[head.source])
            for head in self.class_heads
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
        return [self._detection(one, number, label) for number, one in enumerate(found, start=1)]

    def _detection(self, found: Detection, number: int, label: str) -> dict[str, Any]:
        assert self.cells is not None
        chance = float(sigmoid(self.cells.platt.logits(np.asarray([found.peak])))[0])
        return {
            "id": str(number),
            "label": label,
            "score": round(chance, 6),
            "box": list(found.box),
        }


def blend(heads: tuple[Head, ...], rows: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float64]:
    """The heads' calibrated log odds, weighed."""
    total = np.zeros(len(rows["all"]))
    for head in heads:
        raw = log_odds(head.scorer, rows[head.source])
        total += head.weight * (head.platt.logits(raw) if head.platt else raw)
    return total


def save_model(model: Model, folder: Path) -> None:
    arrays: dict[str, NDArray[Any]] = {}
    for part, heads in (("defect", model.defect_heads), ("class", model.class_heads)):
        for head in heads:
            for name, value in head.scorer.arrays().items():
                arrays[f"{part}/{head.name}/{name}"] = value
    if model.cells is not None:
        for name, value in model.cells.forest.arrays().items():
            arrays[f"cells/forest/{name}"] = value
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_atomically(folder / "weights.npz", buffer.getvalue())
    write_json(folder / "model.json", _description(model))


def _description(model: Model) -> dict[str, Any]:
    cells = model.cells
    return {
        "format": FORMAT,
        "features_version": FEATURES_VERSION,
        "name": model.name,
        "version": model.version,
        "classes": list(model.classes),
        "trained_at": model.trained_at,
        "recipe": model.recipe,
        "image_size": model.side,
        "metrics": model.metrics,
        "base_score": model.base_score,
        "defect_heads": [_head_description(head) for head in model.defect_heads],
        "calibration": _platt_description(model.calibration),
        "class_heads": [_head_description(head) for head in model.class_heads],
        "temperature": model.temperature,
        "cells": None
        if cells is None
        else {"platt": _platt_description(cells.platt), "log_odds_from": cells.threshold},
    }


def _head_description(head: Head) -> dict[str, Any]:
    kind = "linear" if isinstance(head.scorer, Linear) else "trees"
    return {
        "name": head.name,
        "source": head.source,
        "kind": kind,
        "weight": head.weight,
        "platt": _platt_description(head.platt),
    }


def _platt_description(platt: Platt | None) -> list[float] | None:
    return None if platt is None else [platt.slope, platt.intercept]


def load_model(folder: Path) -> Model:
    """Raises ModelError; nothing in the directory is ever executed."""
    raw = _read_description(folder / "model.json")
    arrays = _read_arrays(folder / "weights.npz")
    try:
        return _build(raw, arrays)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise ModelError(f"model.json is damaged: {error!r}.") from error


def _read_description(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_JSON_BYTES + 1)
        raw = json.loads(content)
    except FileNotFoundError as error:
        raise ModelError(f"There is no model: {path} is missing.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError("model.json cannot be read.") from error
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise ModelError(f"model.json is not of the format {FORMAT}.")
    if raw.get("features_version") != FEATURES_VERSION:
        raise ModelError("The model was trained on other measurements: train it again.")
    return raw


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Plain arrays only; the size is checked before anything is unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            total = sum(entry.file_size for entry in entries)
            packed = sum(entry.compress_size for entry in entries) + 1024
        if total > MAX_WEIGHT_BYTES or total > packed * 1032:
            raise ModelError("weights.npz is too large.")
        with np.load(path, allow_pickle=False) as stored:
            return {name: np.asarray(stored[name]) for name in stored.files}
    except FileNotFoundError as error:
        raise ModelError(f"There is no model: {path} is missing.") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, MemoryError) as error:
        raise ModelError("weights.npz cannot be read.") from error


def _build(raw: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Model:
    side = int(raw["image_size"])
    if side not in SIDES:
        raise ModelError(f"image_size is {side}; it must be one of {SIDES}.")
    classes = tuple(str(name) for name in raw["classes"])
    if not classes or any(not 1 <= len(name) <= 64 for name in classes):
        raise ModelError("model.json names no classes, or one too long.")
    widths = _widths(side)
    defect = tuple(_head(item, "defect", arrays, widths, 1) for item in raw["defect_heads"])
    kinds = tuple(
        _head(item, "class", arrays, widths, len(classes)) for item in raw["class_heads"]
    )
    if not kinds and len(classes) > 1:
        raise ModelError("The model has several classes and no head to tell them apart.")
    return Model(
        name=str(raw["name"]),
        version=str(raw["version"]),
        side=side,
        classes=classes,
        recipe=str(raw["recipe"]),
        trained_at=str(raw["trained_at"]),
        metrics=dict(raw["metrics"]),
        base_score=min(1.0, max(0.0, _finite(raw["base_score"]))),
        defect_heads=defect,
        calibration=_platt(raw["calibration"]),
        class_heads=kinds,
        temperature=max(0.01, _finite(raw["temperature"])),
        cells=_cell_part(raw["cells"], arrays, widths),
    )


def _widths(side: int) -> dict[str, int]:
    """How many values each source has, found by measuring a blank image."""
    blank = np.zeros((side, side), dtype=np.float32)
    picture = Picture(blank, np.zeros((8, 8, 2), dtype=np.float32), side, side)
    measured = measure(picture, with_cells=True)
    assert measured.cells is not None
    assert len(measured.cells) == (side // CELL) ** 2
    return {
        "all": len(measured.hand) + len(measured.kernels),
        "hand": len(measured.hand),
        "heat": HEAT_FEATURES,
        "cells": cell_rows(measured.cells).shape[1],
    }


def _head(
    item: dict[str, Any],
    part: str,
    arrays: dict[str, NDArray[Any]],
    widths: dict[str, int],
    outputs: int,
) -> Head:
    own = _under(arrays, f"{part}/{item['name']}/")
    width = widths[item["source"]]
    scorer: Scorer
    if item["kind"] == "linear":
        scorer = Linear.from_arrays(own, features=width)
        given = len(scorer.intercept)
    else:
        scorer = Forest.from_arrays(own, features=width)
        given = scorer.value.shape[1]
    if given != outputs:
        raise ModelError("The model's heads do not fit its classes.")
    return Head(
        name=str(item["name"]),
        source=str(item["source"]),
        scorer=scorer,
        weight=_finite(item["weight"]),
        platt=_platt(item["platt"]),
    )


def _cell_part(
    item: dict[str, Any] | None, arrays: dict[str, NDArray[Any]], widths: dict[str, int]
) -> CellPart | None:
    if item is None:
        return None
    forest = Forest.from_arrays(_under(arrays, "cells/forest/"), features=widths["cells"])
    platt = _platt(item["platt"])
    if platt is None or forest.value.shape[1] != 1:
        raise ModelError("The model's cell head is damaged.")
    return CellPart(forest, platt, _finite(item["log_odds_from"]))


def _under(arrays: dict[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {
        name.removeprefix(prefix): value
        for name, value in arrays.items()
        if name.startswith(prefix)
    }


def _platt(raw: list[float] | None) -> Platt | None:
    return None if raw is None else Platt(_finite(raw[0]), _finite(raw[1]))


def _finite(raw: Any) -> float:
    value = float(raw)
    if not math.isfinite(value):
        raise ModelError("model.json holds a number that is not finite.")
    return value
