"""Fits the heads on grouped folds and on everything, and calibrates what they say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.calibration import Platt, fit_platt, fit_temperature, tempered
from trainer.heads import HeadPlan, fit_head
from trainer.measures import auroc, class_summary
from trainer.model import EVERYTHING, HEAT, Head, heat_source
from trainer.scorers import Scorer, class_chances, log_odds
from trainer.workers import shared, spread

Rows = dict[str, NDArray[np.float32]]
Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Told = Callable[[int, int], None]

FLOOR = 0.02
POWER = 4
# Less than this share of the blend is not worth asking one head per fold.
WORTH_ASKING = 0.01


@dataclass(frozen=True)
class HeadTask:
    """`kept`: the fitted head itself is wanted, not only what it says."""

    plan: HeadPlan
    fold: int
    outputs: int
    seed: int
    kept: bool


@dataclass(frozen=True)
class DefectFit:
    """`scores` are out-of-fold log odds after the final calibration; NaN where none could be."""

    heads: tuple[Head, ...]
    calibration: Platt
    scores: Floats


@dataclass(frozen=True)
class ClassFit:
    heads: tuple[Head, ...]
    temperature: float
    log_chances: Floats


def _run(task: HeadTask) -> tuple[HeadTask, Scorer | None, Floats | None]:
    """The fitted head and, for a fold, what it says of the samples it did not see."""
    rows: NDArray[np.float32] = shared("rows")[task.plan.source]
    labels: Labels = shared("labels")
    folds: Labels = shared("folds")
    seen = folds != task.fold
    if len(np.unique(labels[seen])) < 2 or (seen.all() and task.fold != EVERYTHING):
        return task, None, None
    scorer = fit_head(task.plan, rows[seen], labels[seen], outputs=task.outputs, seed=task.seed)
    if task.fold == EVERYTHING:
        return task, scorer, None
    ask = log_odds if task.outputs == 1 else class_chances
    return task, scorer if task.kept else None, ask(scorer, rows[~seen])


def _fit_all(
    plans: list[HeadPlan],
    rows: Rows,
    labels: Labels,
    folds: Labels,
    *,
    outputs: int,
    seed: int,
    crossed: bool,
    told: Told,
) -> tuple[dict[tuple[str, int], Scorer], dict[str, Floats]]:
    """The heads to serve, by plan and fold, and what was said of the samples not seen."""
    numbers = [int(fold) for fold in np.unique(folds)]
    if not crossed:
        numbers = [EVERYTHING, *numbers]
    tasks = [
        HeadTask(plan, fold, outputs, seed, kept=crossed or fold == EVERYTHING)
        for plan in plans
        for fold in numbers
    ]
    scorers: dict[tuple[str, int], Scorer] = {}
    shape = (len(labels),) if outputs == 1 else (len(labels), outputs)
    unseen = {plan.name: np.full(shape, np.nan) for plan in plans}
    results = spread(_run, tasks, rows=rows, labels=labels, folds=folds)
    for done, (task, scorer, said) in enumerate(results, start=1):
        if scorer is not None:
            scorers[task.plan.name, task.fold] = scorer
        if said is not None:
            unseen[task.plan.name][folds == task.fold] = said
        told(done, len(tasks))
    return scorers, unseen


def fit_defect(
    plans: list[HeadPlan],
    rows: Rows,
    defects: NDArray[np.bool_],
    folds: Labels,
    weights: Floats,
    *,
    seed: int,
    crossed: bool,
    told: Told,
) -> DefectFit:
    """`crossed`: the fold models are served together, so what is calibrated is what is served."""
    scorers, unseen = _fit_all(
        plans,
        rows,
        defects.astype(np.int64),
        folds,
        outputs=1,
        seed=seed,
        crossed=crossed,
        told=told,
    )
    known = ~np.isnan(unseen[plans[0].name])
    truth, trust = defects[known], tempered(weights[known])
    platts = {plan.name: fit_platt(unseen[plan.name][known], truth, trust) for plan in plans}
    raw = {
        plan.name: max(FLOOR, (auroc(truth, unseen[plan.name][known]) or 0.5) - 0.5) ** POWER
        for plan in plans
    }
    if crossed:
        least = WORTH_ASKING * sum(raw.values())
        raw = {name: quality for name, quality in raw.items() if quality >= least}
    total = sum(raw.values())
    weighed = {name: quality / total for name, quality in raw.items()}
    mixed = np.zeros(len(defects))
    for name, weight in weighed.items():
        mixed += weight * platts[name].logits(unseen[name])
    heads = _members(plans, scorers, weighed, platts)
    calibration = fit_platt(mixed[known], truth, trust)
    scores = np.full(len(defects), np.nan)
    scores[known] = calibration.logits(mixed[known])
    return DefectFit(heads, calibration, scores)


def _members(
    plans: list[HeadPlan],
    scorers: dict[tuple[str, int], Scorer],
    weighed: dict[str, float],
    platts: dict[str, Platt],
) -> tuple[Head, ...]:
    """Every fold's head has an equal part of its plan's weight; it reads its own fold's heat."""
    heads = []
    for plan in plans:
        if plan.name not in weighed:
            continue
        own = {fold: one for (name, fold), one in scorers.items() if name == plan.name}
        for fold, scorer in own.items():
            source = heat_source(fold) if plan.source == HEAT else plan.source
            name = plan.name if fold == EVERYTHING else f"{plan.name}.{fold}"
            weight = weighed[plan.name] / len(own)
            heads.append(Head(name, source, scorer, weight, platts[plan.name]))
    return tuple(heads)


def fit_classes(
    plans: list[HeadPlan],
    rows: Rows,
    kinds: Labels,
    folds: Labels,
    weights: Floats,
    *,
    outputs: int,
    seed: int,
    told: Told,
) -> ClassFit:
    """`kinds` are class numbers; the heads are weighed by how well they rank unseen samples."""
    scorers, unseen = _fit_all(
        plans, rows, kinds, folds, outputs=outputs, seed=seed, crossed=False, told=told
    )
    known = ~np.isnan(unseen[plans[0].name][:, 0])
    raw = {}
    for plan in plans:
        quality = class_summary(kinds[known], unseen[plan.name][known])["class_auroc"] or 0.5
        raw[plan.name] = max(FLOOR, quality - 0.5) ** POWER
    total = sum(raw.values())
    heads = tuple(
        Head(plan.name, plan.source, scorers[plan.name, EVERYTHING], raw[plan.name] / total)
        for plan in plans
    )
    mixed = np.asarray(sum(head.weight * unseen[head.name] for head in heads))
    logs = np.log(np.clip(mixed, 1e-6, 1.0))
    temperature = 1.0
    if known.any():
        temperature = fit_temperature(logs[known], kinds[known], tempered(weights[known]))
    return ClassFit(heads, temperature, logs)
