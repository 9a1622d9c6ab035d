"""Folds that keep a unit together, and a lot wherever enough is left without it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.errors import TrainerError

MOST_FOLDS = 5
# Of few samples a fold model needs nearly all, or it says less than the samples would allow.
FEW_SAMPLES = 100
MOST_FOLDS_OF_FEW = 10
# A lot may be held back whole when this many samples of each of its kinds are left to learn
# from, or this share of them, and never when less than half of them are.
FEWEST_LEFT = 20
ENOUGH_LEFT = 0.75
LEAST_LEFT = 0.5


def divided_groups(
    labels: Sequence[int], groups: Sequence[str], units: Sequence[str]
) -> tuple[list[str], int]:
    """The groups with those divided into units that would leave too little; how many these are.

    A fold model that has seen one good part says nothing of how the served model will score.
    """
    totals = Counter(labels)
    held = Counter(zip(groups, labels, strict=True))
    large = set()
    for (group, label), count in held.items():
        left, share = totals[label] - count, 1 - count / totals[label]
        if share < LEAST_LEFT or (left < FEWEST_LEFT and share < ENOUGH_LEFT):
            large.add(group)
    names = [
        f"{group}/{unit}" if group in large else group
        for group, unit in zip(groups, units, strict=True)
    ]
    return names, len(large)


def grouped_folds(labels: Sequence[int], groups: Sequence[str], *, seed: int) -> NDArray[np.int64]:
    """The fold of each sample; a group is never split, and labels are spread evenly.

    Raises TrainerError when the rarer label of two comes from a single group.
    """
    kinds = sorted(set(labels))
    names = sorted(set(groups))
    spread = min(len({g for g, y in zip(groups, labels, strict=True) if y == k}) for k in kinds)
    enough = len(names) if len(kinds) > 2 else min(len(names), spread)
    count = min(MOST_FOLDS_OF_FEW if len(labels) < FEW_SAMPLES else MOST_FOLDS, enough)
    if count < 2:
        raise TrainerError(
            "The images of one kind all come from one unit or lot, so nothing can be held back "
            "to check the model. Label images of at least two units of each kind."
        )
    return _assign(labels, groups, names, kinds, count, seed)


def _assign(
    labels: Sequence[int],
    groups: Sequence[str],
    names: list[str],
    kinds: list[int],
    count: int,
    seed: int,
) -> NDArray[np.int64]:
    column = {kind: index for index, kind in enumerate(kinds)}
    table: dict[str, NDArray[np.float64]] = defaultdict(lambda: np.zeros(len(kinds)))
    for group, label in zip(groups, labels, strict=True):
        table[group][column[label]] += 1
    totals = np.sum([table[name] for name in names], axis=0)
    shuffled = [names[index] for index in np.random.default_rng(seed).permutation(len(names))]
    # Largest and most one-sided groups first: the small ones even out what is left.
    shuffled.sort(key=lambda name: -float((table[name] / totals).max()))
    filled = np.zeros((count, len(kinds)))
    fold_of: dict[str, int] = {}
    for name in shuffled:
        after = (filled + table[name]) / totals
        # The fold that is left least full where this group has most.
        cost = (after**2 - (filled / totals) ** 2).sum(axis=1)
        fold = int(np.lexsort((filled.sum(axis=1), cost))[0])
        filled[fold] += table[name]
        fold_of[name] = fold
    return np.asarray([fold_of[group] for group in groups], dtype=np.int64)
