"""Acknowledged once, in order, whatever happens on the way."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance.models import AuditEntry
from mes_integration import delivery, leases
from mes_integration.adapters import http
from mes_integration.adapters.protocol import Applied
from mes_integration.messages import message_of
from mes_integration.models import WriteBack
from mes_integration.targets import adapter_of
from tests import factories
from tests.mes_integration.conftest import Configure
from tests.mes_integration.plant import (
    NOW,
    DemoMes,
    Reply,
    ScriptedMes,
    enqueued,
    expire_lease,
    outcomes,
    state_of,
)
from tests.runner.waiting import wait_until

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("standing")]
RUNNING_FROM = delivery._running_from


def deliver(*, seconds: float = 0, limit: int = 10) -> int:
    return delivery.deliver_due(at=NOW + timedelta(seconds=seconds), limit=limit)


def in_doubt() -> WriteBack:
    """One sent to an MES that answers later than is waited.

    Where the machine stood still, the wait may have been over before anything left, or the answer
    there before it was looked for: those leave no doubt and are laid aside.
    """
    for _row in range(30):
        row = enqueued()
        deliver()
        if state_of(row) == "UNCERTAIN":
            return row
        WriteBack.objects.filter(pk=row.pk).update(state="WITHDRAWN", settled_at=NOW)
    raise AssertionError(f"{row.state}: {row.last_error}")


def actions() -> list[str]:
    return list(
        AuditEntry.objects.exclude(action="write_back.enqueue")
        .order_by("pk")
        .values_list("action", flat=True)
    )


def test_what_is_due_is_acknowledged_and_audited(demo: DemoMes) -> None:
    row = enqueued()
    assert deliver() == 1
    assert state_of(row) == "ACKNOWLEDGED"
    held = demo.held(row)
    assert held is not None
    assert held["reference"] == row.reference
    assert (held["state"], held["revision"]) == ("HOLD", 1)
    assert row.settled_at is not None
    assert row.settled_at >= NOW
    assert outcomes(row) == ["APPLIED"]
    assert actions() == ["write_back.acknowledge"]


def test_a_wrong_secret_keeps_everything_queued(scripted: ScriptedMes) -> None:
    rows = [enqueued() for _ in range(2)]
    scripted.says(*[Reply(401, b'{"detail": "no"}')] * 2)
    assert deliver(limit=2) == 2
    assert [state_of(row) for row in rows] == ["RETRY", "RETRY"]
    assert "LOUPE_MES_SECRET" in rows[0].last_error


def test_a_long_error_is_cut_to_what_the_row_holds(
    scripted: ScriptedMes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "LONGEST_SENTENCE", 900)
    row = enqueued()
    scripted.says(Reply(503, b"x" * 900))
    assert deliver() == 1
    assert state_of(row) == "RETRY"
    assert len(row.last_error) == 500


def test_what_is_not_due_stays(demo: DemoMes) -> None:
    row = enqueued(due_at=NOW + timedelta(seconds=8))
    assert deliver(seconds=7.9) == 0
    assert demo.held(row) is None
    assert deliver(seconds=8) == 1
    assert state_of(row) == "ACKNOWLEDGED"


def test_without_an_mes_everything_waits(configure: Configure) -> None:
    row = enqueued()
    assert deliver() == 0
    assert state_of(row) == "PENDING"
    assert outcomes(row) == []


def test_no_more_calls_than_asked_for(demo: DemoMes) -> None:
    rows = [enqueued() for _ in range(3)]
    assert deliver(limit=2) == 2
    assert sorted(state_of(row) for row in rows) == ["ACKNOWLEDGED", "ACKNOWLEDGED", "PENDING"]


def test_the_same_key_again_is_the_same_disposition(demo: DemoMes) -> None:
    row = enqueued()
    deliver()
    before = demo.deliveries()
    mes = adapter_of("mes")
    assert mes is not None
    row.refresh_from_db()
    assert mes.post(message_of(row)) == Applied(row.reference, 200)
    assert demo.deliveries() == {**before, "repeated": before["repeated"] + 1}


def test_a_conflict_that_names_the_reference_is_an_acknowledgement(scripted: ScriptedMes) -> None:
    scripted.says(Reply(409, b'{"reference": "MES-9"}'))
    row = enqueued()
    deliver()
    assert state_of(row) == "ACKNOWLEDGED"
    assert row.reference == "MES-9"


def test_a_refusal_is_for_a_person_and_is_not_sent_again(demo: DemoMes) -> None:
    demo.fault("reject")
    row = enqueued()
    deliver()
    assert state_of(row) == "REJECTED"
    assert "422" in row.last_error
    assert "not in production" in row.last_error
    assert row.settled_at is None
    assert deliver(seconds=3600) == 0
    assert actions() == ["write_back.reject"]


def test_an_unreachable_mes_is_tried_again_for_ever(configure: Configure) -> None:
    configure("http://127.0.0.1:9")
    row = enqueued()
    for attempt in range(1, 12):
        WriteBack.objects.filter(pk=row.pk).update(due_at=NOW)
        assert deliver() == 1
        assert state_of(row) == "RETRY"
        assert row.attempts == attempt
        wait = (row.due_at - NOW).total_seconds()
        assert min(60, 2 ** (attempt - 1)) / 2 <= wait <= min(60, 2 ** (attempt - 1)) + 1
        assert deliver() == 0
    assert set(outcomes(row)) == {"NOT_TAKEN"}
    assert "cannot be reached" in row.last_error


def test_a_busy_mes_is_tried_again_without_asking(demo: DemoMes) -> None:
    demo.fault("429")
    row = enqueued()
    deliver()
    assert state_of(row) == "RETRY"
    demo.fault("ok")
    deliver(seconds=5)
    assert state_of(row) == "ACKNOWLEDGED"
    assert outcomes(row) == ["NOT_TAKEN", "APPLIED"]
    assert row.last_error == ""


def test_a_failure_after_applying_is_found_and_not_sent_twice(demo: DemoMes) -> None:
    demo.fault("500_after_apply")
    row = enqueued()
    deliver()
    assert state_of(row) == "RETRY"
    before = demo.deliveries()
    demo.fault("ok")
    deliver(seconds=5)
    assert state_of(row) == "ACKNOWLEDGED"
    assert demo.deliveries() == before
    assert outcomes(row) == ["FAILED", "APPLIED"]


def test_a_failure_before_applying_is_asked_for_then_sent(demo: DemoMes) -> None:
    demo.fault("500")
    row = enqueued()
    deliver()
    demo.fault("ok")
    deliver(seconds=5)
    assert state_of(row) == "ACKNOWLEDGED"
    assert outcomes(row) == ["FAILED", "NOT_FOUND", "APPLIED"]


def test_silence_rests_out_the_quarantine_then_is_read_back_and_sent(
    demo: DemoMes, configure: Configure
) -> None:
    configure(demo.url, mes_timeout_s=0.2)
    demo.fault("timeout", seconds=0.5)
    row = in_doubt()
    assert row.due_at == NOW + timedelta(seconds=30)
    demo.fault("ok")
    configure(demo.url)
    assert deliver(seconds=29) == 0
    deliver(seconds=32)
    assert state_of(row) == "ACKNOWLEDGED"
    assert outcomes(row) == ["UNCERTAIN", "NOT_FOUND", "APPLIED"]


def test_a_late_mes_is_found_to_have_applied(demo: DemoMes, configure: Configure) -> None:
    configure(demo.url, mes_timeout_s=0.2)
    demo.fault("late", seconds=0.4)
    row = in_doubt()
    demo.fault("ok")
    configure(demo.url)
    _until_held(demo, row)
    before = demo.deliveries()
    deliver(seconds=32)
    assert state_of(row) == "ACKNOWLEDGED"
    assert demo.deliveries() == before


def _until_held(demo: DemoMes, row: WriteBack) -> None:
    assert wait_until(lambda: demo.held(row) is not None, 60), "the late MES never applied it"


def test_a_reset_after_applying_is_not_doubled(demo: DemoMes) -> None:
    demo.fault("reset_after_apply")
    row = enqueued()
    deliver()
    assert state_of(row) == "UNCERTAIN"
    before = demo.deliveries()
    demo.fault("ok")
    deliver(seconds=32)
    assert state_of(row) == "ACKNOWLEDGED"
    assert demo.deliveries() == before
    assert outcomes(row) == ["UNCERTAIN", "APPLIED"]


def test_while_reading_back_gets_no_answer_it_stays_uncertain(scripted: ScriptedMes) -> None:
    scripted.says(Reply(reset=True), Reply(500, b""), Reply(404, b""), Reply(404, b""), Reply())
    row = enqueued()
    deliver()
    deliver(seconds=32)
    assert state_of(row) == "UNCERTAIN"
    assert row.due_at <= NOW + timedelta(seconds=32 + 5)
    deliver(seconds=40, limit=1)
    assert state_of(row) == "RETRY"
    scripted.says(Reply())
    deliver(seconds=41)
    assert state_of(row) == "ACKNOWLEDGED"
    assert [r.method for r in scripted.requests] == ["POST", "GET", "GET", "POST"]
    assert outcomes(row) == ["UNCERTAIN", "UNREAD", "NOT_FOUND", "APPLIED"]


def test_a_read_back_that_settles_nothing_is_for_a_person(scripted: ScriptedMes) -> None:
    scripted.says(Reply(reset=True), Reply(200, b"<html>log in</html>"))
    row = enqueued()
    deliver()
    deliver(seconds=32)
    assert state_of(row) == "NEEDS_PERSON"
    assert deliver(seconds=3600) == 0
    assert actions() == ["write_back.ask_person"]


# --- order ---


def test_a_later_revision_waits_while_the_earlier_is_uncertain(demo: DemoMes) -> None:
    unit = factories.unit()
    first = enqueued(unit, kind="ACCEPT")
    demo.fault("reset_after_apply")
    deliver()
    demo.fault("ok")
    second = enqueued(unit, kind="HOLD")
    other = enqueued()
    assert deliver(seconds=1) == 1
    assert (state_of(first), state_of(second)) == ("UNCERTAIN", "PENDING")
    assert state_of(other) == "ACKNOWLEDGED"
    assert deliver(seconds=32) == 2
    assert (state_of(first), state_of(second)) == ("ACKNOWLEDGED", "ACKNOWLEDGED")
    assert first.settled_at is not None
    assert second.settled_at is not None
    assert first.settled_at <= second.settled_at


def test_a_later_revision_waits_while_a_failed_one_may_have_arrived(demo: DemoMes) -> None:
    unit = factories.unit()
    first = enqueued(unit, kind="ACCEPT")
    demo.fault("500_after_apply")
    deliver()
    demo.fault("ok")
    second = enqueued(unit, kind="HOLD")
    assert deliver() == 0
    deliver(seconds=5)
    assert (state_of(first), state_of(second)) == ("ACKNOWLEDGED", "ACKNOWLEDGED")


def test_what_never_left_is_superseded_by_what_is_due(configure: Configure, demo: DemoMes) -> None:
    unit = factories.unit()
    configure("http://127.0.0.1:9")
    first = enqueued(unit, kind="ACCEPT")
    deliver()
    second = enqueued(unit, kind="REWORK", due_at=NOW + timedelta(hours=1))
    third = enqueued(unit, kind="HOLD")
    configure(demo.url)
    assert deliver(seconds=1) == 1
    assert state_of(first) == state_of(second) == "SUPERSEDED"
    assert state_of(third) == "ACKNOWLEDGED"
    assert demo.held(first) is None
    assert actions() == ["write_back.supersede", "write_back.supersede", "write_back.acknowledge"]


def test_an_earlier_revision_goes_first_while_the_later_can_be_undone(demo: DemoMes) -> None:
    unit = factories.unit()
    first = enqueued(unit, kind="HOLD")
    second = enqueued(unit, kind="ACCEPT", due_at=NOW + timedelta(seconds=8))
    assert deliver(seconds=1) == 1
    assert (state_of(first), state_of(second)) == ("ACKNOWLEDGED", "PENDING")
    assert deliver(seconds=8) == 1
    assert state_of(second) == "ACKNOWLEDGED"


def test_a_refused_revision_does_not_hold_back_the_next(demo: DemoMes) -> None:
    unit = factories.unit()
    demo.fault("reject")
    first = enqueued(unit)
    deliver()
    demo.fault("ok")
    second = enqueued(unit)
    deliver()
    assert (state_of(first), state_of(second)) == ("REJECTED", "ACKNOWLEDGED")


def test_an_earlier_revision_that_is_being_sent_is_not_superseded(demo: DemoMes) -> None:
    unit = factories.unit()
    first = enqueued(unit)
    lease = leases.take_lease(at=NOW)
    assert lease is not None
    second = enqueued(unit)
    assert leases.take_lease(at=NOW) is None
    assert (state_of(first), state_of(second)) == ("SENDING", "PENDING")


# --- crash and fence ---


def test_a_lease_that_ran_out_is_quarantined_then_asked_for(demo: DemoMes) -> None:
    row = enqueued()
    mes = adapter_of("mes")
    lease = leases.take_lease(at=NOW)
    assert lease is not None
    assert mes is not None
    delivery.call(mes, lease)
    expire_lease(row)
    assert deliver(seconds=1) == 0
    assert state_of(row) == "UNCERTAIN"
    before = demo.deliveries()
    assert deliver(seconds=30.5) == 0
    deliver(seconds=31)
    assert state_of(row) == "ACKNOWLEDGED"
    assert demo.deliveries() == before
    assert outcomes(row) == ["LOST", "APPLIED"]


def test_a_lease_that_ran_out_before_sending_is_sent_in_the_end(demo: DemoMes) -> None:
    row = enqueued()
    leases.take_lease(at=NOW)
    expire_lease(row)
    deliver()
    deliver(seconds=31)
    assert state_of(row) == "ACKNOWLEDGED"
    assert outcomes(row) == ["LOST", "NOT_FOUND", "APPLIED"]


def test_a_running_lease_is_left_alone(demo: DemoMes) -> None:
    row = enqueued()
    leases.take_lease(at=NOW)
    # The lease is held against the database's clock, whatever this machine thinks.
    assert deliver(seconds=86_400) == 0
    assert state_of(row) == "SENDING"


def test_a_stale_fence_writes_nothing(demo: DemoMes) -> None:
    row = enqueued()
    mes = adapter_of("mes")
    stale = leases.take_lease(at=NOW)
    assert stale is not None
    assert mes is not None
    expire_lease(row)
    leases.recover(at=NOW)
    fresh = leases.take_lease(at=NOW + timedelta(seconds=31))
    assert fresh is not None
    assert fresh.fence > stale.fence
    called = delivery.call(mes, stale)
    assert delivery.record(lease=stale, called=called, at=NOW) is False
    assert state_of(row) == "SENDING"
    assert row.reference == ""
    assert outcomes(row) == ["LOST"]
    assert actions() == []
    found = delivery.call(mes, fresh)
    assert delivery.record(lease=fresh, called=found, at=NOW) is True
    assert state_of(row) == "ACKNOWLEDGED"


def test_an_answer_is_recorded_once(demo: DemoMes) -> None:
    row = enqueued()
    mes = adapter_of("mes")
    lease = leases.take_lease(at=NOW)
    assert lease is not None
    assert mes is not None
    called = delivery.call(mes, lease)
    assert delivery.record(lease=lease, called=called, at=NOW) is True
    assert delivery.record(lease=lease, called=called, at=NOW) is False
    assert outcomes(row) == ["APPLIED"]


# --- cost ---


@pytest.mark.parametrize("backlog", [1, 40])
def test_a_delivery_costs_the_same_statements_whatever_waits(demo: DemoMes, backlog: int) -> None:
    for _ in range(backlog):
        enqueued()
    with CaptureQueriesContext(connection) as queries:
        assert deliver(limit=1) == 1
    # Three transactions (recover 1, lease 6, record 4 statements), each a savepoint here.
    assert len(queries) <= 17, [q["sql"][:80] for q in queries]


def test_time_goes_on_while_the_mes_thinks(
    scripted: ScriptedMes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_running_from", RUNNING_FROM)
    scripted.says(Reply(seconds=0.15))
    row = enqueued()
    deliver()
    row.refresh_from_db()
    settled: datetime | None = row.settled_at
    assert settled is not None
    assert settled >= NOW + timedelta(seconds=0.15)
