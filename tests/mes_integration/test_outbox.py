"""What is put on its way, and what can still be kept from leaving."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

import mes_integration
from config.settings.environment import MesTarget
from governance.access import system
from governance.audit import recorded
from governance.models import AuditEntry
from mes_integration import delivery, outbox
from mes_integration.models import WriteBack
from tests import factories
from tests.mes_integration.plant import NOW, DemoMes, disposition, enqueued, state_of
from traceability.models import Disposition
from traceability.refusals import Conflict

pytestmark = pytest.mark.django_db

SCHEMA = json.loads(
    (Path(mes_integration.__file__).parent / "schemas/disposition.v1.schema.json").read_text()
)
validate = fastjsonschema.compile(SCHEMA)
EXAMPLE: dict[str, Any] = {
    "specversion": "1.0",
    "id": "0193500d-3c5e-7a2b-9d3e-2f6f0a4c1b77",
    "source": "urn:loupe:site:plant-17",
    "type": "com.loupe.disposition.v1",
    "time": "2026-11-22T06:00:07.412Z",
    "subject": "plant-17/line-7/SN-000123",
    "data": {
        "unit": {
            "serial": "SN-000123",
            "part_number": "P-4711",
            "part_revision": "C",
            "lot": "L9",
            "supplier": "S4",
        },
        "station": {"site": "plant-17", "line": "line-7", "station": "st-3"},
        "inspection_id": "SN-000123/st-3/1",
        "revision": 1,
        "disposition": "HOLD",
        "nonconformities": [{"defect_class": "porosity", "severity": "major", "count": 1}],
        "decided_by": {"kind": "inspector", "badge": "4711"},
        "decided_at": "2026-11-22T06:00:05.001Z",
        "policy_version": 12,
        "model": {"name": "casting", "version": "17"},
        "concession": None,
    },
}
"""The contract's own example, as MES vendors were given it."""


def check(payload: object) -> None:
    validate(payload)


def put(*dispositions: Disposition) -> list[WriteBack]:
    with recorded(actor=system("test"), at=NOW) as trail:
        return outbox.enqueue_all(trail=trail, dispositions=dispositions, due_at=NOW)


def withdraw(row: WriteBack, *, seconds: float = 0) -> None:
    with recorded(actor=system("test"), at=NOW + timedelta(seconds=seconds)) as trail:
        outbox.withdraw(trail=trail, disposition=row.disposition)


def test_the_contracts_example_is_what_the_schema_describes() -> None:
    check(EXAMPLE)


@pytest.mark.parametrize("missing", ["revision", "inspection_id", "concession"])
def test_the_schema_asks_for_what_the_contract_names(missing: str) -> None:
    data = {name: value for name, value in EXAMPLE["data"].items() if name != missing}
    with pytest.raises(fastjsonschema.JsonSchemaValueException, match="must contain"):
        check({**EXAMPLE, "data": data})


def test_a_payload_says_what_the_contracts_example_says() -> None:
    site = factories.site("plant-17")
    unit = factories.unit("SN-000123", at=site, lot="L9", supplier="S4")
    line = factories.line(site, "line-7")
    seen = factories.inspection(unit, on=line)
    seen.station = factories.station(line, "st-3")
    seen.external_id = "SN-000123/st-3/1"
    seen.save()
    made = disposition(
        inspection=seen,
        model=factories.model_version(site, "17"),
        decided_at=NOW + timedelta(seconds=5, milliseconds=1),
    )
    (row,) = put(made)
    row.refresh_from_db()
    expected = {**EXAMPLE, "id": str(row.uuid), "time": "2026-11-22T06:00:00.000Z"}
    assert row.payload == expected


def test_a_sparse_disposition_is_sent_by_the_schema_too() -> None:
    seen = factories.inspection()
    seen.station = None
    seen.save()
    made = disposition(inspection=seen, decider_kind="rule", decider="deadline", nonconformities=[])
    (row,) = put(made)
    check(row.payload)
    assert row.payload["data"]["station"]["station"] is None
    assert row.payload["data"]["unit"]["lot"] is None
    assert row.payload["data"]["model"] is None
    assert row.payload["data"]["decided_by"] == {"kind": "rule", "name": "deadline"}


