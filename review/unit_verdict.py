"""What is done with a unit, by the acceptance criteria: its worst finding decides. Pure.

How bad a disposition is: SCRAP above HOLD above REWORK above ACCEPT. A unit with a view that is
missing or not fit to judge is held whatever was found. The bench evaluates the same rules before
a key is pressed (static/js/review/verdict_rules.js); one table of cases holds both to the same
answers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from labeling.catalogue import SEVERITY_RANK
from labeling.regions import Point, Region
from labeling.severity_rules import SeverityRule, rule_for
from labeling.zones import Zone, corners, touch
from traceability.models import DispositionKind

BADNESS: Final[dict[DispositionKind, int]] = {
    DispositionKind.ACCEPT: 0,
    DispositionKind.REWORK: 1,
    DispositionKind.HOLD: 2,
    DispositionKind.SCRAP: 3,
}
# Why, in words; {name} is filled in. The bench gets the same sentences.
WORDS: Final[dict[str, str]] = {
    "good": "",
    "missing": gettext_noop("Inspection incomplete: {present} of {expected} views have come."),
    "unfit": gettext_noop("Inspection incomplete: not fit to judge: {views}."),
    "within": gettext_noop("{what}: within the acceptance criteria."),
    "largest": gettext_noop("{what}: {value} px long, {limit} px allowed."),
    "most": gettext_noop("{what}: {value} found, {limit} allowed."),
    "spacing": gettext_noop("{what}: {value} px apart, at least {limit} px asked for."),
    "area": gettext_noop("{what}: {value} px² together, {limit} px² allowed."),
    "usual": gettext_noop("{what}: no rule for it, the usual disposition of its class."),
    "undrawn": gettext_noop("{what}: not drawn, so its size is not known."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A defect seen in a view; without an outline only its class is known. Findings with the same
    `link` are one defect seen in several views."""

    view: str
    defect_class: str
    outline: tuple[Point, ...] = ()
    link: str = ""

    @classmethod
    def of(cls, region: Region) -> Finding:
        """What an inspector drew."""
        outline = corners(region.box) if region.box is not None else region.polygon or ()
        return cls(view=region.view, defect_class=region.defect_class, outline=outline)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the catalogue says of a class."""

    name: str
    severity: str
    usual: DispositionKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """Which views there are. One that was taken again counts as its latest image."""

    expected: int
    present: tuple[str, ...]
    unfit: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether every expected view is here and fit to judge."""
        return len(self.present) >= self.expected and not self.unfit


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why, as a key of WORDS with what fills it in."""

    code: str
    facts: Mapping[str, str | int] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """In the reader's language."""
        words = WORDS[self.code]
        return _(words).format(**self.facts) if words else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What one finding asks for. `is_ruled`: by a rule of the criteria, not by its class."""

    finding: Finding
    kind: DispositionKind
    is_ruled: bool
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitVerdict:
    """What is done with the unit. `worst` is the finding that decided; `least` is the mildest
    disposition the criteria leave to choose."""

    kind: DispositionKind
    least: DispositionKind
    reason: Reason
    worst: Judged | None = None
    findings: tuple[Judged, ...] = ()


def judge(
    *,
    findings: Sequence[Finding],
    classes: Mapping[str, Known],
    zones: Sequence[Zone],
    rules: Sequence[SeverityRule],
    part_number: str,
    views: Views,
) -> UnitVerdict:
    """The unit's verdict. `zones` are those of the part; `classes` holds every class found."""
    placed = [_Placed.of(each, classes, zones, rules, part_number) for each in findings]
    sums = {rule.names: _Sums.of(rule, placed) for rule in rules}
    judged = tuple(_judged(each, sums, classes, has_rules=bool(rules)) for each in placed)
    worst = max(judged, key=_order, default=None)
    if not views.is_whole:
        return UnitVerdict(
            kind=DispositionKind.HOLD,
            least=DispositionKind.HOLD,
            reason=incomplete(views),
            worst=worst,
            findings=judged,
        )
    if worst is None:
        kind = DispositionKind.ACCEPT
        return UnitVerdict(kind=kind, least=kind, reason=Reason(code="good"))
    ruled = [each.kind for each in judged if each.is_ruled]
    return UnitVerdict(
        kind=worst.kind,
        least=max(ruled, key=BADNESS.__getitem__, default=DispositionKind.ACCEPT),
        reason=worst.reason,
        worst=worst,
        findings=judged,
    )


def incomplete(views: Views) -> Reason:
    """Why a unit cannot be judged whole."""
    if len(views.present) < views.expected:
        facts = {"present": len(views.present), "expected": views.expected}
        return Reason(code="missing", facts=facts)
    return Reason(code="unfit", facts={"views": ", ".join(sorted(views.unfit))})


@dataclass(frozen=True, slots=True)
class _Placed:
    """A finding with the zone it touches and the rule that holds for it.

    Both hang on the finding alone: another one never moves it to a milder rule.
    """

    finding: Finding
    zone: Zone | None
    rule: SeverityRule | None

    @classmethod
    def of(
        cls,
        finding: Finding,
        classes: Mapping[str, Known],
        zones: Sequence[Zone],
        rules: Sequence[SeverityRule],
        part_number: str,
    ) -> _Placed:
        if not finding.outline:
            return cls(finding, None, None)
        touched = [z for z in zones if z.view == finding.view and touch(finding.outline, z.polygon)]
        zone = min(touched, key=lambda z: (SEVERITY_RANK[z.severity], z.name), default=None)
        severity = str(zone.severity) if zone else classes[finding.defect_class].severity
        rule = rule_for(
            rules,
            defect_class=finding.defect_class,
            severity=severity,
            part_number=part_number,
        )
        return cls(finding, zone, rule)


