"""Nonconformances on their pages and over the API."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from governance.models import AuditEntry
from governance.roles import Role
from mes_integration.models import Ncr, NcrHandOff, NcrRule
from mes_integration.nonconformance_rules import Past, Progress, progress, yield_cause
from tests import factories
from tests.factories import NOW
from tests.mes_integration.test_nonconformance import (
    AGAIN,
    IN_A_ROW,
    SEVERE,
    YIELD,
    course_of,
    evaluated,
    judged,
    rule_of,
    seen,
)
from tests.mes_integration.test_pages import signed_in

API = "/api/v1/nonconformances"
LIST = "/nonconformances/"
JSON = "application/json"
NEW = f"{LIST}rules/new/"
FORM = {"site": "plant-1", "name": "Low yield", "is_active": "on"}


@pytest.fixture
def engineer(db: None) -> Client:
    return signed_in(factories.user(Role.QUALITY_ENGINEER))


def ncr(cause: str = "crack @ line-1/st-1", **fields: object) -> Ncr:
    rule = NcrRule.objects.first() or rule_of()
    return Ncr.objects.create(
        site=rule.site,
        line=factories.line(),
        rule=rule,
        kind=rule.kind,
        cause=cause,
        text=f"{cause}: 3 units in a row.",
        evidence={"units": ["SN-1", "SN-2"], "inspections": [], "window": {}, "counts": {}},
        opened_at=NOW,
        **fields,
    )


# --- the API ---


def test_the_api_pages_through_all_of_a_state(engineer: Client) -> None:
    made = [ncr(f"crack @ line-1/st-{n}") for n in range(5)]
    seen_ids: list[str] = []
    query: str | None = "?state=OPEN&limit=2"
    while query:
        page = engineer.get(API + query).json()
        seen_ids += [item["id"] for item in page["items"]]
        query = page["next"]
    assert seen_ids == [str(each.uuid) for each in reversed(made)]
    assert engineer.get(f"{API}?state=CLOSED").json() == {"items": [], "next": None}


NOBODYS = "01a20700-0000-7000-8000-000000000000"


@pytest.mark.parametrize("query", ["state=NONE", "before=x", f"before={NOBODYS}", "limit=0"])
def test_the_api_refuses_a_question_that_makes_no_sense(engineer: Client, query: str) -> None:
    assert engineer.get(f"{API}?{query}").status_code == 422


def test_the_list_costs_the_same_statements_whatever_its_length(engineer: Client) -> None:
    def statements() -> list[int]:
        counted = []
        for path in (API, LIST):
            with CaptureQueriesContext(connection) as queries:
                assert engineer.get(path).status_code == 200
            counted.append(len(queries))
        return counted

    ncr()
    few = statements()
    for n in range(8):
        ncr(f"pore @ line-1/st-{n}")
    assert statements() == few


def test_one_tells_its_units_and_its_way_to_the_qms(engineer: Client) -> None:
    made = ncr()
    NcrHandOff.objects.create(
        site=made.site,
        ncr=made,
        target="qms",
        state="ACKNOWLEDGED",
        reference="NC-2026-7",
        due_at=NOW,
        settled_at=NOW,
    )
    item = engineer.get(f"{API}/{made.uuid}").json()
    assert (item["state"], item["units"], item["closed_by"]) == ("OPEN", ["SN-1", "SN-2"], None)
    assert item["hand_offs"] == [
        {"target": "qms", "state": "ACKNOWLEDGED", "reference": "NC-2026-7", "last_error": ""}
    ]
    text = engineer.get(f"{LIST}{made.uuid}/").content.decode()
    assert 'href="/units/SN-1/?site=plant-1">SN-1</a>' in text
    assert "as NC-2026-7" in text
    assert "NC-2026-7" in engineer.get(LIST).content.decode()


def test_it_is_closed_once_with_a_reason(engineer: Client) -> None:
    made = ncr()
    address = f"{API}/{made.uuid}/close"
    assert engineer.post(address, {"reason": " "}, JSON).status_code == 422
    assert engineer.post(address, {}, JSON).status_code == 422
    for _ in range(2):
        answer = engineer.post(address, {"reason": "New tool."}, JSON)
        assert answer.status_code == 200
        assert (answer.json()["state"], answer.json()["closed_reason"]) == ("CLOSED", "New tool.")
    assert AuditEntry.objects.filter(action="nonconformance.close").count() == 1
    other = signed_in(factories.user(Role.LEAD))
    assert other.post(address, {"reason": "Mine."}, JSON).status_code == 409
    foreign = signed_in(factories.user(Role.LEAD, at=factories.site("plant-2")))
    assert foreign.post(address, {"reason": "Mine."}, JSON).status_code == 404
    assert foreign.get(f"{API}/{made.uuid}").status_code == 404
    assert foreign.get(API).json()["items"] == []


# --- the pages ---


def test_the_page_goes_on_with_older_ones_and_shows_the_closed_when_asked(
    engineer: Client,
) -> None:
    made = [ncr(f"crack @ line-1/st-{n:02}") for n in range(51)]
    text = engineer.get(LIST).content.decode()
    assert made[0].text not in text
    assert f"before={made[1].uuid}" in text
    older = engineer.get(LIST, {"before": str(made[1].uuid)}).content.decode()
    assert made[0].text in older
    engineer.post(f"{API}/{made[50].uuid}/close", {"reason": "New tool."}, JSON)
    assert "New tool." not in engineer.get(LIST).content.decode()
    assert "New tool." in engineer.get(LIST, {"state": "CLOSED"}).content.decode()
    assert engineer.get(LIST, {"state": "x"}).status_code == 422


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("CONSECUTIVE", {"count"}),
        ("SEVERITY", {"at_least"}),
        ("FIRST_PASS_YIELD", {"below", "count"}),
        ("RECURRENCE", {"days"}),
    ],
)
def test_the_form_shows_the_fields_of_the_chosen_kind(
    engineer: Client, kind: str, shown: set[str]
) -> None:
    answer = engineer.post(NEW, {**FORM, "kind": kind, "look": "1", "count": "x"})
    assert answer.status_code == 200
    text = answer.content.decode()
    fields = ("count", "at_least", "below", "days")
    assert {name for name in fields if f'name="{name}"' in text} == shown
    assert 'value="Low yield"' in text
    assert not NcrRule.objects.exists()


def test_a_refused_form_keeps_what_was_typed(engineer: Client) -> None:
    form = {**FORM, "kind": "FIRST_PASS_YIELD", "count": "many", "below": "92,5"}
    answer = engineer.post(NEW, form)
    assert answer.status_code == 422
    text = answer.content.decode()
    for typed in ("Low yield", "many", "92,5"):
        assert f'value="{typed}"' in text


def test_a_class_the_site_does_not_know_is_refused_with_those_it_knows(engineer: Client) -> None:
    factories.prediction(defect_class="crack")
    factories.prediction(defect_class="porosity")
    shown = engineer.get(f"{NEW}?site=plant-1").content.decode()
    assert '<datalist id="classes"><option value="crack"><option value="porosity">' in shown
    form = {**FORM, "kind": "CONSECUTIVE", "count": "3", "cool_down": "0"}
    for press in ({"try": "1"}, {}):
        refused = engineer.post(NEW, {**form, **press, "defect_class": "crak"})
        assert refused.status_code == 422
        said = "The site knows no defect class crak. It knows: crack, porosity."
        assert said in refused.content.decode()
    saved = engineer.post(NEW, {**form, "defect_class": "crack"}, follow=True)
    assert "parts already on the bench do not count" in saved.content.decode()
    kept = NcrRule.objects.get()
    NcrRule.objects.update(defect_class="scratch")
    again = {**form, "defect_class": "scratch"}
    assert engineer.post(f"{LIST}rules/{kept.uuid}/", again).status_code == 302


def test_what_another_kind_would_need_does_not_count(engineer: Client) -> None:
    form = {**FORM, "kind": "SEVERITY", "at_least": "major", "count": "x", "below": "y"}
    assert engineer.post(NEW, form).status_code == 302
    made = NcrRule.objects.get()
    assert (made.at_least, made.count, made.below) == ("major", None, None)


def test_a_rule_says_since_when_it_watches_and_what_it_has_counted(
    engineer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = rule_of(count=3)
    for second in range(2):
        judged(second)
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW + timedelta(minutes=30))
    for path in (f"{LIST}rules/", f"{LIST}rules/{rule.uuid}/"):
        text = engineer.get(path).content.decode()
        assert "Watches since" in text
        assert "Raised nothing yet." in text
        assert (
            "2 of 3 in a row: porosity @ line-1/st-1. A row may have begun up to 30 days ago"
            in text
        )
    judged(2)
    assert evaluated() == 1
    assert "Raised 1." in engineer.get(f"{LIST}rules/").content.decode()


def test_every_page_has_the_tabs_and_marks_its_room(engineer: Client) -> None:
    made = ncr()
    for path in (
        LIST,
        f"{LIST}rules/",
        NEW,
        f"{LIST}rules/{made.rule.uuid}/",
        f"{LIST}{made.uuid}/",
    ):
        text = engineer.get(path).content.decode()
        assert '<nav class="tabs"' in text
        assert '<a href="/write-backs/" aria-current="page">' in text


# --- what a rule has counted ---


def test_of_a_row_the_longest_that_still_stands_is_told() -> None:
    at = NOW + timedelta(minutes=1)
    assert progress(IN_A_ROW, course_of("aaaa.aab"), {}, at=at) == Progress(
        units=8, nearest="b @ line-1/st-1", have=1, need=3
    )
    assert progress(IN_A_ROW, course_of("aa."), {}, at=at) == Progress(units=3, need=3)


def test_of_a_yield_the_worst_line_of_the_hour_that_is_judged_is_told() -> None:
    old, now = seen(0, "crack"), seen(4000)
    other = seen(4001, "crack", line="line-2")
    gone = seen(300, "crack", line="line-3")
    at = NOW + timedelta(seconds=9000)
    assert progress(YIELD, [old, gone, now, other], {}, at=at) == Progress(
        units=4, nearest="line-2", have=0, need=1, until=other.at
    )
    closed = {yield_cause("line-2", ""): Past(key="1", closed_at=other.at)}
    assert progress(YIELD, [old, now, other], closed, at=at) == Progress(
        units=3, nearest="line-1", have=1, need=1, until=now.at
    )
    assert progress(YIELD, [seen(0, is_first=False)], {}, at=at) == Progress(units=1)


def test_of_severe_defects_and_of_closures_the_number_is_told() -> None:
    at = NOW + timedelta(minutes=1)
    course = [seen(0, "crack", severity="critical"), seen(1, "crack", severity="minor"), seen(2)]
    assert progress(SEVERE, course, {}, at=at) == Progress(units=3, have=1)
    past = {
        "a": Past(key="1", closed_at=NOW, line="line-1", defect_class="crack"),
        "b": Past(key="2", line="line-1", defect_class="pore"),
        "yield": Past(key="3", closed_at=NOW, line="line-1"),
    }
    assert progress(AGAIN, course, past, at=at) == Progress(units=3, have=1)
    for other in (replace(AGAIN, defect_class="pore"), replace(AGAIN, line="line-2")):
        assert progress(other, course, past, at=at).have == 0
    assert progress(replace(AGAIN, days=0), course, past, at=at).have == 0
