"""The routing rule by its properties."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from inference_bridge.routing import (
    EVERYTHING_TO_A_PERSON,
    Rule,
    badness,
    inclusion,
    is_sampled,
    most_specific,
    route,
)
from traceability.draws import draw
from traceability.models import Route

UNIT = st.floats(0, 1)
CODES = st.sampled_from(["", "a", "b"])


@st.composite
def rules(build: st.DrawFn) -> Rule:
    low, high = sorted((build(UNIT), build(UNIT)))
    return Rule(
        review_from=low,
        contain_from=high,
        audit_rate=build(UNIT),
        line=build(CODES),
        part_number=build(CODES),
        defect_class=build(CODES),
    )


ORDER = [Route.PASS, Route.REVIEW, Route.CONTAIN]


@given(rules(), UNIT, UNIT)
def test_a_higher_score_is_never_treated_milder(rule: Rule, one: float, other: float) -> None:
    low, high = sorted((one, other))
    milder = route(score=low, rule=rule, is_fit=True)
    graver = route(score=high, rule=rule, is_fit=True)
    assert ORDER.index(milder) <= ORDER.index(graver)


@given(rules())
def test_both_thresholds_belong_to_the_band_above(rule: Rule) -> None:
    assert route(score=rule.contain_from, rule=rule, is_fit=True) == Route.CONTAIN
    just_below = math.nextafter(rule.contain_from, -1)
    if just_below >= rule.review_from:
        assert route(score=just_below, rule=rule, is_fit=True) == Route.REVIEW
        assert route(score=rule.review_from, rule=rule, is_fit=True) == Route.REVIEW
    if rule.review_from > 0:
        below = math.nextafter(rule.review_from, -1)
        assert route(score=below, rule=rule, is_fit=True) == Route.PASS


@given(rules(), UNIT)
def test_an_unfit_image_is_never_judged(rule: Rule, score: float) -> None:
    assert route(score=score, rule=rule, is_fit=False) == Route.CAPTURE_CHECK


@given(UNIT, st.sampled_from(list(Route)))
def test_who_goes_before_a_person_is_included_for_certain(rate: float, goes: Route) -> None:
    assert inclusion(goes, rate) == (rate if goes == Route.PASS else 1.0)


@given(st.floats(0.001, 1), st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_the_share_that_is_sampled_is_the_audit_rate(rate: float, seed: int) -> None:
    size = 4000
    sampled = sum(
        is_sampled(
            drawn=draw(site="1", inspection=f"{seed}-{n}", key=b"key"),
            route=Route.PASS,
            audit_rate=rate,
        )
        for n in range(size)
    )
    # Six standard deviations: a false alarm once in some hundred million runs.
    slack = 6 * math.sqrt(size * rate * (1 - rate)) + 1
    assert abs(sampled - size * rate) <= slack


@given(st.text(max_size=20), st.text(max_size=20), st.binary(max_size=80))
def test_the_draw_is_the_same_again_and_needs_the_key(
    site: str, inspection: str, key: bytes
) -> None:
    drawn = draw(site=site, inspection=inspection, key=key)
    assert 0 <= drawn < 1
    assert drawn == draw(site=site, inspection=inspection, key=key)
    assert drawn != draw(site=site, inspection=inspection, key=b"another" + key[:40])


@given(st.sampled_from([Route.REVIEW, Route.CONTAIN, Route.CAPTURE_CHECK]), UNIT)
def test_only_what_passes_is_sampled(goes: Route, drawn: float) -> None:
    assert not is_sampled(drawn=drawn, route=goes, audit_rate=1.0)


@given(st.lists(rules(), max_size=12), CODES, CODES, CODES)
def test_the_rule_that_names_the_most_wins(
    given_rules: list[Rule], line: str, part: str, defect: str
) -> None:
    won = most_specific(given_rules, line=line, part_number=part, defect_class=defect)
    held = [
        rule
        for rule in given_rules
        if rule.holds_for(line=line, part_number=part, defect_class=defect)
    ]
    if not held:
        assert won == EVERYTHING_TO_A_PERSON
        return
    assert won in held
    for rule in held:
        named = [bool(k) for k in (won.defect_class, won.part_number, won.line)]
        other = [bool(k) for k in (rule.defect_class, rule.part_number, rule.line)]
        # More keys first; among as many, defect class before part number before line.
        assert (sum(named), named) >= (sum(other), other)


@given(st.permutations([Route.PASS, Route.REVIEW, Route.CAPTURE_CHECK, Route.CONTAIN]), UNIT)
def test_of_several_views_containment_is_the_worst(order: list[Route], score: float) -> None:
    worst = max(order, key=lambda goes: badness(goes, score))
    assert worst == Route.CONTAIN
    assert badness(Route.CAPTURE_CHECK, 0) > badness(Route.REVIEW, 1) > badness(Route.PASS, 1)
