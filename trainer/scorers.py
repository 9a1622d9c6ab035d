"""Fitted heads as arrays, asked without scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.calibration import logit, softmax
from trainer.errors import ModelError
from trainer.forest import Forest


@dataclass(frozen=True)
class Linear:
    """Standardises, clips at `limit` deviations (a strange image must not shout), weighs."""

    centre: NDArray[np.float32]
    scale: NDArray[np.float32]
    weights: NDArray[np.float32]
    intercept: NDArray[np.float32]
    limit: float

    def predict(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        standard = np.clip((rows - self.centre) / self.scale, -self.limit, self.limit)
        return np.asarray(standard @ self.weights.T + self.intercept, dtype=np.float64)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "centre": self.centre,
            "scale": self.scale,
            "weights": self.weights,
            "intercept": self.intercept,
            "limit": np.asarray([self.limit], dtype=np.float32),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], *, features: int) -> Linear:
        try:
            centre, scale, weights, intercept = (
                arrays[name].astype(np.float32)
                for name in ("centre", "scale", "weights", "intercept")
            )
            limit = float(arrays["limit"][0])
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise ModelError("The model's weights are damaged.") from error
        sound = (
            centre.shape == scale.shape == (features,)
            and weights.ndim == 2
            and weights.shape == (len(intercept), features)
            and intercept.ndim == 1
            and bool((scale > 0).all())
            and all(np.isfinite(part).all() for part in (centre, scale, weights, intercept))
        )
        if not sound:
            raise ModelError("The model's weights are damaged.")
        return cls(centre, scale, weights, intercept, limit)


Scorer = Linear | Forest


def log_odds(scorer: Scorer, rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """(rows,): log odds of a defect, not calibrated."""
    raw = scorer.predict(rows)[:, 0]
    if isinstance(scorer, Forest) and scorer.mean:
        return logit(raw, margin=0.005)
    return raw


def class_chances(scorer: Scorer, rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """(rows, classes) probabilities, not calibrated."""
    raw = scorer.predict(rows)
    if isinstance(scorer, Forest) and scorer.mean:
        return np.asarray(raw / np.maximum(raw.sum(axis=1, keepdims=True), 1e-9))
    return softmax(raw)
