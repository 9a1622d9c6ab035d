"""Taken back in the last moment, by a host whose clock is behind: the earlier word leaves."""

from __future__ import annotations

from datetime import timedelta

import pytest

from governance.access import system
from governance.audit import recorded
from mes_integration import delivery, leases, mappings, outbox
from mes_integration.models import MappingProfile, WriteBack
from tests.mes_integration.plant import NOW, ScriptedMes, enqueued, state_of

pytestmark = pytest.mark.django_db


def test_a_later_one_that_has_to_wait_has_not_superseded_the_earlier_one(
    scripted: ScriptedMes,
) -> None:
    """The target applies in an order of its own, and is still at work on the first."""
    document = mappings.shipped_document("generic")
    document["capabilities"] |= {"ordered": False, "max_processing_s": 60}
    first = enqueued()
    MappingProfile.objects.create(
        site=first.site, target="mes", version=1, document=document, author="x", at=NOW
    )
    delivery.deliver_due(at=NOW, limit=1)
    assert state_of(first) == "ACKNOWLEDGED"
    second = enqueued(first.unit, kind="REWORK")
    third = enqueued(first.unit, kind="ACCEPT", due_at=NOW + timedelta(seconds=8))

    assert leases.take_lease(at=NOW + timedelta(seconds=9)) is None
    with recorded(actor=system("test"), at=NOW + timedelta(seconds=8)) as trail:
        outbox.withdraw(trail=trail, disposition=third.disposition)
    delivery.deliver_due(at=NOW + timedelta(minutes=2), limit=5)
    assert (state_of(second), state_of(third)) == ("ACKNOWLEDGED", "WITHDRAWN")


def test_one_that_waits_for_a_person_has(scripted: ScriptedMes) -> None:
    """What is known to be outdated is not told meanwhile."""
    document = mappings.shipped_document("generic")
    document["verdicts"].pop("SCRAP")
    first = enqueued(kind="ACCEPT")
    MappingProfile.objects.create(
        site=first.site, target="mes", version=1, document=document, author="x", at=NOW
    )
    second = enqueued(first.unit, kind="SCRAP")
    delivery.deliver_due(at=NOW + timedelta(seconds=1), limit=5)
    assert (state_of(first), state_of(second)) == ("SUPERSEDED", "NEEDS_PERSON")
    assert WriteBack.objects.count() == 2
    assert scripted.requests == []
