"""From raw scores to probabilities; fitted on scores of samples the heads never saw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar

Floats = NDArray[np.float64]
LOGIT_LIMIT = 12.0
PRIOR_STRENGTH = 0.01
WEIGHT_LIMIT = 20.0
COLDEST, HOTTEST = 0.2, 5.0


def sigmoid(values: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(values, -40.0, 40.0))))


def logit(values: Floats, *, margin: float = 1e-4) -> Floats:
    clipped = np.clip(values, margin, 1.0 - margin)
    return np.asarray(np.log(clipped / (1.0 - clipped)))


def softmax(values: Floats) -> Floats:
    shifted = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class Platt:
    """`sigmoid(slope * score + intercept)`; the slope is never negative."""

    slope: float
    intercept: float

    def logits(self, scores: Floats) -> Floats:
        values = self.slope * scores + self.intercept
        return np.asarray(np.clip(values, -LOGIT_LIMIT, LOGIT_LIMIT))


def fit_platt(scores: Floats, truth: NDArray[np.bool_], weights: Floats) -> Platt:
    """Platt's smoothed targets and a light pull towards a flat slope guard small samples."""
    positives, negatives = float(truth.sum()), float((~truth).sum())
    targets = np.where(truth, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    centre, spread = float(scores.mean()), float(scores.std()) or 1.0
    scaled = (scores - centre) / spread
    share = weights / weights.sum()

    def loss(parameters: Floats) -> tuple[float, Floats]:
        values = parameters[0] * scaled + parameters[1]
        chance = sigmoid(values)
        penalty = PRIOR_STRENGTH * parameters[0] ** 2 / len(scores)
        errors = share * (chance - targets)
        cost = float((share * (np.logaddexp(0.0, values) - targets * values)).sum()) + penalty
        slope = float((errors * scaled).sum()) + 2 * PRIOR_STRENGTH * parameters[0] / len(scores)
        return cost, np.asarray([slope, float(errors.sum())])

    start = np.asarray([1.0, float(logit(np.asarray([(share * targets).sum()]))[0])])
    fitted = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, None), (None, None)])
    slope = float(fitted.x[0]) / spread
    return Platt(slope=slope, intercept=float(fitted.x[1]) - slope * centre)


def fit_temperature(log_probabilities: Floats, truth: NDArray[np.int64], weights: Floats) -> float:
    """The divisor of the log probabilities that makes the true classes likeliest."""
    rows = np.arange(len(truth))
    share = weights / weights.sum()

    def loss(power: float) -> float:
        chance = softmax(log_probabilities / np.exp(power))[rows, truth]
        return float(-(share * np.log(np.clip(chance, 1e-9, 1.0))).sum())

    bounds = (float(np.log(COLDEST)), float(np.log(HOTTEST)))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


def tempered(weights: Floats) -> Floats:
    """Inverse inclusion probabilities with their tail cut, so that no sample rules alone."""
    return np.minimum(weights, WEIGHT_LIMIT * float(np.median(weights)))
