"""The heads: what each one looks at and how it is fitted."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from trainer.forest import Forest, pack_bagged, pack_boosted
from trainer.scorers import Linear, Scorer

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]

warnings.simplefilter("ignore", ConvergenceWarning)


@dataclass(frozen=True)
class HeadPlan:
    """A head's name, the measurements it reads and the way it learns."""

    name: str
    source: str
    method: str


ALL_LINEAR = HeadPlan("all_linear", "all", "linear")
ALL_BAGGED = HeadPlan("all_bagged", "all", "bagged")
HAND_BAGGED = HeadPlan("hand_bagged", "hand", "bagged")
HEAT_LINEAR = HeadPlan("heat_linear", "heat", "linear")
HEAT_BAGGED = HeadPlan("heat_bagged", "heat", "bagged")


def plan_heads(*, cells: bool) -> list[HeadPlan]:
    """Regions add the heads on the heat map.

    Boosting on the measurements is left out: it took most of the time for little.
    """
    plans = [ALL_LINEAR, ALL_BAGGED, HAND_BAGGED]
    if cells:
        plans.extend((HEAT_LINEAR, HEAT_BAGGED))
    return plans


def fit_head(plan: HeadPlan, rows: Floats, labels: Labels, *, outputs: int, seed: int) -> Scorer:
    """One output is the log odds of label 1; more are one score per class."""
    if plan.method == "linear":
        return _fit_linear(plan, rows, labels, outputs)
    return _fit_bagged(plan, rows, labels, outputs, seed)


def _fit_linear(plan: HeadPlan, rows: Floats, labels: Labels, outputs: int) -> Linear:
    centre = rows.mean(axis=0, dtype=np.float64)
    scale = rows.std(axis=0, dtype=np.float64)
    scale[scale < 1e-6] = 1.0
    strength = 0.3 if plan.source == "heat" else 0.003
    learner = LogisticRegression(C=strength, class_weight="balanced", max_iter=300, tol=1e-4)
    learner.fit((rows - centre) / scale, labels)
    weights, intercept = learner.coef_, learner.intercept_
    if outputs > 1 and len(weights) == 1:
        weights = np.concatenate([-weights / 2, weights / 2])
        intercept = np.concatenate([-intercept / 2, intercept / 2])
    full_weights = np.zeros((outputs, rows.shape[1]))
    full_intercept = np.full(outputs, -12.0)
    columns = _columns(learner.classes_, outputs)
    full_weights[columns] = weights
    full_intercept[columns] = intercept
    limit = np.float32(8.0)
    return Linear(
        centre=centre.astype(np.float32),
        scale=scale.astype(np.float32),
        weights=full_weights.astype(np.float32),
        intercept=full_intercept.astype(np.float32),
        limit=float(limit),
    )


def _columns(classes: NDArray[Any], outputs: int) -> NDArray[np.int64]:
    return np.zeros(1, dtype=np.int64) if outputs == 1 else classes.astype(np.int64)


def _fit_bagged(plan: HeadPlan, rows: Floats, labels: Labels, outputs: int, seed: int) -> Forest:
    learner = ExtraTreesClassifier(
        n_estimators=200 if outputs == 1 else 120,
        min_samples_leaf=2 if plan.source != "heat" else 5,
        max_features="sqrt",
        class_weight="balanced",
        random_state=seed,
        n_jobs=1,
    )
    learner.fit(rows, labels)
    if outputs > 1:
        columns = learner.classes_.astype(np.int64)
        return pack_bagged(learner.estimators_, outputs=outputs, columns=columns)
    both = pack_bagged(learner.estimators_, outputs=2, columns=np.arange(2))
    return Forest(
        both.feature,
        both.threshold,
        both.child,
        np.ascontiguousarray(both.value[:, 1:]),
        both.roots,
        both.offset[1:],
        both.depth,
        both.mean,
    )


def fit_boosted(rows: Floats, labels: Labels, *, seed: int, options: Mapping[str, Any]) -> Forest:
    """Log odds of label 1 of two."""
    learner = HistGradientBoostingClassifier(
        early_stopping=False, class_weight="balanced", random_state=seed, **options
    )
    learner.fit(rows, labels)
    # scikit-learn shows its boosted trees nowhere else; the version is pinned and a test compares.
    baseline = np.asarray(learner._baseline_prediction, dtype=np.float64).ravel()  # noqa: SLF001
    return pack_boosted(learner._predictors, baseline)  # noqa: SLF001
