"""The recipe: measure, learn where regions exist, fit, calibrate, evaluate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.calibration import sigmoid, softmax
from trainer.cell_training import CellFit, fit_cells
from trainer.errors import ImageError, TrainerError
from trainer.fitting import ClassFit, DefectFit, Rows, fit_classes, fit_defect
from trainer.folds import divided_groups, grouped_folds
from trainer.heads import plan_heads
from trainer.hyperparameters import Hyperparameters
from trainer.measures import class_summary, summary
from trainer.model import Measurements, Model, image_rows, measure
from trainer.pictures import decode, size_of
from trainer.progress import Progress
from trainer.samples import Sample
from trainer.workers import shared, spread

FEWEST_SAMPLES = 8
SMALL_SIDE, LARGE_SIDE = 128, 256
SMALL_IMAGE = 160
SIZES_LOOKED_AT = 25
# From here on a model of all samples scores as the fold models do, and is faster to ask.
CROSSED_BELOW = 400


@dataclass(frozen=True)
class Trained:
    model: Model
    oof_metrics: dict[str, Any]


def check_samples(samples: list[Sample]) -> None:
    """Raises TrainerError when there is nothing that could be told apart."""
    defects = sum(sample.defect for sample in samples)
    kinds = {sample.main_class for sample in samples if sample.defect}
    if len(samples) < FEWEST_SAMPLES:
        raise TrainerError(
            f"{len(samples)} labelled images are too few: at least {FEWEST_SAMPLES} are needed."
        )
    if not defects:
        raise TrainerError(
            f"All {len(samples)} training images are good: label some defects before training."
        )
    if defects == len(samples) and len(kinds) < 2:
        raise TrainerError(
            f"All {len(samples)} training images show the class {min(kinds)!r}: label good "
            "parts, or a second class, before training."
        )


def measure_sample(sample: Sample) -> Measurements:
    """Raises TrainerError naming the image that cannot be used."""
    try:
        picture = decode(sample.read(), side=shared("side"))
    except ImageError as error:
        raise TrainerError(f"Image {sample.image}: {error}") from error
    return measure(picture, with_cells=shared("with_cells"))


def choose_side(samples: list[Sample]) -> int:
    """Small images are not blown up: there is nothing between their pixels."""
    sides = []
    for sample in samples[:: max(1, len(samples) // SIZES_LOOKED_AT)]:
        try:
            sides.append(min(size_of(sample.read())))
        except ImageError as error:
            raise TrainerError(f"Image {sample.image}: {error}") from error
    return SMALL_SIDE if float(np.median(sides)) <= SMALL_IMAGE else LARGE_SIDE


def train(
    samples: list[Sample], parameters: Hyperparameters, progress: Progress, *, at: datetime
) -> Trained:
    """Deterministic for a seed. `samples` in any order give the same model."""
    check_samples(samples)
    samples = sorted(samples, key=lambda sample: sample.sha256)
    run = _Run(samples, parameters, progress, choose_side(samples))
    return run.train(at)


class _Run:
    def __init__(
        self, samples: list[Sample], parameters: Hyperparameters, progress: Progress, side: int
    ) -> None:
        self.samples = samples
        self.parameters = parameters
        self.progress = progress
        self.side = side
        self.truth = np.asarray([sample.defect for sample in samples])
        self.weights = np.asarray([sample.weight for sample in samples])
        self.classes = tuple(sorted({one.main_class for one in samples if one.defect}))
        labels = [int(one) for one in self.truth]
        if self.truth.all():
            labels = [self.classes.index(sample.main_class) for sample in samples]
        groups, self.divided = divided_groups(
            labels, [sample.group for sample in samples], [sample.unit for sample in samples]
        )
        self.folds = grouped_folds(labels, groups, seed=parameters.seed)
        self.crossed = len(samples) < CROSSED_BELOW

    def train(self, at: datetime) -> Trained:
        measured = self._measure()
        cells = self._cells(measured)
        rows: Rows = image_rows(measured)
        if cells is not None:
            rows["heat"] = cells.heat
        measured.clear()
        defect = self._defect(rows, with_heat=cells is not None)
        kinds = self._classes(rows)
        oof = self._oof_metrics(defect, kinds)
        model = self._model(at, cells, defect, kinds)
        return Trained(replace(model, metrics={"out_of_fold": oof}), oof)

    def _measure(self) -> list[Measurements]:
        with_cells = any(sample.regions for sample in self.samples)
        total = len(self.samples)
        measured = []
        results = spread(
            measure_sample, self.samples, chunk=8, side=self.side, with_cells=with_cells
        )
        for done, one in enumerate(results, start=1):
            measured.append(one)
            self.progress.report(0.45 * done / total, "features", f"{done} of {total} images")
        return measured

    def _cells(self, measured: list[Measurements]) -> CellFit | None:
        if measured[0].cells is None:
            return None

        def told(done: int, total: int) -> None:
            self.progress.report(0.45 + 0.15 * done / total, "regions", f"{done} of {total} fits")

        return fit_cells(
            self.samples,
            measured,
            self.folds,
            side=self.side,
            seed=self.parameters.seed,
            crossed=self.crossed,
            told=told,
        )

    def _defect(self, rows: Rows, *, with_heat: bool) -> DefectFit | None:
        if self.truth.all():
            return None
        plans = plan_heads(cells=with_heat)

        def told(done: int, total: int) -> None:
            self.progress.report(0.6 + 0.2 * done / total, "defects", f"{done} of {total} fits")

        return fit_defect(
            plans,
            rows,
            self.truth,
            self.folds,
            self.weights,
            seed=self.parameters.seed,
            crossed=self.crossed,
            told=told,
        )

    def _classes(self, rows: Rows) -> ClassFit | None:
        if len(self.classes) < 2:
            return None
        own = self.truth
        kinds = self._class_numbers()
        plans = plan_heads(cells=False)

        def told(done: int, total: int) -> None:
            self.progress.report(0.8 + 0.08 * done / total, "classes", f"{done} of {total} fits")

        return fit_classes(
            plans,
            {name: values[own] for name, values in rows.items()},
            kinds,
            self.folds[own],
            self.weights[own],
            outputs=len(self.classes),
            seed=self.parameters.seed,
            told=told,
        )

    def _class_numbers(self) -> NDArray[np.int64]:
        numbers = [self.classes.index(one.main_class) for one in self.samples if one.defect]
        return np.asarray(numbers, dtype=np.int64)

    def _oof_metrics(self, defect: DefectFit | None, kinds: ClassFit | None) -> dict[str, Any]:
        values: dict[str, Any] = {
            "folds": int(self.folds.max()) + 1,
            "divided_groups": self.divided,
        }
        if defect is not None:
            known = ~np.isnan(defect.scores)
            values |= summary(self.truth[known], sigmoid(defect.scores[known]))
        else:
            values |= summary(self.truth, np.full(len(self.truth), self._base_score()))
        if kinds is not None:
            seen = ~np.isnan(kinds.log_chances[:, 0])
            chances = softmax(kinds.log_chances[seen] / kinds.temperature)
            values |= class_summary(self._class_numbers()[seen], chances)
        return values

    def _base_score(self) -> float:
        return (float(self.truth.sum()) + 1.0) / (len(self.truth) + 2.0)

    def _model(
        self,
        at: datetime,
        cells: CellFit | None,
        defect: DefectFit | None,
        kinds: ClassFit | None,
    ) -> Model:
        return Model(
            name=self.parameters.model_name,
            version=self.parameters.model_version,
            side=self.side,
            classes=self.classes,
            recipe=self.parameters.recipe,
            trained_at=at.isoformat(timespec="seconds"),
            metrics={},
            base_score=self._base_score(),
            defect_heads=() if defect is None else defect.heads,
            calibration=None if defect is None else defect.calibration,
            class_heads=() if kinds is None else kinds.heads,
            temperature=1.0 if kinds is None else kinds.temperature,
            cells=None if cells is None else cells.part,
        )
