"""How far two people agree: which verdicts make a pair, where they differ, and the figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from math import sqrt
from typing import Final

from django.db.models import F, QuerySet
from django.utils.translation import gettext as _

from review.models import Answer, Decision, TaskPurpose, TaskState

Z95: Final = 1.959964


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `of`, with its 95 % Wilson interval (0-1); 0-1 when nothing was counted."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        """0-1; 0 of nothing is 0."""
        return self.hits / self.of if self.of else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's, at 95 %."""
        if self.of == 0:
            return 0.0, 1.0
        z2 = Z95 * Z95
        centre = (self.value + z2 / (2 * self.of)) / (1 + z2 / self.of)
        inner = self.value * (1 - self.value) / self.of + z2 / (4 * self.of * self.of)
        reach = Z95 / (1 + z2 / self.of) * sqrt(inner)
        # The share itself is within, also where rounding would put it a last digit outside.
        return max(0.0, min(self.value, centre - reach)), min(1.0, max(self.value, centre + reach))

    @property
    def percent(self) -> float:
        """0-100."""
        return 100 * self.value

    @property
    def percent_low(self) -> float:
        """The interval's lower end, 0-100."""
        return 100 * self.interval[0]

    @property
    def percent_high(self) -> float:
        """The interval's upper end, 0-100."""
        return 100 * self.interval[1]


@dataclass(frozen=True, slots=True)
class Kappa:
    """Cohen's kappa with its 95 % interval; no value where both always say the same one thing, no
    interval where the pairs have no spread to tell one from."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Percent agreement and kappa of as many pairs."""

    share: Share
    kappa: Kappa


def definition() -> str:
    """Printed beside every kappa: what it is, and of what."""
    return _(
        "Cohen's kappa = (po - pe) / (1 - pe): po is the share of parts both judged alike, pe the "
        "share expected by chance from how often each gave each answer; every part counts once. "
        "Interval: 95 %, large-sample standard error."
    )


def agreement(pairs: Iterable[tuple[Hashable, Hashable]]) -> Agreement:
    """Of what one said and what the other said of the same part; pure."""
    table = Counter(pairs)
    total = table.total()
    alike = sum(count for (one, other), count in table.items() if one == other)
    return Agreement(Share(alike, total), _kappa(table, total, alike))


def _kappa(table: Counter[tuple[Hashable, Hashable]], total: int, alike: int) -> Kappa:
    if total == 0:
        return Kappa(None, None, None)
    ones: Counter[Hashable] = Counter()
    others: Counter[Hashable] = Counter()
    for (one, other), count in table.items():
        ones[one] += count
        others[other] += count
    po = alike / total
    pe = sum(ones[said] * others[said] for said in ones) / (total * total)
    if pe >= 1:
        return Kappa(None, None, None)
    value = (po - pe) / (1 - pe)
    reach = Z95 * sqrt(_variance(table, ones, others, total, value, pe))
    if reach == 0:
        return Kappa(value, None, None)
    return Kappa(value, max(-1.0, value - reach), min(1.0, value + reach))


def _variance(
    table: Counter[tuple[Hashable, Hashable]],
    ones: Counter[Hashable],
    others: Counter[Hashable],
    total: int,
    kappa: float,
    pe: float,
) -> float:
    """Fleiss, Cohen and Everitt's large-sample variance of kappa."""
    on = off = 0.0
    for (one, other), count in table.items():
        share = count / total
        if one == other:
            margins = (ones[one] + others[one]) / total
            on += share * (1 - margins * (1 - kappa)) ** 2
        else:
            margins = (others[one] + ones[other]) / total
            off += share * margins**2
    inner = on + (1 - kappa) ** 2 * off - (kappa - pe * (1 - kappa)) ** 2
    return max(0.0, inner) / (total * (1 - pe) ** 2)


def differences(first: Decision, second: Decision) -> list[str]:
    """In what two verdicts on the same part differ."""
    found = []
    if first.answer != second.answer:
        found.append("answer")
    if first.disposition_kind != second.disposition_kind:
        found.append("disposition")
    both = first.answer == second.answer == Answer.CONFIRMED
    if both and first.defect_class != second.defect_class:
        found.append("defect_class")
    return found


def standing(purpose: TaskPurpose) -> QuerySet[Decision]:
    """The verdicts that hold on tasks of one purpose: neither taken back nor asked again."""
    return Decision.objects.filter(
        task__purpose=purpose,
        task__state=TaskState.DECIDED,
        fence=F("task__fence"),
        withdrawal__isnull=True,
    )


def standing_pair(inspection_id: int) -> tuple[Decision, Decision] | None:
    """The first and the second verdict that hold on an inspection, where both do."""
    found = {
        purpose: standing(purpose).filter(task__inspection_id=inspection_id).first()
        for purpose in (TaskPurpose.FIRST, TaskPurpose.SECOND)
    }
    first, second = found[TaskPurpose.FIRST], found[TaskPurpose.SECOND]
    return (first, second) if first and second else None
