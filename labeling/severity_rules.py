"""How much of a defect is within the acceptance criteria, and what is done beyond. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from traceability.models import DispositionKind

LIMITS: Final = ("largest", "most", "spacing", "area")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeverityRule:
    """Limits for the findings it names; an empty name means all.

    `largest`: longest side of one, pixels. `most`: how many on the unit. `spacing`: least gap
    between two in one view, pixels. `area`: of all together, square pixels. None sets no limit.
    """

    defect_class: str = ""
    severity: str = ""
    part_number: str = ""
    largest: float | None = None
    most: int | None = None
    spacing: float | None = None
    area: float | None = None
    disposition: DispositionKind

    @property
    def names(self) -> tuple[str, str, str]:
        """What the rule is for; no two rules share it."""
        return self.part_number, self.severity, self.defect_class

    def as_json(self) -> dict[str, Any]:
        """As it is stored and as the bench evaluates it."""
        return {**asdict(self), "disposition": str(self.disposition)}


def rule_for(
    rules: Sequence[SeverityRule], *, defect_class: str, severity: str, part_number: str
) -> SeverityRule | None:
    """The rule that names the most of a finding; the part number weighs more than the severity, the
    severity more than the class: what is critical stays so whatever its class may have elsewhere.
    """
    asked = (part_number, severity, defect_class)
    fitting = [
        rule
        for rule in rules
        if all(name in ("", one) for name, one in zip(rule.names, asked, strict=True))
    ]
    return max(fitting, key=_weight, default=None)


def _weight(rule: SeverityRule) -> tuple[int, tuple[bool, ...]]:
    named = tuple(name != "" for name in rule.names)
    return sum(named), named
