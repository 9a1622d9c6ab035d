"""Nonconformances: raised once a cause, not again too soon, told to the QMS once."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError, connections, transaction
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from pytest_django.fixtures import Settings

from config.settings.environment import MesTarget
from governance.models import AuditEntry
from governance.roles import Role
from inference_bridge import nonconformance_alerts
from mes_integration import (
    nonconformance_hand_off,
    nonconformance_settings,
    nonconformances,
)
from mes_integration.adapters.http_signing import signature
from mes_integration.models import Ncr, NcrHandOff, NcrRule
from mes_integration.nonconformance_rules import (
    MOST_REHEARSED,
    Past,
    Rule,
    Seen,
    cause_of,
    opened,
    raised,
    rehearsed,
)
from mes_integration.nonconformance_settings import Draft
from tests import factories
from tests.factories import NOW
from tests.mes_integration.plant import SECRET, Reply, ScriptedMes, disposition
from traceability.models import Inspection
from traceability.refusals import Conflict, Invalid, Unknown

LONG_AGO = NOW - timedelta(days=30)
LATER = NOW + timedelta(minutes=30)
IN_A_ROW = Rule(kind="CONSECUTIVE", since=LONG_AGO, count=3)
SEVERE = Rule(kind="SEVERITY", since=LONG_AGO, at_least="critical")
YIELD = Rule(kind="FIRST_PASS_YIELD", since=LONG_AGO, count=10, below=0.9)
AGAIN = Rule(kind="RECURRENCE", since=LONG_AGO, days=7)
CAUSE = cause_of("crack", "line-1/st-1")


def seen(second: int, *codes: str, severity: str = "major", **more: Any) -> Seen:
    """A unit at line-1/st-1, so many seconds from now on, with these defects."""
    values = {"line": "line-1", "station": "st-1", "unit": f"u-{second}", **more}
    return Seen(
        at=NOW + timedelta(seconds=second),
        inspection=f"i-{second}",
        defects=dict.fromkeys(codes, severity),
        **values,
    )


def course_of(text: str) -> list[Seen]:
    """One unit a second: a letter is a defect, a point a good unit, a dash nothing."""
    return [
        seen(n, *([] if letter == "." else [letter]))
        for n, letter in enumerate(text)
        if letter != "-"
    ]


@pytest.mark.parametrize(
    ("text", "causes"),
    [
        ("aaa", ["a"]),
        ("aa.a", []),
        ("aabaa", []),
        ("..aaaa.aaa", ["a"]),
        ("aaabbb", ["a", "b"]),
        ("", []),
    ],
)
def test_so_many_of_one_defect_in_a_row_are_one_cause(text: str, causes: list[str]) -> None:
    found = raised(IN_A_ROW, course_of(text), {})
    assert [one.cause for one in found] == [cause_of(c, "line-1/st-1") for c in causes]


@given(st.text(alphabet="ab.", max_size=40), st.integers(2, 6))
def test_a_row_is_found_exactly_where_there_is_one(text: str, count: int) -> None:
    found = raised(replace(IN_A_ROW, count=count), course_of(text), {})
    assert {one.defect_class for one in found} == {c for c in "ab" if c * count in text}
    for one in found:
        assert len(one.units) == count
        assert {tuple(u.defects) for u in one.units} == {(one.defect_class,)}


courses = st.lists(
    st.builds(
        lambda step, codes, severity, station, first: (step, codes, severity, station, first),
        st.integers(1, 1200),
        st.sets(st.sampled_from(["crack", "pore"]), max_size=2),
        st.sampled_from(["critical", "major", "minor"]),
        st.sampled_from(["st-1", "st-2"]),
        st.booleans(),
    ),
    max_size=60,
).map(
    lambda rows: [
        seen(sum(r[0] for r in rows[: n + 1]), *row[1], severity=row[2], station=row[3])
        for n, row in enumerate(rows)
    ]
)
rules = st.sampled_from([IN_A_ROW, SEVERE, YIELD, replace(YIELD, count=2), AGAIN]).flatmap(
    lambda rule: st.integers(0, 7200).map(
        lambda cool: replace(rule, cool_down=timedelta(seconds=cool))
    )
)


@given(rules, courses)
def test_what_was_raised_is_not_raised_again(rule: Rule, course: list[Seen]) -> None:
    new = raised(rule, course, {})
    assert len({one.cause for one in new}) == len(new)
    assert raised(rule, course, opened({}, new)) == []


@given(rules, courses, st.integers(0, 30_000))
def test_after_a_closure_only_later_units_count_and_none_within_the_cool_down(
    rule: Rule, course: list[Seen], second: int
) -> None:
    closed_at = NOW + timedelta(seconds=second)
    closed = {
        one.cause: Past(key="before", closed_at=closed_at)
        for one in [*raised(rule, course, {}), *raised(IN_A_ROW, course, {})]
    }
    for one in raised(rule, course, closed):
        if one.cause in closed:
            assert one.units[-1].at > closed_at + rule.cool_down
            assert all(unit.at > closed_at for unit in one.units)


@given(rules, courses)
def test_a_rehearsal_ends_and_counts_at_least_what_would_be_raised(
    rule: Rule, course: list[Seen]
) -> None:
    times = rehearsed(rule, course, {})
    assert len(raised(rule, course, {})) <= times <= MOST_REHEARSED


@given(courses, st.sampled_from(["critical", "major", "minor"]))
def test_a_severity_rule_sees_every_defect_as_grave(course: list[Seen], least: str) -> None:
    order = ["critical", "major", "minor"]
    grave = order[: order.index(least) + 1]
    found = {one.cause for one in raised(replace(SEVERE, at_least=least), course, {})}
    assert found == {
        cause_of(code, unit.place)
        for unit in course
        for code, severity in unit.defects.items()
        if severity in grave
    }


def test_the_yield_is_of_the_units_seen_first_within_an_hour() -> None:
    good = [seen(n) for n in range(8)]
    bad = [seen(100 + n, "crack") for n in range(2)]
    [low] = raised(YIELD, [*good, *bad], {})
    assert (low.good, low.total, low.cause) == (8, 10, "yield @ line-1")
    assert raised(YIELD, [*good, *bad[:1], seen(200, "crack", is_first=False)], {}) == []
    late = [seen(3700 + n, "crack") for n in range(2)]
    assert raised(YIELD, [*good, *late], {}) == []


def test_a_recurrence_is_of_the_same_cause_within_its_days() -> None:
    closed = {CAUSE: Past(key="the-first", closed_at=NOW)}
    [again] = raised(AGAIN, [seen(60, "crack")], closed)
    assert (again.cause, again.recurrence_of) == (CAUSE, "the-first")
    assert raised(AGAIN, [seen(60, "pore")], closed) == []
    assert raised(AGAIN, [seen(-60, "crack")], closed) == []
    assert raised(AGAIN, [seen(8 * 86_400, "crack")], closed) == []
    assert raised(AGAIN, [seen(60, "crack")], {CAUSE: Past(key="open")}) == []


@pytest.mark.parametrize(
    "scope", [{"line": "line-2"}, {"part_number": "P-2"}, {"defect_class": "pore"}]
)
def test_a_rule_looks_at_its_scope_only(scope: dict[str, Any]) -> None:
    assert raised(replace(IN_A_ROW, **scope), course_of("aaa"), {}) == []


# Against the tables.


def rule_of(kind: str = "CONSECUTIVE", **fields: Any) -> NcrRule:
    values = {
        "name": f"Rule {kind}",
        "since": LONG_AGO,
        "changed_by": "test",
        **({"count": 3} if kind == "CONSECUTIVE" else {}),
        **fields,
    }
    return NcrRule.objects.create(site=factories.site(), kind=kind, **values)


def judged(second: int, *, defect: str = "porosity", kind: str = "SCRAP", **more: Any) -> None:
    """A unit seen and decided so many seconds from now on."""
    at = NOW + timedelta(seconds=second)
    inspection = factories.inspection()
    Inspection.objects.filter(pk=inspection.pk).update(opened_at=at)
    inspection.opened_at = at
    found = [{"defect_class": defect, "severity": "major", "count": 1}] if defect else []
    disposition(inspection=inspection, kind=kind, at=at, nonconformities=found, **more)


def evaluated(minutes: float = 30) -> int:
    return nonconformances.evaluate(at=NOW + timedelta(minutes=minutes))


def closed(ncr: Ncr, *, at: Any = LATER) -> Ncr:
    actor = factories.actor(Role.LEAD)
    return nonconformances.close(actor=actor, uuid=ncr.uuid, reason="New tool.", at=at)


@pytest.mark.django_db
def test_three_of_a_kind_open_one_nonconformance_with_its_evidence() -> None:
    rule_of()
    for second in range(3):
        judged(second)
    assert evaluated() == 1
    ncr = Ncr.objects.get()
    assert ncr.cause == "porosity @ line-1/st-1"
    assert ncr.text == "porosity: 3 units in a row at line-1/st-1."
    assert len(ncr.evidence["units"]) == len(ncr.evidence["inspections"]) == 3
    assert ncr.evidence["window"]["from"] == NOW.isoformat()
    assert AuditEntry.objects.filter(action="nonconformance.open").count() == 1


@pytest.mark.django_db
def test_a_good_unit_and_one_taken_back_and_one_undecided_are_told_apart() -> None:
    rule_of()
    judged(0)
    judged(1, defect="", kind="HOLD")
    judged(2)
    factories.withdraw(_with_write_back(3))
    assert evaluated() == 0
    judged(4)
    assert evaluated() == 1


def _with_write_back(second: int) -> Any:
    """The last unit's disposition with a row in the outbox, so that it can be taken back."""
    inspection = factories.inspection()
    Inspection.objects.filter(pk=inspection.pk).update(opened_at=NOW + timedelta(seconds=second))
    return factories.release(inspection, at=NOW + timedelta(seconds=second))


