"""What people do to many rows at once, and to rows that nothing else would ever move."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection, transaction

from governance.roles import Role
from mes_integration import bulk, resolution
from mes_integration.models import WriteBack
from tests import factories
from tests.mes_integration.conftest import Configure
from tests.mes_integration.plant import NOW, enqueued, state_of
from traceability.refusals import Conflict

LATER = NOW + timedelta(hours=1)


@pytest.mark.django_db(transaction=True)
def test_a_row_that_is_on_its_way_is_not_waited_for(configure: Configure) -> None:
    """The relay locks a unit's newer row before its older ones; the other way round both wait."""
    first = enqueued()
    second = enqueued(first.unit)
    WriteBack.objects.filter(pk=first.pk).update(state="RETRY", attempts=1, last_error="x")
    lead = factories.actor(Role.LEAD)
    relay = connection.copy()
    try:
        with relay.cursor() as cursor, transaction.atomic():
            cursor.execute("BEGIN")
            cursor.execute(
                "SELECT 1 FROM mes_integration_writeback WHERE id = %s FOR UPDATE", [second.pk]
            )
            with connection.cursor() as ours:
                ours.execute("SET LOCAL lock_timeout = '500ms'")
            rows = bulk.chosen(actor=lead, uuids=[str(first.uuid), str(second.uuid)])
            assert bulk.resend(actor=lead, rows=rows, at=LATER) == 1
    finally:
        relay.close()


@pytest.mark.django_db
def test_what_waits_for_a_target_that_is_gone_is_settled_by_a_person(configure: Configure) -> None:
    row = enqueued()
    lead = factories.actor(Role.LEAD)
    resolution.settle(
        actor=lead, write_back=row, reference="", reason="The old MES is switched off.", at=LATER
    )
    assert state_of(row) == "ACKNOWLEDGED"


@pytest.mark.django_db
def test_not_while_it_can_still_be_taken_back(configure: Configure) -> None:
    row = enqueued(due_at=LATER + timedelta(seconds=1))
    lead = factories.actor(Role.LEAD)
    with pytest.raises(Conflict, match="leaves by itself"):
        resolution.settle(actor=lead, write_back=row, reference="", reason="x", at=LATER)


@pytest.mark.django_db
def test_nor_while_its_target_is_there(configure: Configure) -> None:
    configure("http://mes.invalid")
    row = enqueued()
    lead = factories.actor(Role.LEAD)
    with pytest.raises(Conflict, match="leaves by itself"):
        resolution.settle(actor=lead, write_back=row, reference="", reason="x", at=LATER)
