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


KERNELS_LINEAR = HeadPlan("kernels_linear", "kernels", "linear")
HAND_BAGGED = HeadPlan("hand_bagged", "hand", "bagged")
HAND_BOOSTED = HeadPlan("hand_boosted", "hand", "boosted")
HEAT_LINEAR = HeadPlan("heat_linear", "heat", "linear")
HEAT_BAGGED = HeadPlan("heat_bagged", "heat", "bagged")
BOOSTED_FROM = 300


def plan_heads(samples: int, *, recipe: str, cells: bool) -> list[HeadPlan]:
    """Few labels get the cheap heads only; regions add the heads on the heat map."""
    plans = [KERNELS_LINEAR, HAND_BAGGED]
    if recipe == "auto" and samples >= BOOSTED_FROM:
        plans.append(HAND_BOOSTED)
    if cells:
        plans.extend((HEAT_LINEAR, HEAT_BAGGED))
    return plans


def fit_head(plan: HeadPlan, rows: Floats, labels: Labels, *, outputs: int, seed: int) -> Scorer:
    """One output is the log odds of label 1; more are one score per class."""
    if plan.method == "linear":
        return _fit_linear(plan, rows, labels, outputs)
    if plan.method == "bagged":
        return _fit_bagged(plan, rows, labels, outputs, seed)
    return fit_boosted(rows, labels, outputs=outputs, seed=seed, options=_boosting(outputs))


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


def _fit_bagged(
    plan: HeadPlan, rows: Floats, labels: Labels, outputs: int, seed: int
) -> Forest:
    learner = ExtraTreesClassifier(
        n_estimators=200 if outputs == 1 else 120,
        min_samples_leaf=2 if plan.source == "hand" else 5,
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


def _boosting(outputs: int) -> Mapping[str, Any]:
    rounds = 80 if outputs == 1 else 30
    return {
        "max_iter": rounds,
        "learning_rate": 0.1,
        "max_leaf_nodes": 12,
        "min_samples_leaf": 8,
        "l2_regularization": 2.0,
        "max_features": 0.15,
        "max_bins": 63,
    }


def fit_boosted(
    rows: Floats, labels: Labels, *, outputs: int, seed: int, options: Mapping[str, Any]
) -> Forest:
    learner = HistGradientBoostingClassifier(
        early_stopping=False, class_weight="balanced", random_state=seed, **options
    )
    learner.fit(rows, labels)
    classes = learner.classes_
    baseline = np.zeros(outputs)
    raw = np.asarray(learner._baseline_prediction).ravel()
    if outputs == 1:
        columns = np.zeros(1, dtype=np.int64)
        baseline[:] = raw[0]
    elif len(classes) == 2:
        # One tree speaks for two classes: its half for the second, and none for the first.
        columns = classes[1:].astype(np.int64)
        baseline[:] = -12.0
        baseline[int(classes[0])] = 0.0
        baseline[int(classes[1])] = raw[0]
    else:
        columns = classes.astype(np.int64)
        baseline[:] = -12.0
        baseline[columns] = raw
    return pack_boosted(learner._predictors, baseline, columns=columns)