@pytest.mark.django_db
def test_a_thousand_triggers_open_one() -> None:
    rule_of()
    rule_of("SEVERITY", at_least="minor")
    for second in range(5):
        judged(second)
    assert sum(evaluated(30 + n / 1000) for n in range(1000)) == 1
    assert Ncr.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_many_who_look_at_once_open_one() -> None:
    rule_of()
    for second in range(3):
        judged(second)

    def look(_number: int) -> int:
        try:
            return evaluated()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(look, range(40))) == 1
    assert Ncr.objects.count() == 1


@pytest.mark.django_db
def test_the_database_has_one_open_for_a_cause() -> None:
    rule_of()
    for second in range(3):
        judged(second)
    evaluated()
    ncr = Ncr.objects.get()
    again = {f.attname: getattr(ncr, f.attname) for f in Ncr._meta.concrete_fields}
    again |= {"id": None, "uuid": UUID(int=1)}
    with pytest.raises(IntegrityError, match="ncr_one_open_a_cause"), transaction.atomic():
        Ncr.objects.create(**again)


@pytest.mark.django_db
def test_closed_it_stays_closed_until_the_row_is_full_again_after_the_cool_down() -> None:
    rule_of(cool_down_s=600)
    for second in range(4):
        judged(second)
    evaluated(1)
    closed(Ncr.objects.get(), at=NOW + timedelta(minutes=2))
    for second in range(130, 135):
        judged(second)
    assert evaluated(9) == 0
    judged(121 + 600)
    assert evaluated(15) == 1
    assert Ncr.objects.filter(state="OPEN").count() == 1


