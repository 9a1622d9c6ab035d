"""How far each rule looks back: over weekends and outages, and never at half an hour."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from mes_integration import nonconformance_course, nonconformance_progress, nonconformances
from mes_integration.models import Ncr, NcrRule
from tests import factories
from tests.factories import NOW
from tests.mes_integration.plant import disposition
from tests.mes_integration.test_nonconformance import rule_of
from traceability.models import (
    DeciderKind,
    Disposition,
    Inspection,
    PartNumber,
    PartRevision,
    Unit,
)

pytestmark = pytest.mark.django_db
FRIDAY = -65.0
"""Hours from now; between then and Monday nothing is made."""


def made(
    hours: float,
    *,
    defect: str = "porosity",
    decided: float | None = None,
    part: str = "P-4711",
    unit: Unit | None = None,
) -> Inspection:
    """A unit seen so many hours from now on, and decided at once or when it is said."""
    unit = unit or factories.unit()
    number = PartNumber.objects.get_or_create(site=unit.site, number=part)[0]
    unit.part_revision = PartRevision.objects.get_or_create(
        site=unit.site, part_number=number, revision="C"
    )[0]
    unit.save()
    inspection = factories.inspection(unit)
    inspection.opened_at = NOW + timedelta(hours=hours)
    inspection.save()
    found = [{"defect_class": defect, "severity": "major", "count": 1}] if defect else []
    at = NOW + timedelta(hours=hours if decided is None else decided)
    disposition(inspection=inspection, kind="SCRAP", at=at, nonconformities=found)
    return inspection


def looked(hours: float = 1) -> int:
    return nonconformances.evaluate(at=NOW + timedelta(hours=hours))


def words(rule: NcrRule, *, hours: float = 1) -> str:
    at = NOW + timedelta(hours=hours)
    return nonconformance_progress.so_far([rule], at=at)[rule.pk][-1]


def test_a_row_goes_on_over_a_weekend_and_the_page_counts_it_so() -> None:
    rule = rule_of(count=4)
    for hours in (FRIDAY, FRIDAY + 0.1):
        made(hours)
    assert looked(FRIDAY + 1) == 0
    made(0)
    assert looked(0.5) == 0
    assert words(rule, hours=0.5).startswith("3 of 4 in a row: porosity @ line-1/st-1. A row may")
    made(0.6)
    assert looked() == 1
    assert len(Ncr.objects.get().evidence["units"]) == 4


def test_a_row_of_a_line_that_makes_one_a_day_is_found() -> None:
    rule_of(count=6)
    raised = []
    for day in range(-5, 1):
        made(24.0 * day)
        raised.append(looked(24 * day + 1))
    assert raised == [0, 0, 0, 0, 0, 1]


def test_a_good_unit_before_the_weekend_ends_the_row_there() -> None:
    rule = rule_of()
    made(FRIDAY)
    made(FRIDAY + 0.1, defect="")
    made(0)
    made(0.1)
    assert looked() == 0
    assert words(rule).startswith("2 of 3 in a row")


def test_a_row_does_not_reach_behind_its_rule_nor_behind_thirty_days() -> None:
    rule = rule_of(since=NOW + timedelta(hours=FRIDAY + 0.05))
    made(FRIDAY)
    made(FRIDAY + 0.1)
    made(0)
    assert looked() == 0
    NcrRule.objects.update(since=NOW - timedelta(days=90))
    Inspection.objects.filter(opened_at__lt=NOW).update(opened_at=NOW - timedelta(days=31))
    assert looked(1.01) == 0
    assert words(rule).startswith("1 of 3 in a row")


def test_a_rule_of_one_part_number_passes_over_the_others_of_the_station() -> None:
    rule_of(part_number=PartNumber.objects.create(site=factories.site(), number="P-1"))
    for step in range(3):
        made(FRIDAY + step / 10, part="P-1", defect="porosity" if step else "")
        made(FRIDAY + step / 10 + 0.05, part="P-2", defect="")
    assert looked(FRIDAY + 1) == 0
    made(0, part="P-2", defect="")
    made(0.1, part="P-1")
    assert looked() == 1


def test_late_verdicts_are_no_row_where_good_units_were_seen_between() -> None:
    rule_of()
    for step in range(3):
        made(FRIDAY + step, decided=0.1 * step)
        made(FRIDAY + step + 0.5, defect="")
    assert looked() == 0


def test_a_late_verdict_fills_the_row_it_was_seen_in() -> None:
    rule_of()
    made(FRIDAY, defect="")
    made(FRIDAY + 0.1)
    made(FRIDAY + 0.2, decided=0.1)
    made(FRIDAY + 0.3)
    made(FRIDAY + 0.4, defect="")
    assert looked(FRIDAY + 1) == 0
    made(0, defect="")
    assert looked() == 1
    assert len(Ncr.objects.get().evidence["units"]) == 3


def test_of_many_seen_since_a_late_verdict_only_a_row_without_a_hole_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nonconformance_course, "_MOST_BETWEEN", 3)
    rule_of()
    for step in range(3):
        made(FRIDAY + step / 10, decided=0.1 * step)
        made(FRIDAY + step / 10 + 0.05, defect="")
    for step in range(3):
        made(FRIDAY + 2 + step, defect="")
    assert looked() == 0
    for step in range(3):
        made(0.2 + step / 10)
    assert looked(1.01) == 1


@pytest.fixture
def _yield_rule() -> None:
    rule_of("FIRST_PASS_YIELD", count=2, below=0.85)


@pytest.mark.usefixtures("_yield_rule")
def test_an_hour_of_which_only_the_end_was_decided_in_the_last_day_is_not_judged() -> None:
    for step in range(18):
        made(-24 + 1 - 0.3 + step / 100, defect="")
    for step in range(2):
        made(-24 + 1 + 0.1 + step / 100)
    assert looked(-22.5) == 0, "18 of 20 are good"
    made(0.5, defect="")
    assert looked(1) == 0


@pytest.mark.usefixtures("_yield_rule")
def test_a_yield_is_of_the_hour_up_to_the_latest_unit_also_where_verdicts_come_late() -> None:
    for step in range(4):
        made(-5 + step / 10, defect="porosity" if step % 2 else "", decided=0)
    rule = NcrRule.objects.get()
    assert words(rule) == "line-1: 2 of 4 good in the hour up to 2026-11-22 01:18 UTC."
    assert looked() == 1


@pytest.fixture(params=["SEVERITY", "CONSECUTIVE"])
def _any_rule(request: pytest.FixtureRequest) -> None:
    rule_of(request.param, **({"at_least": "major"} if request.param == "SEVERITY" else {}))


@pytest.mark.usefixtures("_any_rule")
def test_what_was_decided_while_nobody_looked_is_looked_at_afterwards() -> None:
    made(-100, defect="")
    assert looked(-99.9) == 0
    for step in range(3):
        made(-60 + step / 10)
    for step in range(3):
        made(-50 + step / 10, defect="")
    made(0, defect="")
    assert looked() == 1
    assert looked(1.05) == 0


def test_a_rule_that_was_set_before_the_first_look_sees_what_came_since() -> None:
    rule_of("SEVERITY", at_least="major", since=NOW - timedelta(days=4))
    made(-70)
    assert looked() == 1


def test_what_lies_before_the_course_is_read_by_the_station_and_no_further() -> None:
    like = made(0)
    _fill(like, 6000)
    given: dict[str, Any] = {
        "station": like.station_id,
        "line": like.line_id,
        "over": 0,
        "under": Inspection.objects.order_by("-pk").values_list("pk", flat=True)[0],
        "settled": NOW,
        "after": NOW - timedelta(days=30),
        "part": "",
        "scanned": 5000,
        "most": 5,
    }
    scans = _scans(nonconformance_course._AT_STATION, given)
    assert {node["Node Type"] for node in scans if "inspection" in node["Relation Name"]} <= {
        "Index Scan",
        "Index Only Scan",
    }
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in scans) < 100, scans


def test_the_hours_of_a_late_unit_are_found_by_its_number_and_no_further() -> None:
    like = made(0)
    _fill(like, 6000)
    late = Inspection.objects.order_by("pk")[3000]
    given: dict[str, Any] = {
        "line": like.line_id,
        "first": late.pk,
        "last": late.pk,
        "begin": late.opened_at - timedelta(hours=1),
        "end": late.opened_at + timedelta(hours=1),
    }
    scans = _scans(nonconformance_course._AROUND, given)
    assert {"Index Scan", "Index Only Scan"} >= {node["Node Type"] for node in scans}
    looked_at = sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in scans
    )
    assert 120 <= looked_at < 140, "an hour of sixty units on each side"


def test_imported_images_between_the_units_cut_no_hour_short() -> None:
    rule_of("FIRST_PASS_YIELD", count=2, below=0.5)
    for n in range(9):
        made(FRIDAY + n / 100, defect="")
        old = factories.inspection()
        Inspection.objects.filter(pk=old.pk).update(opened_at=NOW - timedelta(days=400))
    for n in range(2):
        made(FRIDAY + 0.2 + n / 100, decided=0)
    assert looked() == 0, "9 of 11 are good"


def _scans(statement: str, given: dict[str, Any]) -> list[dict[str, Any]]:
    """How the tables are read, as it was done."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", given)
        [(plan,)] = cursor.fetchall()
    root = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
    return [node for node in _nodes(root) if "Relation Name" in node]


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from _nodes(child)


