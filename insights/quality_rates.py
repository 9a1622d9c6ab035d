"""Shares with the interval that says how much to believe them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

Z95 = 1.959964


@dataclass(frozen=True, slots=True)
class Rate:
    """`hits` of `of`, and the 95 % Wilson interval around the share (0-1)."""

    hits: int
    of: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """0-1; 0 of nothing is 0."""
        return self.hits / self.of if self.of else 0.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some consecutive predictions of one model: which model, and the share of doubtful ones."""

    model: int
    rate: Rate


def rate(hits: int, of: int) -> Rate:
    """The share with its Wilson interval; without observations the interval is 0-1."""
    if not 0 <= hits <= of:
        message = f"{hits} of {of} is not a share"
        raise ValueError(message)
    if of == 0:
        return Rate(0, 0, 0.0, 1.0)
    share, z2 = hits / of, Z95 * Z95
    centre = (share + z2 / (2 * of)) / (1 + z2 / of)
    reach = Z95 / (1 + z2 / of) * sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    return Rate(hits, of, max(0.0, centre - reach), min(1.0, centre + reach))


def by_model(predictions: Iterable[tuple[int, bool]]) -> dict[int, Rate]:
    """Share of doubtful ones for each model, in the order the models first appear."""
    counts: dict[int, list[int]] = {}
    for model, is_doubtful in predictions:
        count = counts.setdefault(model, [0, 0])
        count[0] += is_doubtful
        count[1] += 1
    return {model: rate(hits, of) for model, (hits, of) in counts.items()}


def course(predictions: Sequence[tuple[int, bool]], *, length: int) -> list[Stretch]:
    """The predictions in stretches of `length`, in the order given; none spans two models."""
    found: list[Stretch] = []
    start = 0
    for end in range(1, len(predictions) + 1):
        model = predictions[start][0]
        is_last = end == len(predictions)
        if is_last or end - start == length or predictions[end][0] != model:
            hits = sum(is_doubtful for _, is_doubtful in predictions[start:end])
            found.append(Stretch(model, rate(hits, end - start)))
            start = end
    return found
