"""Where a prediction goes: pure rules over a score, a policy rule and the capture's fitness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from traceability.models import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Thresholds, and what they hold for: an empty key holds for everything."""

    review_from: float
    contain_from: float
    audit_rate: float = 0.01
    review_within_s: int = 900
    blind_rate: float = 0.0
    second_rate: float = 0.0
    control_rate: float = 0.0
    operators_within_s: int = 0
    second_for_scrap: bool = False
    second_for_concession: bool = True
    line: str = ""
    part_number: str = ""
    defect_class: str = ""

    def holds_for(self, *, line: str, part_number: str, defect_class: str) -> bool:
        """Whether every key this rule names is the prediction's own."""
        return (
            self.line in ("", line)
            and self.part_number in ("", part_number)
            and self.defect_class in ("", defect_class)
        )

    @property
    def specificity(self) -> tuple[int, bool, bool, bool]:
        """More keys win; among as many, defect class before part number before line."""
        keys = (bool(self.defect_class), bool(self.part_number), bool(self.line))
        return (sum(keys), *keys)


# Without a policy nothing passes by itself: everything goes before a person.
EVERYTHING_TO_A_PERSON: Final = Rule(review_from=0.0, contain_from=1.0, audit_rate=1.0)

_RANK: Final = {Route.PASS: 0, Route.REVIEW: 1, Route.CAPTURE_CHECK: 2, Route.CONTAIN: 3}


def route(*, score: float, rule: Rule, is_fit: bool) -> Route:
    """Both thresholds belong to the band above them."""
    if not is_fit:
        return Route.CAPTURE_CHECK
    if score >= rule.contain_from:
        return Route.CONTAIN
    if score >= rule.review_from:
        return Route.REVIEW
    return Route.PASS


def inclusion(route: Route, audit_rate: float) -> float:
    """The chance, known now, that a person judges what went this way."""
    return audit_rate if route == Route.PASS else 1.0


def most_specific(rules: Sequence[Rule], *, line: str, part_number: str, defect_class: str) -> Rule:
    """The rule that names the most of what the prediction is about."""
    held = [
        rule
        for rule in rules
        if rule.holds_for(line=line, part_number=part_number, defect_class=defect_class)
    ]
    return max(held, key=lambda rule: rule.specificity, default=EVERYTHING_TO_A_PERSON)


def badness(route: Route, score: float) -> tuple[int, float]:
    """Sorts views: of several views of a unit the worst one decides."""
    return _RANK[route], score


def is_sampled(*, drawn: float, route: Route, audit_rate: float) -> bool:
    """Whether something that passes is shown to a person all the same."""
    return route == Route.PASS and drawn < audit_rate