def _fill(like: Inspection, number: int) -> None:
    """So many decided units more, at two stations in turn."""
    places = [factories.station(code="st-1"), factories.station(code="st-2")]
    units = Unit.objects.bulk_create(
        Unit(
            site=like.site,
            serial=f"full-{n}",
            part_revision_id=like.unit.part_revision_id,
            first_seen_at=NOW,
            disposition_revision=1,
        )
        for n in range(number)
    )
    seen = Inspection.objects.bulk_create(
        Inspection(
            site=like.site,
            line=like.line,
            station=places[n % 2],
            unit=unit,
            external_id=f"full-{n}",
            opened_at=NOW - timedelta(minutes=number - n),
        )
        for n, unit in enumerate(units)
    )
    Disposition.objects.bulk_create(
        Disposition(
            site=like.site,
            unit=each.unit,
            inspection=each,
            revision=1,
            kind="SCRAP",
            nonconformities=[{"defect_class": "porosity", "severity": "major", "count": 1}],
            decider_kind=DeciderKind.INSPECTOR,
            decider="4711",
            decided_at=each.opened_at,
            policy_version=12,
        )
        for each in seen
    )


# --- after an outage, and over a backlog that is decided at once ---


@pytest.fixture
def _few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nonconformance_course, "MOST", 5)


