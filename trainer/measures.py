"""How good scores are. Every figure is None when the samples cannot show it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ECE_BINS = 10
CLIP = 1e-6

Scores = NDArray[np.float64]
Truth = NDArray[np.bool_]


def auroc(truth: Truth, scores: Scores) -> float | None:
    """The chance that a defect scores above a good part; ties count half."""
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if not positives or not negatives:
        return None
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2.0)[inverse]
    above = float(ranks[truth].sum()) - positives * (positives + 1) / 2
    return above / (positives * negatives)


def average_precision(truth: Truth, scores: Scores) -> float | None:
    positives = int(truth.sum())
    if not positives or positives == len(truth):
        return None
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(truth[order])
    ordered = scores[order]
    ends = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    precision = found[ends] / (ends + 1)
    recall = found[ends] / positives
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def expected_calibration_error(truth: Truth, scores: Scores) -> float | None:
    """Ten bins of equal width, weighted by how many samples each holds."""
    if not len(truth):
        return None
    bins = np.minimum((scores * ECE_BINS).astype(np.int64), ECE_BINS - 1)
    counts = np.bincount(bins, minlength=ECE_BINS)
    gaps = np.bincount(bins, weights=truth - scores, minlength=ECE_BINS)
    return float(np.abs(gaps).sum() / counts.sum())


def log_loss(truth: Truth, scores: Scores) -> float | None:
    if not len(truth):
        return None
    chance = np.clip(np.where(truth, scores, 1.0 - scores), CLIP, 1.0)
    return float(-np.log(chance).mean())


def summary(truth: Truth, scores: Scores) -> dict[str, float | int | None]:
    return {
        "auroc": _rounded(auroc(truth, scores)),
        "average_precision": _rounded(average_precision(truth, scores)),
        "ece": _rounded(expected_calibration_error(truth, scores)),
        "log_loss": _rounded(log_loss(truth, scores)),
        "samples": len(truth),
        "defects": int(truth.sum()),
    }


def class_summary(
    truth: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> dict[str, float | None]:
    """Over defects of a known class: one-vs-rest means, and the share named right."""
    if not len(truth):
        return {"class_auroc": None, "class_ece": None, "class_accuracy": None}
    curves, gaps = [], []
    for column in range(probabilities.shape[1]):
        one = truth == column
        area = auroc(one, probabilities[:, column])
        if area is not None:
            curves.append(area)
            gaps.append(expected_calibration_error(one, probabilities[:, column]) or 0.0)
    right = probabilities.argmax(axis=1) == truth
    return {
        "class_auroc": _rounded(float(np.mean(curves))) if curves else None,
        "class_ece": _rounded(float(np.mean(gaps))) if gaps else None,
        "class_accuracy": _rounded(float(right.mean())),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 5)
