"""Learns from boxes and polygons which cells of an image are defective."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.calibration import Platt, fit_platt, logit, tempered
from trainer.cells import COVERED, cell_labels, cell_rows, heat_features
from trainer.folds import MOST_FOLDS
from trainer.forest import Forest
from trainer.heads import fit_boosted
from trainer.model import EVERYTHING, CellPart, Measurements, cells_of, heat_source
from trainer.samples import Sample
from trainer.workers import shared, spread

FEWEST_IMAGES = 6
POSITIVES_PER_IMAGE = 48
NEGATIVES_PER_IMAGE = 32
DETECT_FROM = 0.4
OPTIONS = {
    "max_iter": 60,
    "learning_rate": 0.12,
    "max_leaf_nodes": 16,
    "min_samples_leaf": 20,
    "l2_regularization": 5.0,
    "max_features": 0.3,
    "max_depth": 7,
    "max_bins": 63,
}

# Many folds mean as many forests to ask: shorter ones keep the answer as fast.
SHORT = OPTIONS | {"max_iter": 30, "learning_rate": 0.2}

Told = Callable[[int, int], None]
Bits = NDArray[np.bool_]


@dataclass(frozen=True)
class CellFit:
    """`heat` (images, heat features) comes from forests that did not see the image's fold."""

    part: CellPart
    heat: NDArray[np.float32]


@dataclass(frozen=True)
class _Drawn:
    rows: NDArray[np.float32]
    positive: Bits


def enough_regions(samples: list[Sample], folds: NDArray[np.int64]) -> bool:
    """Each fold must leave marked images to learn from."""
    marked = {fold for sample, fold in zip(samples, folds, strict=True) if sample.regions}
    return sum(bool(sample.regions) for sample in samples) >= FEWEST_IMAGES and len(marked) >= 2


def _draw(index: int) -> _Drawn:
    """The cells of one image that take part in learning."""
    sample: Sample = shared("samples")[index]
    measured: Measurements = shared("measured")[index]
    random = np.random.default_rng((shared("seed"), index))
    if sample.defect and not sample.regions:
        # A defect that nobody marked may be anywhere: its cells teach neither side.
        chosen, positive = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=bool)
    else:
        share = cell_labels(
            sample.regions, width=measured.width, height=measured.height, side=shared("side")
        )
        inside = _some(random, np.flatnonzero(share >= COVERED), POSITIVES_PER_IMAGE)
        outside = _some(random, np.flatnonzero(share == 0), NEGATIVES_PER_IMAGE)
        chosen = np.concatenate([inside, outside])
        positive = np.arange(len(chosen)) < len(inside)
    return _Drawn(cell_rows(cells_of(measured))[chosen], positive)


def _some(random: np.random.Generator, places: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    return places if len(places) <= most else random.choice(places, most, replace=False)


def _fit(fold: int) -> Forest | None:
    seen = shared("cell_folds") != fold
    positive: Bits = shared("positive")[seen]
    if positive.all() or not positive.any():
        return None
    rows: NDArray[np.float32] = shared("cell_rows")[seen]
    labels = positive.astype(np.int64)
    return fit_boosted(rows, labels, seed=shared("seed"), options=shared("options"))


def _heat(index: int) -> NDArray[np.float64]:
    forest: Forest = shared("forests")[shared("folds")[index]]
    measured: Measurements = shared("measured")[index]
    return heat_features(forest.predict(cell_rows(cells_of(measured)))[:, 0])


def fit_cells(
    samples: list[Sample],
    measured: list[Measurements],
    folds: NDArray[np.int64],
    *,
    side: int,
    seed: int,
    crossed: bool,
    told: Told,
) -> CellFit | None:
    """None when there are too few marked images. `crossed`: the folds' forests are served."""
    if not enough_regions(samples, folds):
        return None
    indices = list(range(len(samples)))
    drawn = list(
        spread(_draw, indices, chunk=16, samples=samples, measured=measured, side=side, seed=seed)
    )
    numbers = [int(fold) for fold in np.unique(folds)]
    if not crossed:
        numbers = [EVERYTHING, *numbers]
    forests: dict[int, Forest] = {}
    fitted = spread(
        _fit,
        numbers,
        cell_rows=np.concatenate([one.rows for one in drawn]),
        positive=np.concatenate([one.positive for one in drawn]),
        cell_folds=np.repeat(folds, [len(one.rows) for one in drawn]),
        options=OPTIONS if len(numbers) <= MOST_FOLDS + 1 else SHORT,
        seed=seed,
    )
    for done, (fold, forest) in enumerate(zip(numbers, fitted, strict=True), start=1):
        if forest is None:
            return None
        forests[fold] = forest
        told(done, len(numbers))
    heat = np.stack(
        list(spread(_heat, indices, chunk=16, forests=forests, folds=folds, measured=measured))
    )
    served = forests if crossed else {EVERYTHING: forests[EVERYTHING]}
    by_source = {heat_source(fold): forest for fold, forest in served.items()}
    part = _calibrated(by_source, heat, samples)
    return CellFit(part, heat.astype(np.float32))


def _calibrated(
    forests: dict[str, Forest], heat: NDArray[np.float64], samples: list[Sample]
) -> CellPart:
    """A detection's score is the chance of a defect, given how hot its hottest cell is."""
    truth = np.asarray([sample.defect for sample in samples])
    if truth.all():
        return CellPart(forests, Platt(1.0, 0.0), 0.0)
    weights = tempered(np.asarray([sample.weight for sample in samples]))
    platt = fit_platt(heat[:, 0], truth, weights)
    if platt.slope < 1e-6:
        return CellPart(forests, platt, 40.0)
    wanted = float(logit(np.asarray([DETECT_FROM]))[0])
    return CellPart(forests, platt, (wanted - platt.intercept) / platt.slope)