@pytest.mark.usefixtures("_few_at_once", "_any_rule")
@pytest.mark.parametrize("step", [0.1, 0.001, 0.0])
def test_more_than_is_looked_at_at_once_is_looked_at_one_after_the_other(step: float) -> None:
    """Over hours, within a minute, in the same moment."""
    made(-100, defect="")
    assert looked(-99.9) == 0
    for n in range(3):
        made(-50 + n / 1000)
    for n in range(12):
        made(-49.99 + n / 1000, defect="", decided=-49.9 + n * step)
    for n in range(7):
        made(-1 + n / 1000, defect="", decided=-1 + n * step)
    assert looked() == 1
    assert Ncr.objects.get().evidence["units"][0] == Unit.objects.order_by("pk")[1].serial
    assert looked(1.01) == 0


@pytest.mark.usefixtures("_few_at_once")
def test_one_cause_in_many_stretches_is_raised_once_and_by_the_earliest() -> None:
    rule_of("SEVERITY", at_least="major", since=NOW - timedelta(days=9))
    first = made(-150)
    for n in range(1, 40):
        made(-150 + 3 * n, defect="porosity" if n % 3 else "")
    assert looked() == 1
    assert Ncr.objects.get().evidence["units"] == [first.unit.serial]


@pytest.mark.usefixtures("_few_at_once")
def test_the_stretches_leave_nothing_out_and_nothing_is_in_two() -> None:
    for n in range(33):
        made(-60 + (n // 4) ** 2 / 2, defect="")
    at = NOW + timedelta(hours=1)
    found = nonconformance_course.stretches(
        site=factories.site(), until=at, back_to=NOW - timedelta(days=4)
    )
    read = [
        nonconformance_course.course(site=factories.site(), since=since, until=until).units
        for since, until in found
    ]
    pks = [seen.pk for units in read for seen in units]
    assert pks == sorted(Inspection.objects.values_list("pk", flat=True))
    assert max(len(units) for units in read) <= 5


@pytest.mark.usefixtures("_few_at_once")
def test_where_somebody_looked_a_moment_ago_only_what_came_since_is_looked_for() -> None:
    for n in range(30):
        made(-3 + n / 10, defect="")
    site, at = factories.site(), NOW + timedelta(hours=0.1)
    [(since, until)] = nonconformance_course.stretches(
        site=site, until=at, back_to=at - timedelta(minutes=15)
    )
    assert (since, until) == (NOW - timedelta(hours=0.5), at)


# --- yields of what is decided days after it was seen ---


def test_a_weekend_backlog_is_judged_as_the_page_says() -> None:
    rule = rule_of("FIRST_PASS_YIELD", count=2, below=0.85)
    for step in range(10):
        made(FRIDAY + step / 20, decided=step / 100)
    assert words(rule, hours=0.5).startswith("line-1: 0 of 10 good in the hour up to 2026-11-19")
    assert looked(0.5) == 1
    ncr = Ncr.objects.get()
    assert (ncr.evidence["counts"]["good"], ncr.cause) == (0, "yield @ line-1")
    assert "in the hour up to 2026-11-19 " in ncr.text


@pytest.mark.parametrize(("bad", "raised"), [(2, 0), (3, 1)])
def test_the_hour_of_a_late_unit_is_of_all_the_line_saw_in_it(bad: int, raised: int) -> None:
    rule = rule_of("FIRST_PASS_YIELD", count=2, below=0.9)
    for n in range(20):
        made(FRIDAY + n / 40, defect="")
    for n in range(bad):
        made(FRIDAY + 0.5 + n / 40, decided=0)
        made(FRIDAY + 0.51 + n / 40, defect="")
    made(0.1, defect="")
    assert looked(0.5) == raised
    assert words(rule, hours=0.5).startswith("line-1: 1 of 1 good")


def test_a_late_verdict_makes_a_later_hour_worse_too() -> None:
    rule_of("FIRST_PASS_YIELD", count=2, below=0.4)
    made(FRIDAY, defect="")
    made(FRIDAY + 0.1, decided=0)
    made(FRIDAY + 0.5)
    assert looked(FRIDAY + 1) == 0
    made(0.1, defect="")
    assert looked() == 1
    assert Ncr.objects.get().evidence["counts"] == {"bad": 2, "good": 1, "total": 3}


def test_what_only_completes_an_hour_ends_none_of_its_own() -> None:
    """The hour before the late unit's is known in part: two bad ones of twenty."""
    for n in range(18):
        made(FRIDAY - 0.9 + n / 100, defect="")
    for n in range(2):
        made(FRIDAY - 0.1 + n / 100)
    made(FRIDAY + 0.5, defect="")
    made(FRIDAY + 0.7, defect="", decided=0)
    rule_of("FIRST_PASS_YIELD", count=2, below=0.5)
    assert looked() == 0


def test_a_unit_of_another_line_or_seen_before_is_not_in_the_hour() -> None:
    rule_of("FIRST_PASS_YIELD", count=2, below=0.6)
    made(FRIDAY + 0.1, unit=made(FRIDAY - 100).unit)
    elsewhere = made(FRIDAY + 0.2)
    Inspection.objects.filter(pk=elsewhere.pk).update(line=factories.line(code="line-9"))
    made(FRIDAY + 0.3, decided=0)
    assert looked() == 0
    made(FRIDAY + 0.4, decided=0.1)
    assert looked(1.01) == 1


def test_of_hours_with_too_much_in_them_only_what_was_read_whole_is_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nonconformance_course, "_MOST_IN_HOURS", 4)
    rule = rule_of("FIRST_PASS_YIELD", count=2, below=0.6)
    for n in range(8):
        made(FRIDAY + n / 10, decided=n / 100)
    assert looked() == 0
    assert "good" not in words(rule)
    for n in range(2):
        made(FRIDAY + 5 + n / 10, decided=0.2)
    assert looked(1.01) == 1
    assert Ncr.objects.get().evidence["counts"]["total"] == 2


def test_a_unit_decided_more_than_thirty_days_after_it_was_seen_is_in_no_yield() -> None:
    rule = rule_of("FIRST_PASS_YIELD", count=2, below=0.6, since=NOW - timedelta(days=90))
    for n in range(3):
        made(-31 * 24 + n / 10, decided=0)
    assert looked() == 0
    assert "good" not in words(rule)


def test_a_row_early_in_a_long_backlog_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nonconformance_course, "_MOST_BETWEEN", 3)
    monkeypatch.setattr(nonconformance_course, "_SCANNED", 3)
    rule_of()
    for n in range(12):
        made(FRIDAY + n / 10, decided=n / 100, defect="porosity" if n < 3 else "")
    assert looked() == 1