@pytest.mark.django_db
def test_the_same_cause_after_a_closure_is_opened_as_its_recurrence() -> None:
    rule_of()
    rule_of("RECURRENCE", days=7)
    rule_of("SEVERITY", at_least="minor", since=LATER + timedelta(days=2))
    for second in range(3):
        judged(second)
    evaluated(1)
    first = closed(Ncr.objects.get(), at=NOW + timedelta(minutes=2))
    assert evaluated(3) == 0
    judged(180)
    assert evaluated(5) == 1
    again = Ncr.objects.get(state="OPEN")
    assert (again.kind, again.recurrence_of) == ("RECURRENCE", first)
    assert "again after its closure" in again.text


@pytest.mark.django_db
def test_closing_asks_why_and_is_done_once() -> None:
    rule_of()
    for second in range(3):
        judged(second)
    evaluated()
    ncr, lead = Ncr.objects.get(), factories.actor(Role.LEAD)
    with pytest.raises(Invalid, match="what was done"):
        nonconformances.close(actor=lead, uuid=ncr.uuid, reason=" ", at=LATER)
    for _ in range(2):
        nonconformances.close(actor=lead, uuid=ncr.uuid, reason="New tool.", at=LATER)
    with pytest.raises(Conflict, match="closed it already"):
        closed(ncr)
    elsewhere = factories.actor(Role.LEAD, on=factories.line(code="line-2"))
    with pytest.raises(Unknown):
        nonconformances.close(actor=elsewhere, uuid=ncr.uuid, reason="No.", at=LATER)


@pytest.mark.django_db
def test_the_alert_topic_hears_of_it_once() -> None:
    rule_of()
    for second in range(3):
        judged(second)
    evaluated()
    heard: list[dict[str, Any]] = []

    class Topic:
        def publish(self, *, subject: str, message: Any) -> None:
            heard.append({"subject": subject, **message})

    assert nonconformance_alerts.publish(topic=Topic(), at=LATER) == 1
    assert nonconformance_alerts.publish(topic=Topic(), at=LATER) == 0
    assert heard[0]["kind"] == "NONCONFORMANCE_CONSECUTIVE"


