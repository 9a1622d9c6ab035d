"""The unit's verdict by the acceptance criteria: case by case, and what holds for every unit."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.settings.environment import ROOT
from labeling.models import Severity
from labeling.severity_rules import SeverityRule
from labeling.zones import Zone, corners
from review.unit_verdict import BADNESS, WORDS, Finding, Known, Reason, UnitVerdict, Views, judge
from traceability.models import DispositionKind

CASES = json.loads((ROOT / "tests" / "fixtures" / "unit_verdicts.json").read_text("utf-8"))


def points(outline: list[list[float]]) -> tuple[tuple[float, float], ...]:
    return tuple((x, y) for x, y in outline)


def judged(unit: dict[str, Any]) -> UnitVerdict:
    """A case of the table, which the bench's rules are held to as well."""
    return judge(
        findings=[
            Finding(**{**finding, "outline": points(finding["outline"])})
            for finding in unit["findings"]
        ],
        classes={
            code: Known(**{**known, "usual": DispositionKind(known["usual"])})
            for code, known in unit["classes"].items()
        },
        zones=[
            Zone(
                name=zone["name"],
                view=zone["view"],
                part_number=unit["part_number"],
                severity=Severity(zone["severity"]),
                polygon=points(zone["polygon"]),
            )
            for zone in unit["zones"]
        ],
        rules=[
            SeverityRule(**{**rule, "disposition": DispositionKind(rule["disposition"])})
            for rule in unit["rules"]
        ],
        part_number=unit["part_number"],
        views=Views(
            expected=unit["views"]["expected"],
            present=tuple(unit["views"]["present"]),
            unfit=tuple(unit["views"]["unfit"]),
        ),
    )


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_each_case_of_the_table(case: dict[str, Any]) -> None:
    verdict = judged(case["unit"])
    assert {
        "kind": verdict.kind,
        "least": verdict.least,
        "code": verdict.reason.code,
        "facts": dict(verdict.reason.facts),
    } == case["expect"]


def test_every_reason_has_its_words() -> None:
    assert {case["expect"]["code"] for case in CASES} == set(WORDS)
    facts: dict[str, str | int] = {"what": "Scratch (seal)", "value": 41, "limit": 40}
    assert Reason(code="largest", facts=facts).sentence == (
        "Scratch (seal): 41 px long, 40 px allowed."
    )
    assert Reason(code="missing", facts={"present": 3, "expected": 4}).sentence == (
        "Inspection incomplete: 3 of 4 views have come."
    )


CLASSES = {
    "scratch": Known(name="Scratch", severity="major", usual=DispositionKind.REWORK),
    "pore": Known(name="Pore", severity="minor", usual=DispositionKind.HOLD),
    "crack": Known(name="Crack", severity="critical", usual=DispositionKind.SCRAP),
}
LENGTH = st.integers(1, 60)
PLACE = st.integers(0, 120)
BOXES = st.tuples(PLACE, PLACE, LENGTH, LENGTH).map(corners)
FINDINGS = st.builds(
    Finding,
    view=st.sampled_from(["top", "left"]),
    defect_class=st.sampled_from(sorted(CLASSES)),
    outline=st.one_of(st.just(()), BOXES),
    link=st.sampled_from(["", "", "a", "b"]),
)
ZONES = st.builds(
    Zone,
    name=st.sampled_from(["seal", "rim"]),
    view=st.sampled_from(["top", "left"]),
    part_number=st.just("P-1"),
    severity=st.sampled_from(list(Severity)),
    polygon=BOXES,
)
RULES = st.lists(
    st.builds(
        SeverityRule,
        defect_class=st.sampled_from(["", *sorted(CLASSES)]),
        severity=st.sampled_from(["", *Severity.values]),
        part_number=st.sampled_from(["", "P-1"]),
        largest=st.none() | st.integers(0, 60),
        most=st.none() | st.integers(0, 4),
        spacing=st.none() | st.integers(0, 60),
        area=st.none() | st.integers(0, 3000),
        disposition=st.sampled_from(
            [DispositionKind.REWORK, DispositionKind.SCRAP, DispositionKind.HOLD]
        ),
    ),
    max_size=6,
    unique_by=lambda rule: rule.names,
)
WHOLE = Views(expected=2, present=("left", "top"))
UNITS = st.fixed_dictionaries({"zones": st.lists(ZONES, max_size=3), "rules": RULES})


def verdict_on(findings: list[Finding], unit: dict[str, Any], views: Views = WHOLE) -> UnitVerdict:
    return judge(findings=findings, classes=CLASSES, part_number="P-1", views=views, **unit)


@settings(max_examples=400)
@given(st.lists(FINDINGS, max_size=6), FINDINGS, UNITS)
def test_another_finding_never_makes_the_verdict_milder(
    findings: list[Finding], other: Finding, unit: dict[str, Any]
) -> None:
    before, after = verdict_on(findings, unit), verdict_on([*findings, other], unit)
    assert BADNESS[after.kind] >= BADNESS[before.kind]
    assert BADNESS[after.least] >= BADNESS[before.least]


@settings(max_examples=200)
@given(st.data(), st.lists(FINDINGS, max_size=6), UNITS)
def test_the_order_of_the_findings_does_not_matter(
    data: st.DataObject, findings: list[Finding], unit: dict[str, Any]
) -> None:
    turned = data.draw(st.permutations(findings))
    one, other = verdict_on(findings, unit), verdict_on(turned, unit)
    assert (one.kind, one.least, one.reason) == (other.kind, other.least, other.reason)


@settings(max_examples=200)
@given(
    st.lists(FINDINGS, max_size=4),
    UNITS,
    st.sampled_from(
        [
            Views(expected=3, present=("left", "top")),
            Views(expected=2, present=("left", "top"), unfit=("top",)),
            Views(expected=4, present=(), unfit=()),
        ]
    ),
)
def test_a_missing_or_unfit_view_always_holds(
    findings: list[Finding], unit: dict[str, Any], views: Views
) -> None:
    verdict = verdict_on(findings, unit, views)
    assert verdict.kind == verdict.least == DispositionKind.HOLD
    assert verdict.reason.sentence.startswith("Inspection incomplete")


@settings(max_examples=200)
@given(st.lists(FINDINGS, min_size=1, max_size=6), UNITS)
def test_the_worst_finding_is_the_units(findings: list[Finding], unit: dict[str, Any]) -> None:
    verdict = verdict_on(findings, unit)
    assert verdict.worst is not None
    assert verdict.worst in verdict.findings
    assert BADNESS[verdict.kind] == max(BADNESS[each.kind] for each in verdict.findings)


@settings(max_examples=200)
@given(st.lists(FINDINGS.filter(lambda f: f.outline != ()), min_size=1, max_size=4), UNITS)
def test_a_defect_linked_across_views_is_counted_once(
    findings: list[Finding], unit: dict[str, Any]
) -> None:
    """With one rule that only counts, as many as there are defects are allowed."""
    linked = {finding.link for finding in findings if finding.link}
    count = len(linked) + sum(1 for finding in findings if not finding.link)
    for allowed, kind in ((count, "ACCEPT"), (count - 1, "SCRAP")):
        rule = SeverityRule(most=allowed, disposition=DispositionKind.SCRAP)
        assert verdict_on(findings, {**unit, "rules": [rule]}).kind == kind
