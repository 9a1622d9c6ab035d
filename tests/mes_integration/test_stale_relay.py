"""A relay that stood still past its lease and wakes: what it knew of the row is not forgotten."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from mes_integration import delivery, leases
from mes_integration.leases import Lease
from mes_integration.models import DeliveryAttempt, WriteBack
from mes_integration.targets import adapter_of
from mes_integration.transitions import Outcome
from tests.mes_integration.plant import NOW, ScriptedMes, enqueued, state_of

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(seconds=100)


def woken(lease: Lease) -> Lease:
    """The lease as the process has it that slept through it."""
    return replace(lease, until=0.0)


def called_late(lease: Lease) -> None:
    mes = adapter_of("mes")
    assert mes is not None
    assert delivery.record(lease=lease, called=delivery.call(mes, woken(lease)), at=LATER)


def doubtful() -> WriteBack:
    """One of which nobody knows whether it arrived."""
    row = enqueued()
    WriteBack.objects.filter(pk=row.pk).update(state="UNCERTAIN", attempts=1)
    DeliveryAttempt.objects.create(
        site=row.site, write_back=row, at=NOW, outcome=Outcome.LOST, answer=""
    )
    return row


def test_what_was_to_be_asked_for_is_still_asked_for(scripted: ScriptedMes) -> None:
    row = doubtful()
    lease = leases.take_lease(at=LATER)
    assert lease is not None
    assert lease.reads_back
    called_late(lease)
    assert scripted.requests == []
    assert state_of(row) == "UNCERTAIN"

    again = leases.take_lease(at=LATER + timedelta(hours=1))
    assert again is not None
    assert again.reads_back


def test_what_was_handed_over_still_waits_for_its_acknowledgement(scripted: ScriptedMes) -> None:
    row = enqueued()
    WriteBack.objects.filter(pk=row.pk).update(state="SENT", attempts=1)
    DeliveryAttempt.objects.create(
        site=row.site, write_back=row, at=NOW, outcome=Outcome.HANDED, answer=""
    )
    lease = leases.take_lease(at=LATER)
    assert lease is not None
    called_late(lease)
    assert scripted.requests == []
    assert state_of(row) == "SENT"

    again = leases.take_lease(at=LATER + timedelta(hours=1))
    assert again is not None
    assert again.reads_back