@dataclass(frozen=True, slots=True)
class _Sums:
    """What all the findings of one rule come to: how many, how large together, and the smallest
    gap between two in each view."""

    count: int
    area: float
    gaps: Mapping[str, float]

    @classmethod
    def of(cls, rule: SeverityRule, placed: Sequence[_Placed]) -> _Sums:
        alike = [each.finding for each in placed if each.rule == rule]
        defects = _by_defect(alike)
        # Sorted, so that the sum does not hang on the order of the findings.
        areas = sorted(max(_area(one.outline) for one in seen) for seen in defects)
        views = {one.view for one in alike} if rule.spacing is not None else set()
        gaps = {view: _least_gap([one for one in alike if one.view == view]) for view in views}
        return cls(len(defects), sum(areas), gaps)


def _judged(
    one: _Placed,
    sums: Mapping[tuple[str, str, str], _Sums],
    classes: Mapping[str, Known],
    *,
    has_rules: bool,
) -> Judged:
    known = classes[one.finding.defect_class]
    what = f"{known.name} ({one.zone.name})" if one.zone else known.name
    if one.rule is None:
        is_undrawn = has_rules and not one.finding.outline
        reason = Reason(code="undrawn" if is_undrawn else "usual", facts={"what": what})
        return Judged(finding=one.finding, kind=known.usual, is_ruled=False, reason=reason)
    beyond = _beyond(one.rule, one.finding, sums[one.rule.names])
    if beyond is None:
        reason = Reason(code="within", facts={"what": what})
        return Judged(
            finding=one.finding, kind=DispositionKind.ACCEPT, is_ruled=True, reason=reason
        )
    code, value, limit = beyond
    facts: dict[str, str | int] = {
        "what": what,
        "value": rounded(value),
        "limit": rounded(limit),
    }
    return Judged(
        finding=one.finding,
        kind=one.rule.disposition,
        is_ruled=True,
        reason=Reason(code=code, facts=facts),
    )


def _beyond(rule: SeverityRule, one: Finding, sums: _Sums) -> tuple[str, float, float] | None:
    """The first limit of the rule that is passed: its name, what was measured, what is allowed."""
    if rule.largest is not None and (size := _longest(one.outline)) > rule.largest:
        return "largest", size, rule.largest
    if rule.most is not None and sums.count > rule.most:
        return "most", sums.count, rule.most
    if rule.spacing is not None and (gap := sums.gaps[one.view]) < rule.spacing:
        return "spacing", gap, rule.spacing
    if rule.area is not None and sums.area > rule.area:
        return "area", sums.area, rule.area
    return None


def _by_defect(findings: Sequence[Finding]) -> list[list[Finding]]:
    """The findings, those that are linked together."""
    linked: dict[str, list[Finding]] = {}
    alone: list[list[Finding]] = []
    for each in findings:
        if each.link:
            linked.setdefault(each.link, []).append(each)
        else:
            alone.append([each])
    return alone + list(linked.values())


def _least_gap(near: Sequence[Finding]) -> float:
    """The smallest gap between two defects of one view."""
    placed = sorted(((_bounds(one.outline), one.link) for one in near), key=lambda p: p[0][0])
    least = math.inf
    for number, (a, link) in enumerate(placed):
        # From left to right: what begins farther off than the smallest gap so far is no nearer.
        for b, other in itertools.islice(placed, number + 1, None):
            if b[0] - a[2] >= least:
                break
            if not link or link != other:
                least = min(least, _gap(a, b))
    return least


Bounds = tuple[float, float, float, float]


def _bounds(outline: Sequence[Point]) -> Bounds:
    xs, ys = [x for x, _y in outline], [y for _x, y in outline]
    return min(xs), min(ys), max(xs), max(ys)


def _longest(outline: Sequence[Point]) -> float:
    left, top, right, bottom = _bounds(outline)
    return max(right - left, bottom - top)


def _gap(a: Bounds, b: Bounds) -> float:
    across = max(0.0, b[0] - a[2], a[0] - b[2])
    down = max(0.0, b[1] - a[3], a[1] - b[3])
    return math.sqrt(across * across + down * down)


def _area(outline: Sequence[Point]) -> float:
    doubled = 0.0
    for (x, y), (next_x, next_y) in zip(outline, [*outline[1:], outline[0]], strict=True):
        doubled += x * next_y - next_x * y
    return abs(doubled) / 2


def rounded(value: float) -> int:
    """To whole pixels, halves up, as the bench does."""
    return math.floor(value + 0.5)


def _order(judged: Judged) -> tuple[int, str, str, list[Point]]:
    """The worst last; of two as bad always the same, in whatever order they came."""
    one = judged.finding
    return BADNESS[judged.kind], one.view, one.defect_class, sorted(one.outline)
