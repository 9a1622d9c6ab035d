"""Folds that keep a unit or lot together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.errors import TrainerError

MOST_FOLDS = 5


def grouped_folds(labels: Sequence[int], groups: Sequence[str], *, seed: int) -> NDArray[np.int64]:
    """The fold of each sample; a group is never split, and labels are spread evenly.

    Raises TrainerError when the rarer label of two comes from a single group.
    """
    kinds = sorted(set(labels))
    names = sorted(set(groups))
    spread = min(len({g for g, y in zip(groups, labels, strict=True) if y == k}) for k in kinds)
    enough = len(names) if len(kinds) > 2 else min(len(names), spread)
    count = min(MOST_FOLDS, enough)
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
