"""The model directory: a description in JSON and plain arrays, never anything that runs."""

from __future__ import annotations

import io
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.calibration import Platt
from trainer.cells import HEAT_FEATURES, cell_rows
from trainer.errors import ModelError
from trainer.features import FEATURES_VERSION
from trainer.forest import Forest
from trainer.layout import write_atomically, write_json
from trainer.model import HEAT, CellPart, Head, Model, cells_of, measure
from trainer.pictures import Picture
from trainer.scorers import Linear, Scorer

FORMAT = "loupe-trainer-1"
SIDES = (128, 256)
MAX_WEIGHT_BYTES = 256 * 1024 * 1024
MAX_JSON_BYTES = 1024 * 1024
# What deflate can reach at best; more in the directory of the archive is a lie.
MOST_PACKED = 1032


def save_model(model: Model, folder: Path) -> None:
    arrays: dict[str, NDArray[Any]] = {}
    for part, heads in (("defect", model.defect_heads), ("class", model.class_heads)):
        for head in heads:
            for name, value in head.scorer.arrays().items():
                arrays[f"{part}/{head.name}/{name}"] = value
    if model.cells is not None:
        for source, forest in model.cells.forests.items():
            for name, value in forest.arrays().items():
                arrays[f"{_forest_path(source)}{name}"] = value
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
        else {
            "sources": list(cells.forests),
            "platt": _platt_description(cells.platt),
            "log_odds_from": cells.threshold,
        },
    }


def _forest_path(source: str) -> str:
    return f"cells/forest{source.removeprefix(HEAT)}/"


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
        if total > MAX_WEIGHT_BYTES or total > packed * MOST_PACKED:
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
    cells = _cell_part(raw["cells"], arrays, widths)
    if cells is not None:
        widths |= dict.fromkeys(cells.forests, HEAT_FEATURES)
    defect = tuple(_head(item, "defect", arrays, widths, 1) for item in raw["defect_heads"])
    kinds = tuple(_head(item, "class", arrays, widths, len(classes)) for item in raw["class_heads"])
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
        cells=cells,
    )


def _widths(side: int) -> dict[str, int]:
    """How many values each source has, found by measuring a blank image."""
    blank = np.zeros((side, side), dtype=np.float32)
    picture = Picture(blank, np.zeros((8, 8, 2), dtype=np.float32), side, side)
    measured = measure(picture, with_cells=True)
    return {
        "all": len(measured.hand) + len(measured.kernels),
        "hand": len(measured.hand),
        "cells": cell_rows(cells_of(measured)).shape[1],
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
    forests = {
        str(source): Forest.from_arrays(
            _under(arrays, _forest_path(str(source))), features=widths["cells"]
        )
        for source in item.get("sources", [HEAT])
    }
    platt = _platt(item["platt"])
    named = all(source == HEAT or source.startswith(f"{HEAT}.") for source in forests)
    single = all(forest.value.shape[1] == 1 for forest in forests.values())
    if platt is None or not (forests and named and single):
        raise ModelError("The model's cell head is damaged.")
    return CellPart(forests, platt, _finite(item["log_odds_from"]))


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
