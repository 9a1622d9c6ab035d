"""Restored from a backup: what left meanwhile is not sent a second time."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from governance.models import AuditEntry
from mes_integration import delivery, inbound, restoration
from mes_integration.models import DeliveryAttempt, WriteBack
from tests.mes_integration.plant import NOW, DemoMes, enqueued, outcomes, state_of

pytestmark = pytest.mark.django_db


def as_in_the_backup(row: WriteBack) -> None:
    """The row as it was before it was sent."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        DeliveryAttempt.objects.filter(write_back=row).delete()
        cursor.execute("SET LOCAL session_replication_role = origin")
    WriteBack.objects.filter(pk=row.pk).update(
        state="PENDING", attempts=0, fence=0, reference="", settled_at=None
    )


def test_what_was_sent_after_the_backup_is_found_and_not_sent_again(demo: DemoMes) -> None:
    sent, waiting = enqueued(), enqueued()
    delivery.deliver_due(at=NOW, limit=1)
    assert state_of(sent) == "ACKNOWLEDGED"
    before = demo.deliveries()
    as_in_the_backup(sent)

    assert restoration.doubt_unsettled(backup_at=NOW, at=NOW + timedelta(minutes=10)) == 2
    delivery.deliver_due(at=NOW + timedelta(minutes=11), limit=10)

    assert (state_of(sent), state_of(waiting)) == ("ACKNOWLEDGED", "ACKNOWLEDGED")
    assert outcomes(sent) == ["LOST", "APPLIED"]
    assert outcomes(waiting) == ["LOST", "NOT_FOUND", "APPLIED"]
    after = demo.deliveries()
    assert after["applied"] == before["applied"] + 1
    assert after.get("repeated", 0) == before.get("repeated", 0)
    assert AuditEntry.objects.filter(action="write_back.doubt").count() == 1


def test_a_revision_that_was_replaced_meanwhile_does_not_come_after_the_later_one(
    demo: DemoMes,
) -> None:
    first = enqueued()
    second = enqueued(first.unit, kind="REWORK")
    delivery.deliver_due(at=NOW, limit=2)
    assert (state_of(first), state_of(second)) == ("SUPERSEDED", "ACKNOWLEDGED")
    before = demo.deliveries()
    for row in (first, second):
        as_in_the_backup(row)

    assert restoration.doubt_unsettled(backup_at=NOW, at=NOW + timedelta(minutes=10)) == 2
    delivery.deliver_due(at=NOW + timedelta(minutes=11), limit=10)

    assert (state_of(first), state_of(second)) == ("SUPERSEDED", "ACKNOWLEDGED")
    assert outcomes(first) == ["LOST", "NOT_FOUND", "BLOCKED"]
    assert demo.deliveries()["applied"] == before["applied"]


def test_the_command_asks_for_a_time_with_its_zone() -> None:
    for wrong in ("yesterday", "2026-11-22T06:00"):
        with pytest.raises(CommandError, match="zone"):
            call_command("after_restore", "--backup-at", wrong)
    with pytest.raises(CommandError, match="ahead"):
        call_command("after_restore", "--backup-at", "2999-01-01T00:00Z")
    said = StringIO()
    call_command("after_restore", "--backup-at", "2026-11-22T06:00Z", stdout=said)
    assert said.getvalue().startswith("0 write-backs")


@pytest.mark.parametrize("state", ["applied", "rejected"])
def test_what_left_after_the_backup_is_acknowledged_though_the_backup_has_it_waiting(
    state: inbound.Said,
) -> None:
    row = enqueued()
    restoration.doubt_unsettled(backup_at=NOW, at=NOW + timedelta(minutes=10))
    assert inbound.acknowledge(
        target="mes",
        key=str(row.uuid),
        state=state,
        reference="MES-7",
        reason="no such part",
        at=NOW + timedelta(minutes=11),
    )
    assert state_of(row) == {"applied": "ACKNOWLEDGED", "rejected": "REJECTED"}[state]
