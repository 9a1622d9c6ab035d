"""What a training left to be judged: its answers on the test set, and what the set was."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from labeling import datasets
from labeling.models import DatasetSample, DatasetVersion, Split
from retraining import gate
from traceability.gateways.object_store import ObjectStore
from traceability.refusals import Invalid

TRAINED_ON = (Split.TRAIN, Split.VALIDATION)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The scores of the new model and, on the same images, of the one in force."""

    model: str
    challenger: list[gate.Scored]
    champion_model: str | None
    champion: list[gate.Scored] | None
    metrics: Mapping[str, Any]


def read(store: ObjectStore, key: str) -> Evaluation:
    """Invalid when it is not an evaluation; scores are 0-1."""
    try:
        raw = json.loads(store.read(key))
        champion = raw["champion"]
        return Evaluation(
            model=_name(raw["model"]),
            challenger=[_scored(row) for row in raw["test"]],
            champion_model=_name(champion["model"]) if champion else None,
            champion=[_scored(row) for row in champion["test"]] if champion else None,
            metrics={"test": raw["metrics"], "out_of_fold": raw["oof_metrics"]},
        )
    except (ValueError, TypeError, KeyError) as error:
        raise Invalid(
            _("The training's evaluation cannot be read: %(why)r.") % {"why": error}
        ) from error


def _name(raw: Mapping[str, str]) -> str:
    return f"{raw['name']} {raw['version']}"


def _scored(row: Mapping[str, Any]) -> gate.Scored:
    score = float(row["score"])
    if row["label"] not in ("good", "defect") or not (math.isfinite(score) and 0 <= score <= 1):
        message = f"label {row['label']!r}, score {score}"
        raise ValueError(message)
    return gate.Scored(image=str(row["image"]), is_defect=row["label"] == "defect", score=score)


def held_out(store: ObjectStore, version: DatasetVersion) -> gate.HeldOut:
    """The version's test set against its training set and its parent's test set."""
    prefix = version.prefix.rstrip("/")
    tested = _labels(store, prefix, [Split.TEST])
    trained = _labels(store, prefix, TRAINED_ON)
    images = _values(tested, "image") & _values(trained, "image")
    groups = _groups(tested) & _groups(trained)
    return gate.HeldOut(
        images=frozenset(_values(tested, "image")),
        shared=len(images) + len(groups),
        dropped=_dropped(version),
    )


def _labels(store: ObjectStore, prefix: str, splits: Iterable[str]) -> list[dict[str, Any]]:
    """What the trainer read; a split without samples may have no file."""
    rows: list[dict[str, Any]] = []
    for split in splits:
        key = f"{prefix}/labels/{split}.jsonl"
        if store.exists(key):
            rows += [json.loads(line) for line in store.read(key).splitlines() if line.strip()]
    return rows


def _values(rows: list[dict[str, Any]], name: str) -> set[str]:
    return {str(row[name]) for row in rows}


def _groups(rows: list[dict[str, Any]]) -> set[str]:
    return {str(row.get("group") or row.get("unit") or row["image"]) for row in rows}


def _dropped(version: DatasetVersion) -> int:
    """Test images of the parent that are no test images now, though a label of theirs holds."""
    if version.parent_id is None:
        return 0
    labelled = datasets.current_labels(site=version.site).values("capture")
    before = DatasetSample.objects.filter(
        version_id=version.parent_id, split=Split.TEST, label__capture__in=labelled
    )
    now = DatasetSample.objects.filter(version=version, split=Split.TEST)
    path = "label__capture__sha256"
    return len(set(before.values_list(path, flat=True)) - set(now.values_list(path, flat=True)))
