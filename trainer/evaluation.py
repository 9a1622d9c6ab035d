"""The new model and the one in force, on the same held-out images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from trainer.errors import ImageError, TrainerError
from trainer.measures import class_summary, summary
from trainer.model import Answer, Measurements, Model, measure
from trainer.pictures import decode
from trainer.samples import Sample
from trainer.workers import shared, spread

DIGITS = 6


def _answers(sample: Sample) -> tuple[Answer, ...]:
    """One answer per model; an image is measured once for all models of one size."""
    models: tuple[Model, ...] = shared("models")
    content = sample.read()
    measured: dict[int, Measurements] = {}
    with_cells = any(model.cells is not None for model in models)
    for model in models:
        if model.side not in measured:
            try:
                picture = decode(content, side=model.side)
            except ImageError as error:
                raise TrainerError(f"Image {sample.image}: {error}") from error
            measured[model.side] = measure(picture, with_cells=with_cells)
    return tuple(model.judge(measured[model.side]) for model in models)


def ask_models(
    models: tuple[Model, ...], samples: list[Sample], told: Callable[[int, int], None]
) -> list[list[Answer]]:
    """The answers of each model, in the order of the samples."""
    answers: list[list[Answer]] = [[] for _ in models]
    for done, given in enumerate(spread(_answers, samples, chunk=8, models=models), start=1):
        for column, one in zip(answers, given, strict=True):
            column.append(one)
        told(done, len(samples))
    return answers


def test_rows(samples: list[Sample], answers: list[Answer]) -> list[dict[str, Any]]:
    return [
        {
            "image": sample.image,
            "sha256": sample.sha256,
            "group": sample.group,
            "label": "defect" if sample.defect else "good",
            "classes": list(sample.classes),
            "score": round(answer.score, DIGITS),
            "predicted_class": answer.predicted_class,
            "class_probabilities": {
                name: round(chance, DIGITS) for name, chance in answer.class_chances.items()
            },
        }
        for sample, answer in zip(samples, answers, strict=True)
    ]


def test_metrics(model: Model, samples: list[Sample], answers: list[Answer]) -> dict[str, Any]:
    """Class figures count the defects whose class the model knows."""
    truth = np.asarray([sample.defect for sample in samples], dtype=bool)
    scores = np.asarray([answer.score for answer in answers], dtype=np.float64)
    metrics: dict[str, Any] = summary(truth, scores)
    if len(model.classes) > 1:
        known = [
            (model.classes.index(sample.main_class), list(answer.class_chances.values()))
            for sample, answer in zip(samples, answers, strict=True)
            if sample.defect and sample.main_class in model.classes
        ]
        numbers = np.asarray([number for number, _ in known], dtype=np.int64)
        chances = np.asarray([row for _, row in known]).reshape(len(known), len(model.classes))
        metrics |= class_summary(numbers, chances)
    return metrics


def shared_with_training(train: list[Sample], test: list[Sample]) -> dict[str, int]:
    """How many test images and groups the model may have seen: none in a sound dataset."""
    images = {sample.sha256 for sample in train} & {sample.sha256 for sample in test}
    groups = {sample.group for sample in train} & {sample.group for sample in test}
    return {"images": len(images), "groups": len(groups)}
