"""How every bench says what it found: `name<TAB>value<TAB>unit`, one a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Figure(NamedTuple):
    """One measured figure."""

    name: str
    value: float
    unit: str


def show(figures: Sequence[Figure]) -> None:
    """Print the figures for people and scripts alike."""
    for name, value, unit in figures:
        print(f"{name}\t{value:.4g}\t{unit}", flush=True)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0-1) of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