# The way to the QMS.


@pytest.fixture
def qms(settings: Settings) -> Any:
    """A QMS that answers as told, set as a target that takes nonconformances."""
    server = ScriptedMes()
    settings.LOUPE = settings.LOUPE.model_copy(
        update={
            "mes_url": "",
            "mes_quarantine_s": 30.0,
            "mes_targets": [
                MesTarget(
                    name="qms",
                    adapter="http",
                    url=server.url,
                    secret=SecretStr(SECRET),
                    timeout_s=60,
                    options={"ncr": True},
                )
            ],
        }
    )
    yield server
    server.stop()


def handed(qms: ScriptedMes, *replies: Reply) -> NcrHandOff:
    """A nonconformance on its way, and what the QMS answers."""
    rule_of()
    for second in range(3):
        judged(second)
    evaluated()
    qms.says(*replies)
    return NcrHandOff.objects.get()


def go(at: Any = LATER) -> int:
    return nonconformance_hand_off.hand_over_due(at=at, limit=1)


@pytest.mark.django_db
def test_it_is_posted_signed_under_its_own_key_and_keeps_the_reference(qms: ScriptedMes) -> None:
    row = handed(qms, Reply(body=b'{"reference": "NCR-7"}'))
    assert go() == 1
    row.refresh_from_db()
    assert (row.state, row.reference) == ("ACKNOWLEDGED", "NCR-7")
    ncr = Ncr.objects.get()
    assert (ncr.state, ncr.reference) == ("HANDED_OVER", "NCR-7")
    [sent] = qms.requests
    assert (sent.method, sent.path) == ("POST", "/nonconformances")
    headers = {name.lower(): value for name, value in sent.headers.items()}
    assert headers["idempotency-key"] == str(ncr.uuid)
    at = int(headers["x-loupe-signature"].split(",")[0].removeprefix("t="))
    assert headers["x-loupe-signature"] == signature(SECRET, sent.body, at=at)
    assert json.loads(sent.body)["cause"] == ncr.cause
    assert go() == 0


@pytest.mark.django_db
def test_what_may_have_arrived_is_asked_for_before_it_is_sent_again(qms: ScriptedMes) -> None:
    row = handed(qms, Reply(reset=True), Reply(status=404), Reply(body=b'{"reference": "N"}'))
    go()
    row.refresh_from_db()
    assert (row.state, row.may_have_arrived) == ("PENDING", True)
    assert go() == 0, "it rests until the QMS must be done with it"
    rested = LATER + timedelta(seconds=31)
    assert go(rested) == 1
    assert go(rested) == 1
    assert [r.method for r in qms.requests] == ["POST", "GET", "POST"]
    row.refresh_from_db()
    assert row.state == "ACKNOWLEDGED"


@pytest.mark.django_db
def test_what_arrived_though_the_answer_was_lost_is_not_sent_again(qms: ScriptedMes) -> None:
    row = handed(qms, Reply(reset=True), Reply(status=200, body=b'{"reference": "N-1"}'))
    go()
    go(LATER + timedelta(seconds=31))
    assert [r.method for r in qms.requests] == ["POST", "GET"]
    row.refresh_from_db()
    assert (row.state, row.reference) == ("ACKNOWLEDGED", "N-1")


@pytest.mark.django_db
def test_a_refusal_waits_for_a_person_who_sends_it_again(qms: ScriptedMes) -> None:
    row = handed(qms, Reply(status=422, body=b"unknown line"), Reply(body=b'{"reference": "N"}'))
    go()
    row.refresh_from_db()
    assert (row.state, go()) == ("REFUSED", 0)
    assert "unknown line" in row.last_error
    lead = factories.actor(Role.LEAD)
    nonconformance_hand_off.send_again(actor=lead, ncr=row.ncr, at=LATER)
    assert go() == 1
    row.refresh_from_db()
    assert row.state == "ACKNOWLEDGED"


@pytest.mark.django_db
def test_who_died_while_sending_leaves_it_to_be_asked_for(qms: ScriptedMes) -> None:
    row = handed(qms, Reply(status=404))
    long_ago = NOW - timedelta(days=400)
    NcrHandOff.objects.update(state="SENDING", fence=1, lease_expires_at=long_ago)
    assert go() == 0
    assert go(LATER + timedelta(seconds=31)) == 1
    assert [r.method for r in qms.requests] == ["GET"]
    row.refresh_from_db()
    assert row.fence > 1


