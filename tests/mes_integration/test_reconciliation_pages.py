"""The reconciliation's report over HTTP."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Self

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from governance.roles import Role
from mes_integration import database_clock, delivery, reconciliation, reconciliation_views
from mes_integration.models import Reconciliation, ReconciliationException, WriteBack
from tests import factories
from tests.mes_integration.conftest import Configure
from tests.mes_integration.plant import DemoMes, ScriptedMes, state_of
from tests.mes_integration.test_pages import signed_in
from tests.mes_integration.test_reconciliation import delivered, found, now, reconciled, spoil

pytestmark = pytest.mark.django_db

REPORT = "/write-backs/reconciliation/"
MES = {"site": "plant-1", "target": "mes"}


@pytest.fixture
def lead() -> Client:
    return signed_in(factories.user(Role.LEAD))


def one(each: ReconciliationException, what: str) -> str:
    return f"{REPORT}{each.uuid}/{what}/"


def test_an_empty_report_says_so(demo: DemoMes, lead: Client) -> None:
    before = lead.get(REPORT).content.decode()
    assert "never" in before
    assert "The report is empty" not in before
    delivered()
    reconciled()
    text = lead.get(REPORT).content.decode()
    assert "The report is empty" in text
    assert "never" not in text


def test_an_open_exception_is_shown_with_both_sides_and_closed_with_a_reason(
    demo: DemoMes, lead: Client
) -> None:
    row = delivered()
    spoil(row)
    reconciled()
    text = lead.get(REPORT).content.decode()
    for words in ("Other reference there", row.unit.serial, "MES-none", row.reference):
        assert words in text
    assert "mend this one in the MES" in text
    assert lead.post(one(found()[0], "send")).status_code == 409
    refused = lead.post(
        one(found()[0], "close"), {"reason": ""}, headers={"Referer": f"http://testserver{REPORT}"}
    )
    assert refused.status_code == 422
    assert f'href="http://testserver{REPORT}"' in refused.content.decode()
    strange = lead.post(
        one(found()[0], "close"), {"reason": ""}, headers={"Referer": "https://elsewhere.example/"}
    )
    assert "elsewhere.example" not in strange.content.decode()
    assert lead.post(one(found()[0], "close"), {"reason": "Renamed."}).status_code == 302
    text = lead.get(REPORT).content.decode()
    assert "The report is empty" in text
    assert "Renamed." in text
    assert "Other reference there" not in text.split('id="closed-title"')[0]


def test_a_run_begins_by_the_clock_of_those_who_carry_it_on(
    demo: DemoMes, lead: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Begun by a web host whose clock is ahead it would look for ever at what is open."""

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(hours=3)

    monkeypatch.setattr(reconciliation_views, "datetime", Ahead)
    spoil(delivered())
    reconciled()
    lead.post(f"{REPORT}run/", MES)
    run = Reconciliation.objects.get(finished_at__isnull=True)
    assert run.started_at < datetime.now(UTC) + timedelta(hours=1)
    reconciliation.carry_on(clock=database_clock.read, for_s=5)
    run.refresh_from_db()
    assert run.finished_at is not None


def test_run_now_begins_one_run(demo: DemoMes, lead: Client) -> None:
    for _ in range(2):
        assert lead.post(f"{REPORT}run/", MES).status_code == 302
    run = Reconciliation.objects.get()
    assert run.asked_by
    assert "running" in lead.get(f"{REPORT}runs/").content.decode()


def test_nothing_is_called_empty_while_a_run_is_under_way_or_could_not_ask(
    demo: DemoMes, lead: Client
) -> None:
    delivered()
    reconciled()
    pressed = lead.post(f"{REPORT}run/", MES, follow=True).content.decode()
    assert "It begins within a few seconds." not in pressed.split('id="report"')[0]
    for text in (pressed, lead.get(f"{REPORT}runs/").content.decode()):
        assert "The report is empty" not in text
        assert "It begins within a few seconds." in text
        assert "A comparison is under way" in text
    Reconciliation.objects.update(finished_at=datetime.now(UTC), trouble="Silent.")
    text = lead.get(REPORT).content.decode()
    assert "The report is empty" not in text
    assert "Not every target could be compared" in text


def test_what_is_live_renews_the_exceptions_and_the_counts_with_the_targets(
    demo: DemoMes, lead: Client
) -> None:
    spoil(delivered())
    reconciled()
    text = lead.get(f"{REPORT}runs/").content.decode()
    assert "<html" not in text
    assert f'id="exception-{found()[0].uuid}"' in text
    assert re.search(r'Reconciliation <span class="tabs__count">1</span>', text)
    assert "The report is empty" not in text
    closed = lead.post(one(found()[0], "close"), {"reason": "Renamed."})
    assert closed.status_code == 302
    assert "Renamed." in lead.get(f"{REPORT}runs/").content.decode()


def test_a_target_that_cannot_be_asked_is_said_so(configure: Configure, lead: Client) -> None:
    assert "No target yet" in lead.get(REPORT).content.decode()
    assert lead.post(f"{REPORT}run/", MES).status_code == 404


def test_all_that_is_missing_goes_again_in_one_press(
    demo: DemoMes, scripted: ScriptedMes, configure: Configure, lead: Client
) -> None:
    rows = [delivered() for _ in range(2)]
    configure(demo.url)
    reconciled()
    assert "Send all 2 missing again" in lead.get(REPORT).content.decode()
    answer = lead.post(f"{REPORT}send-missing/", MES, follow=True)
    assert "2 are sent again now." in answer.content.decode()
    delivery.deliver_due(at=now(), limit=5)
    assert [state_of(row) for row in rows] == ["ACKNOWLEDGED"] * 2
    assert all(demo.held(row) for row in rows)


def test_the_report_costs_the_same_statements_for_any_number(demo: DemoMes, lead: Client) -> None:
    def statements() -> int:
        reconciled()
        with CaptureQueriesContext(connection) as queries:
            assert lead.get(REPORT).status_code == 200
        return len(queries)

    for _ in range(2):
        spoil(delivered())
    few = statements()
    for _ in range(10):
        spoil(delivered())
    assert ReconciliationException.objects.count() == 2
    assert statements() == few


def test_another_sites_exceptions_are_not_shown_or_touched(demo: DemoMes) -> None:
    row = delivered()
    spoil(row)
    reconciled()
    foreign = signed_in(factories.user(Role.LEAD, at=factories.site("plant-2")))
    assert row.unit.serial not in foreign.get(REPORT).content.decode()
    assert foreign.post(one(found()[0], "close"), {"reason": "Mine."}).status_code == 404
    assert foreign.post(f"{REPORT}run/", MES).status_code == 404
    assert WriteBack.objects.get(pk=row.pk).state == "ACKNOWLEDGED"


def test_who_only_looks_is_offered_nothing(demo: DemoMes) -> None:
    spoil(delivered())
    reconciled()
    auditor = signed_in(factories.user(Role.AUDITOR))
    assert "<button" not in auditor.get(f"{REPORT}runs/").content.decode()
    assert auditor.post(one(found()[0], "close"), {"reason": "Mine."}).status_code == 403