def test_fifty_cost_the_same_statements_as_one() -> None:
    def statements(number: int) -> int:
        made = [disposition().pk for _ in range(number)]
        bare = list(Disposition.objects.filter(pk__in=made))
        with CaptureQueriesContext(connection) as queries:
            put(*bare)
        return len(queries)

    one = statements(1)
    assert statements(50) == one
    # Savepoint, load, insert, audit, release.
    assert one <= 5


def test_loaded_dispositions_are_not_loaded_again() -> None:
    made = list(Disposition.objects.filter(pk=disposition().pk).select_related(*outbox._NEEDED))
    with CaptureQueriesContext(connection) as queries:
        put(*made)
    assert not [q for q in queries if q["sql"].startswith("SELECT")]


def test_enqueueing_is_audited_in_its_own_transaction() -> None:
    (row,) = put(disposition())
    entry = AuditEntry.objects.get(action="write_back.enqueue")
    assert entry.subject == row.unit.serial
    assert entry.detail == {"write_back": str(row.uuid), "revision": 1, "target": "mes"}


def test_a_disposition_is_withdrawn_within_its_undo_window(demo: DemoMes) -> None:
    row = enqueued(due_at=NOW + timedelta(seconds=8))
    withdraw(row, seconds=7)
    assert state_of(row) == "WITHDRAWN"
    assert row.settled_at == NOW + timedelta(seconds=7)
    assert delivery.deliver_due(at=NOW + timedelta(minutes=1), limit=10) == 0
    assert demo.held(row) is None
    assert AuditEntry.objects.filter(action="write_back.withdraw").count() == 1


def test_each_target_has_its_own_entry_of_what_was_withdrawn(settings: Settings) -> None:
    two = [
        MesTarget(name=name, adapter="http", url=f"http://{name}.invalid")
        for name in ("mes", "qms")
    ]
    settings.LOUPE = settings.LOUPE.model_copy(update={"mes_targets": two, "mes_url": ""})
    row = enqueued(due_at=NOW + timedelta(seconds=8))
    withdraw(row, seconds=7)
    rows = WriteBack.objects.order_by("pk")
    assert [(each.target, each.state) for each in rows] == [
        ("mes", "WITHDRAWN"),
        ("qms", "WITHDRAWN"),
    ]
    entries = AuditEntry.objects.filter(action="write_back.withdraw").order_by("pk")
    assert [entry.detail for entry in entries] == [
        {"revision": 1, "target": each.target, "write_back": str(each.uuid)} for each in rows
    ]


def test_what_is_due_is_not_withdrawn_any_more() -> None:
    row = enqueued(due_at=NOW + timedelta(seconds=8))
    with pytest.raises(Conflict, match="already on its way"):
        withdraw(row, seconds=8.001)
    assert state_of(row) == "PENDING"


@pytest.mark.parametrize("state", ["SENDING", "RETRY", "UNCERTAIN", "ACKNOWLEDGED", "REJECTED"])
def test_what_has_left_is_not_withdrawn(state: str) -> None:
    row = enqueued(due_at=NOW + timedelta(hours=1))
    WriteBack.objects.filter(pk=row.pk).update(
        state=state,
        lease_expires_at=NOW if state == "SENDING" else None,
        settled_at=NOW if state == "ACKNOWLEDGED" else None,
    )
    with pytest.raises(Conflict, match="already on its way") as refused:
        withdraw(row)
    assert refused.value.reason == "undo_closed"
    assert state_of(row) == state


def test_a_withdrawn_revision_does_not_hold_back_the_next(demo: DemoMes) -> None:
    unit = factories.unit()
    first = enqueued(unit, kind="ACCEPT", due_at=NOW + timedelta(seconds=8))
    withdraw(first)
    second = enqueued(unit, kind="HOLD")
    delivery.deliver_due(at=NOW, limit=10)
    assert state_of(second) == "ACKNOWLEDGED"
    assert state_of(first) == "WITHDRAWN"