@pytest.mark.django_db
def test_a_target_that_does_not_say_so_gets_none(qms: ScriptedMes, settings: Settings) -> None:
    quiet = settings.LOUPE.mes_targets[0].model_copy(update={"options": {}})
    settings.LOUPE = settings.LOUPE.model_copy(update={"mes_targets": [quiet]})
    rule_of()
    for second in range(3):
        judged(second)
    evaluated()
    assert not NcrHandOff.objects.exists()


# The rules and the pages.


@pytest.mark.django_db
def test_a_rule_is_tried_on_the_last_week_and_counts_from_when_it_is_saved() -> None:
    engineer = factories.actor(Role.QUALITY_ENGINEER)
    site = factories.site()
    draft = Draft(name="Three pores", kind="CONSECUTIVE", count=3)
    for second in range(7):
        judged(second)
    assert nonconformance_settings.tried(site=site, draft=draft, at=LATER) == 2
    made = nonconformance_settings.set_rule(actor=engineer, site=site, draft=draft, at=LATER)
    assert evaluated(31) == 0, "what was seen before the rule does not count"
    for second in range(1900, 1903):
        judged(second)
    assert evaluated(60) == 1
    off = replace(draft, is_active=False)
    nonconformance_settings.set_rule(actor=engineer, site=site, draft=off, at=LATER, rule=made)
    said = AuditEntry.objects.filter(action="nonconformance_rule.set").order_by("pk")
    assert said[1].detail["was"]["is_active"] is True
    assert said[1].detail["is"]["is_active"] is False


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("draft", "sentence"),
    [
        (Draft(name="", kind="SEVERITY"), "name"),
        (Draft(name="A", kind="NONE"), "looks at"),
        (Draft(name="A", kind="CONSECUTIVE", count=1), "in a row"),
        (Draft(name="A", kind="SEVERITY"), "severity"),
        (Draft(name="A", kind="FIRST_PASS_YIELD", count=10, below=1.2), "percentage"),
        (Draft(name="A", kind="FIRST_PASS_YIELD", below=0.9), "fewest units"),
        (Draft(name="A", kind="RECURRENCE"), "days"),
        (Draft(name="A", kind="RECURRENCE", days=7, line="line-9"), "no line"),
        (Draft(name="A", kind="RECURRENCE", days=7, cool_down_s=-1), "cool-down"),
    ],
)
def test_a_rule_that_is_not_whole_says_what_is_missing(draft: Draft, sentence: str) -> None:
    engineer = factories.actor(Role.QUALITY_ENGINEER)
    with pytest.raises(Invalid, match=sentence):
        nonconformance_settings.set_rule(actor=engineer, site=factories.site(), draft=draft, at=NOW)


@pytest.mark.django_db
def test_a_quality_engineer_tries_a_rule_and_saves_it(client: Client) -> None:
    client.force_login(factories.user(Role.QUALITY_ENGINEER))
    form = {"site": "plant-1", "name": "Low yield", "kind": "FIRST_PASS_YIELD", "is_active": "on"}
    address = "/nonconformances/rules/new/"
    wrong = client.post(address, {**form, "count": "x", "below": "90"})
    assert wrong.status_code == 422
    assert "is no whole number" in wrong.content.decode()
    whole = {**form, "count": "10", "below": "92,5", "cool_down": "30"}
    tried = client.post(address, {**whole, "try": "1"})
    assert "Would have fired 0 times" in tried.content.decode()
    assert not NcrRule.objects.exists()
    assert client.post(address, whole).status_code == 302
    rule = NcrRule.objects.get()
    assert (rule.below, rule.count, rule.cool_down_s, rule.is_active) == (0.925, 10, 1800, True)
    page = client.get(f"/nonconformances/rules/{rule.uuid}/").content.decode()
    assert 'value="92.5"' in page


@pytest.mark.django_db
def test_one_is_read_and_closed_on_its_page(client: Client) -> None:
    rule_of()
    for second in range(3):
        judged(second)
    evaluated()
    ncr = Ncr.objects.get()
    client.force_login(factories.user(Role.LEAD))
    address = f"/nonconformances/{ncr.uuid}/"
    page = client.get(address).content.decode()
    assert ncr.evidence["units"][0] in page
    assert "none has “ncr” among its options" in page
    client.post(f"{address}close/", {"reason": "New tool."})
    ncr.refresh_from_db()
    assert (ncr.state, ncr.closed_reason) == ("CLOSED", "New tool.")
    assert "New tool." in client.get("/nonconformances/?state=CLOSED").content.decode()
