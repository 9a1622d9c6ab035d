"""B2MML from the MES: taken entry by entry, answered by a document, and only once."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from knox.models import AuthToken
from pytest_django.fixtures import Settings

from config.settings.environment import B2mmlInbox, MesTarget
from governance.access import system
from governance.models import AuditEntry
from governance.roles import Role
from mes_integration import b2mml_folders, b2mml_inbound, tasks
from mes_integration.adapters.b2mml_xml import read
from mes_integration.models import B2mmlDocument, MesChange, WriteBack
from tests import factories
from tests.mes_integration.b2mml import SCHEMAS, confirm, document, said, schemas
from tests.mes_integration.plant import enqueued
from traceability.models import Lot, PartRevision, Site, Unit, WorkOrder
from traceability.refusals import Conflict, Invalid

PATH = "/api/v1/mes/b2mml"
LOT = (
    "<MaterialLot><ID>L-1</ID><MaterialDefinitionID>P-1</MaterialDefinitionID>"
    "<MaterialLotProperty><ID>Supplier</ID><Value><ValueString>FOUNDRY</ValueString></Value>"
    "</MaterialLotProperty><MaterialLotProperty><ID>PartRevision</ID><Value>"
    "<ValueString>C</ValueString></Value></MaterialLotProperty>"
    "<MaterialSubLot><ID>SN-1</ID></MaterialSubLot><MaterialSubLot><ID>SN-2</ID></MaterialSubLot>"
    "<Quantity><QuantityString>2.5</QuantityString><UnitOfMeasure>KGM</UnitOfMeasure></Quantity>"
    "</MaterialLot>"
)
BAD_LOT = "<MaterialLot><ID> </ID></MaterialLot>"
ORDER = (
    "<OperationsSchedule><ID>S-1</ID><PublishedDate>2026-11-22T05:00:00Z</PublishedDate>"
    "<OperationsRequest><ID>WO-1</ID><RequestState>Ready</RequestState><SegmentRequirement>"
    "<ID>1</ID><ProcessSegmentID>cast</ProcessSegmentID>"
    "<OperationsDefinitionID>d</OperationsDefinitionID>"
    "<OperationsSegmentID>s</OperationsSegmentID>"
    "<MaterialRequirement><ID>m1</ID><MaterialDefinitionID>SAND</MaterialDefinitionID>"
    "<MaterialUse>Consumed</MaterialUse></MaterialRequirement>"
    '<MaterialRequirement><ID>m2</ID><MaterialDefinitionID schemeVersionID="D">P-9'
    "</MaterialDefinitionID><MaterialLotID>L-9</MaterialLotID><MaterialUse>Produced</MaterialUse>"
    "<Quantity><QuantityString>40</QuantityString></Quantity></MaterialRequirement>"
    "</SegmentRequirement></OperationsRequest></OperationsSchedule>"
)


@pytest.fixture
def site() -> Site:
    return factories.site()


def post(token: str, payload: bytes, *, query: str = "", kind: str = "application/xml") -> Any:
    client = Client()
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/xml"}
    return client.generic("POST", PATH + query, payload, kind, headers=headers)


@pytest.fixture
def token(site: Site) -> str:
    _row, token = AuthToken.objects.create(factories.user(Role.MES, at=site))
    return str(token)


def valid(payload: bytes) -> bytes:
    """An answer, held against the schemas where they are at hand."""
    if SCHEMAS:
        assert schemas().fault(read(payload)) == ""
    return payload


def codes(payload: bytes) -> list[str]:
    return said(valid(payload), "ResponseCriteria", "ChangeStatus", "Code")


@pytest.mark.django_db
def test_a_lot_comes_with_its_part_its_supplier_and_its_units(token: str) -> None:
    answer = post(token, document("SyncMaterialLot", f"<Sync/>{LOT}"))
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/xml"
    assert codes(answer.content) == ["created", "created", "created"]
    assert said(answer.content, "Confirm", "OriginalApplicationArea", "BODID") == ["BOD-1"]
    lot = Lot.objects.get(code="L-1")
    assert (lot.quantity, lot.uom, str(lot.supplier)) == (Decimal("2.500"), "KGM", "FOUNDRY")
    assert lot.part_revision is not None
    assert (lot.part_revision.part_number.number, lot.part_revision.revision) == ("P-1", "C")
    assert set(Unit.objects.filter(lot=lot).values_list("serial", flat=True)) == {"SN-1", "SN-2"}


@pytest.mark.django_db
def test_part_revisions_come_as_material_definitions(token: str) -> None:
    data = (
        "<Sync/><MaterialDefinition><ID>P-1</ID><Version>C</Version>"
        "<Description>Housing</Description></MaterialDefinition>"
    )
    assert post(token, document("SyncMaterialDefinition", data)).status_code == 200
    found = PartRevision.objects.get(part_number__number="P-1", revision="C")
    assert found.description == "Housing"


@pytest.mark.django_db
def test_units_come_as_sub_lots(token: str) -> None:
    data = (
        "<Sync/><MaterialSubLot><ID>SN-5</ID><MaterialLotProperty><ID>WorkOrder</ID><Value>"
        "<ValueString>WO-2</ValueString></Value></MaterialLotProperty>"
        "<MaterialLotID>L-5</MaterialLotID></MaterialSubLot>"
    )
    assert post(token, document("SyncMaterialSubLot", data)).status_code == 200
    unit = Unit.objects.get(serial="SN-5")
    assert (str(unit.lot), str(unit.work_order)) == ("L-5", "WO-2")


@pytest.mark.django_db
def test_orders_come_as_operations_schedules(token: str) -> None:
    answer = post(token, document("ProcessOperationsSchedule", f"<Process/>{ORDER}"))
    assert answer.status_code == 200, answer.content
    assert b"<AcknowledgeOperationsSchedule" in answer.content
    assert codes(answer.content) == ["created"]
    order = WorkOrder.objects.get(number="WO-1")
    assert (order.state, order.quantity, str(order.lot)) == ("RELEASED", Decimal(40), "L-9")
    assert order.part_revision is not None
    assert order.part_revision.revision == "D"


@pytest.mark.django_db
def test_material_information_brings_everything_in_the_order_it_needs(token: str) -> None:
    data = (
        "<Sync/><MaterialInformation><ID>i</ID>"
        "<PublishedDate>2026-11-22T05:00:00Z</PublishedDate>"
        "<MaterialDefinition><ID>P-1</ID><Version>C</Version></MaterialDefinition>"
        f"{LOT}</MaterialInformation>"
    )
    answer = post(token, document("SyncMaterialInformation", data))
    assert codes(answer.content) == ["created"] * 4


@pytest.mark.django_db
def test_what_is_wrong_is_refused_alone_and_named(token: str) -> None:
    answer = post(token, document("ProcessMaterialLot", f"<Process/>{BAD_LOT}{LOT}"))
    assert answer.status_code == 207
    actions = [
        expression.get("actionCode")
        for expression in read(valid(answer.content)).iter(
            "{http://www.mesa.org/xml/B2MML}ResponseExpression"
        )
    ]
    assert actions == ["Rejected", "Accepted", "Accepted", "Accepted"]
    assert "code" in said(answer.content, "ChangeStatus", "Reason")[0]
    assert Lot.objects.filter(code="L-1").exists()
    assert not B2mmlDocument.objects.exists()


@pytest.mark.django_db
def test_nothing_of_a_document_that_is_wrong_throughout_is_taken(token: str) -> None:
    answer = post(token, document("SyncMaterialLot", f"<Sync/>{BAD_LOT}"))
    assert answer.status_code == 422
    assert said(valid(answer.content), "BOD", "Description") == ["0 taken, 1 refused."]


@pytest.mark.django_db
def test_the_same_document_again_changes_nothing(token: str) -> None:
    sent = document("SyncMaterialLot", f"<Sync/>{LOT}")
    post(token, sent)
    audited = AuditEntry.objects.count()
    later = document("SyncMaterialLot", f"<Sync/>{LOT}", created="2026-11-22T07:00:00Z")
    for again in (sent, later):
        answer = post(token, again)
        assert answer.status_code == 200
        assert set(codes(answer.content)) == {"repeated"}
    assert AuditEntry.objects.count() == audited
    assert B2mmlDocument.objects.count() == 1


@pytest.mark.django_db
def test_a_bodid_that_was_used_for_something_else_is_refused(token: str) -> None:
    post(token, document("SyncMaterialLot", f"<Sync/>{LOT}"))
    other = post(token, document("SyncMaterialLot", f"<Sync/>{LOT.replace('2.5', '3')}"))
    assert other.status_code == 409
    assert "BOD-1" in said(valid(other.content), "BOD", "Description")[0]
    assert Lot.objects.get(code="L-1").quantity == Decimal("2.500")


@pytest.mark.django_db
def test_a_corrected_document_may_come_under_the_bodid_of_a_refused_one(token: str) -> None:
    post(token, document("SyncMaterialLot", f"<Sync/>{BAD_LOT}{LOT}"))
    assert post(token, document("SyncMaterialLot", f"<Sync/>{LOT}")).status_code == 200


@pytest.mark.django_db
def test_an_older_document_that_comes_late_changes_nothing(token: str) -> None:
    post(token, document("SyncMaterialLot", f"<Sync/>{LOT}", created="2026-11-22T06:00:00Z"))
    older = document(
        "SyncMaterialLot",
        f"<Sync/>{LOT.replace('2.5', '9')}",
        bodid="BOD-0",
        created="2026-11-22T05:00:00Z",
    )
    assert codes(post(token, older).content)[0] == "stale"
    assert Lot.objects.get(code="L-1").quantity == Decimal("2.500")


@pytest.mark.django_db
def test_nothing_is_deleted(token: str) -> None:
    criteria = '<ActionCriteria><ActionExpression actionCode="Delete">x</ActionExpression>'
    data = f"<Sync>{criteria}</ActionCriteria></Sync>{LOT}"
    answer = post(token, document("SyncMaterialLot", data))
    assert answer.status_code == 422
    assert b"deletes no master data" in answer.content


@pytest.mark.django_db
def test_a_document_that_is_not_taken_says_which_are(token: str) -> None:
    answer = post(token, document("SyncEquipment", "<Sync/><Equipment><ID>x</ID></Equipment>"))
    assert answer.status_code == 422
    reason = said(valid(answer.content), "BOD", "Description")[0]
    assert "SyncMaterialLot" in reason or "not valid" in reason


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("payload", "kind", "status"),
    [
        (b"", "application/xml", 422),
        (b"{}", "application/json", 415),
        (b"x" * (5 * 1024 * 1024), "application/xml", 422),
        (b"<a/>", "text/xml", 422),
    ],
)
def test_every_refusal_is_a_document(token: str, payload: bytes, kind: str, status: int) -> None:
    answer = post(token, payload, kind=kind)
    assert answer.status_code == status
    assert read(valid(answer.content)).tag.endswith("ConfirmBOD")
    assert said(answer.content, "BOD", "Description")[0]


@pytest.mark.django_db
def test_a_stranger_is_told_so_in_xml() -> None:
    answer = post("nobody", document("SyncMaterialLot", f"<Sync/>{LOT}"))
    assert answer.status_code == 401
    assert read(valid(answer.content)).tag.endswith("ConfirmBOD")


@pytest.mark.django_db
def test_a_foreign_site_is_not_there(token: str) -> None:
    factories.site("plant-2")
    answer = post(token, document("SyncMaterialLot", f"<Sync/>{LOT}"), query="?site=plant-2")
    assert answer.status_code == 404
    assert not Lot.objects.exists()


# Acknowledgements


def sent_row() -> WriteBack:
    row = enqueued(at=datetime.now(UTC) - timedelta(hours=1))
    WriteBack.objects.filter(pk=row.pk).update(state="SENT")
    return row


@pytest.mark.django_db
def test_an_acknowledgement_settles_what_was_sent(token: str) -> None:
    row = sent_row()
    answer = post(token, confirm(str(row.uuid), reference="TR-1"))
    assert (answer.status_code, codes(answer.content)) == (200, ["recorded"])
    row.refresh_from_db()
    assert (row.state, row.reference) == ("ACKNOWLEDGED", "TR-1")
    assert post(token, confirm(str(row.uuid), reference="TR-1")).status_code == 200


@pytest.mark.django_db
def test_a_rejection_names_its_reason(token: str) -> None:
    row = sent_row()
    post(token, confirm(str(row.uuid), reason="unit is shipped"))
    row.refresh_from_db()
    assert (row.state, row.last_error) == ("REJECTED", "unit is shipped")


@pytest.mark.django_db
def test_an_acknowledgement_of_something_else_is_refused(token: str) -> None:
    row = sent_row()
    WriteBack.objects.filter(pk=row.pk).update(target="other")
    for key in (str(row.uuid), "BOD-X"):
        answer = post(token, confirm(key))
        assert answer.status_code == 422
        assert "Nothing was sent" in said(valid(answer.content), "BOD", "Note")[0]


@pytest.mark.django_db
def test_an_acknowledgement_that_contradicts_is_an_open_conflict(token: str) -> None:
    row = sent_row()
    post(token, confirm(str(row.uuid), reference="TR-1"))
    answer = post(token, confirm(str(row.uuid), reason="taken back"))
    assert (answer.status_code, codes(answer.content)) == (422, ["contradiction"])
    assert MesChange.objects.filter(write_back=row, state="OPEN").count() == 1


# Changes


@pytest.fixture
def lots_target(settings: Settings) -> None:
    target = MesTarget(name="erp", adapter="b2mml-http", url="http://x/", profile="b2mml-units")
    settings.LOUPE = settings.LOUPE.model_copy(update={"mes_url": "", "mes_targets": [target]})


def decided(unit: Unit | None = None, *, kind: str = "SCRAP") -> Unit:
    """A unit that stands here as decided."""
    row = enqueued(unit, kind=kind)
    Unit.objects.filter(pk=row.unit_id).update(disposition=kind)
    return row.unit


def changed(noun: str, inner: str, *, bodid: str = "CH-1", count: int = 1) -> bytes:
    created = datetime.now(UTC).isoformat()
    data = "<Change/>" + f"<{noun}>{inner}</{noun}>" * count
    return document(f"Change{noun}", data, bodid=bodid, created=created)


@pytest.mark.django_db
@pytest.mark.usefixtures("lots_target")
@pytest.mark.parametrize(
    ("inner", "kind"),
    [
        ("<Status>REWORK</Status><Disposition>Restricted</Disposition>", "REWORK"),
        ("<Status>HOLD</Status>", "HOLD"),
        ("<Disposition>UnRestricted</Disposition>", "ACCEPT"),
        ('<Disposition OtherValue="Scrap">Other</Disposition>', "SCRAP"),
        # Rework and hold are both that: a person says which.
        ("<Disposition>Restricted</Disposition>", ""),
    ],
)
def test_a_change_in_the_mes_is_understood_by_the_mapping(
    token: str, inner: str, kind: str
) -> None:
    unit = decided(kind="SCRAP" if kind != "SCRAP" else "ACCEPT")
    payload = changed("MaterialSubLot", f"<ID>{unit.serial}</ID>{inner}")
    answer = post(token, payload, query="?target=erp")
    assert answer.status_code == 200
    change = MesChange.objects.get()
    assert (change.unit, change.kind, change.state) == (unit, kind, "OPEN")
    assert set(codes(answer.content)) == {"open"}
    assert codes(post(token, payload, query="?target=erp").content) == ["repeated"]
    assert MesChange.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.usefixtures("lots_target")
def test_a_change_of_a_lot_is_that_of_its_only_unit_and_of_no_other(token: str) -> None:
    unit = decided(factories.unit(lot="L-1"))
    payload = changed("MaterialLot", "<ID>L-1</ID><Status>ACCEPT</Status>")
    assert post(token, payload, query="?target=erp").status_code == 200
    assert MesChange.objects.get().unit == unit
    factories.unit(lot="L-1")
    payload = changed("MaterialLot", "<ID>L-1</ID><Status>ACCEPT</Status>", bodid="CH-2")
    answer = post(token, payload, query="?target=erp")
    assert answer.status_code == 422
    assert "several units" in said(valid(answer.content), "BOD", "Note")[0]


@pytest.mark.django_db
@pytest.mark.usefixtures("lots_target")
def test_a_change_of_an_unknown_unit_leaves_its_neighbours(token: str) -> None:
    unit = decided()
    known, unknown = (
        f"<MaterialSubLot><ID>{serial}</ID><Status>ACCEPT</Status></MaterialSubLot>"
        for serial in (unit.serial, "SN-NOBODY")
    )
    payload = document(
        "ChangeMaterialSubLot", f"<Change/>{unknown}{known}", created=datetime.now(UTC).isoformat()
    )
    answer = post(token, payload, query="?target=erp")
    assert (answer.status_code, codes(answer.content)) == (207, ["unknown", "open"])


# By file


@pytest.fixture
def inbox(tmp_path: Path, settings: Settings, site: Site) -> Path:
    (tmp_path / "in").mkdir()
    box = B2mmlInbox(folder=tmp_path, site=site.code)
    settings.LOUPE = settings.LOUPE.model_copy(update={"b2mml_inbox": [box]})
    return tmp_path


def collected() -> int:
    return b2mml_folders.collect(clock=lambda: datetime.now(UTC))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.django_db
def test_a_file_is_taken_answered_and_put_away(inbox: Path) -> None:
    (inbox / "in" / "lots.xml").write_bytes(document("SyncMaterialLot", f"<Sync/>{LOT}"))
    assert collected() == 1
    assert Lot.objects.filter(code="L-1").exists()
    assert names(inbox / "in") == []
    assert names(inbox / "done") == ["lots.xml"]
    assert codes((inbox / "answers" / "lots.xml").read_bytes()) == ["created"] * 3
    assert collected() == 0


@pytest.mark.django_db
def test_a_file_that_cannot_be_taken_is_put_aside_with_its_reason(inbox: Path) -> None:
    (inbox / "in" / "bad.xml").write_bytes(document("SyncMaterialLot", f"<Sync/>{BAD_LOT}"))
    (inbox / "in" / "good.xml").write_bytes(document("SyncMaterialLot", f"<Sync/>{LOT}"))
    assert collected() == 2
    assert names(inbox / "bad") == ["bad.xml", "bad.xml.reason.txt"]
    assert "code" in (inbox / "bad" / "bad.xml.reason.txt").read_text()
    assert names(inbox / "done") == ["good.xml"]


@pytest.mark.django_db
def test_an_acknowledging_file_is_recorded_and_not_answered(inbox: Path) -> None:
    row = sent_row()
    (inbox / "in" / "ack.xml").write_bytes(confirm(str(row.uuid)))
    assert collected() == 1
    row.refresh_from_db()
    assert row.state == "ACKNOWLEDGED"
    assert names(inbox / "answers") == []


@pytest.mark.django_db
def test_a_folder_that_is_gone_keeps_no_other_waiting(
    inbox: Path, settings: Settings, site: Site
) -> None:
    boxes = [B2mmlInbox(folder=inbox / "gone", site=site.code), *settings.LOUPE.b2mml_inbox]
    settings.LOUPE = settings.LOUPE.model_copy(update={"b2mml_inbox": boxes})
    (inbox / "in" / "lots.xml").write_bytes(document("SyncMaterialLot", f"<Sync/>{LOT}"))
    assert collected() == 1


@pytest.mark.django_db
def test_the_beat_collects_what_the_settings_name(inbox: Path, settings: Settings) -> None:
    (inbox / "in" / "lots.xml").write_bytes(document("SyncMaterialLot", f"<Sync/>{LOT}"))
    tasks.collect_b2mml()
    assert names(inbox / "done") == ["lots.xml"]
    settings.LOUPE = settings.LOUPE.model_copy(update={"b2mml_inbox": []})
    (inbox / "in" / "more.xml").write_bytes(document("SyncMaterialLot", f"<Sync/>{LOT}"))
    tasks.collect_b2mml()
    assert names(inbox / "in") == ["more.xml"]


@pytest.mark.django_db(transaction=True)
def test_two_who_collect_at_once_take_each_file_once(inbox: Path) -> None:
    for number in range(8):
        data = f"<Sync/><MaterialDefinition><ID>P-{number}</ID></MaterialDefinition>"
        sent = document("SyncMaterialDefinition", data, bodid=f"B-{number}")
        (inbox / "in" / f"{number}.xml").write_bytes(sent)

    def run() -> None:
        try:
            collected()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names(inbox / "in") == []
    assert names(inbox / "done") == [f"{n}.xml" for n in range(8)]
    assert names(inbox / "answers") == [f"{n}.xml" for n in range(8)]
    assert PartRevision.objects.count() == 8
    assert B2mmlDocument.objects.count() == 8


@pytest.mark.django_db
def test_a_document_of_many_entries_is_taken_in_stretches(site: Site) -> None:
    many = "".join(f"<MaterialLot><ID>L-{n}</ID></MaterialLot>" for n in range(700))
    taken = b2mml_inbound.take(
        actor=system("mes"),
        site=site,
        target_name="mes",
        payload=document("SyncMaterialLot", f"<Sync/>{many}"),
        at=datetime.now(UTC),
    )
    assert taken.refused == 0
    assert Lot.objects.count() == 700


@pytest.mark.django_db
def test_too_many_entries_are_refused_before_any_is_taken(site: Site) -> None:
    many = "<MaterialLot><ID>L</ID></MaterialLot>" * 2001
    with pytest.raises(Invalid, match="2000"):
        b2mml_inbound.take(
            actor=system("mes"),
            site=site,
            target_name="mes",
            payload=document("SyncMaterialLot", f"<Sync/>{many}"),
            at=datetime.now(UTC),
        )
    assert not Lot.objects.exists()


@pytest.mark.django_db
def test_a_bodid_is_the_targets_own(site: Site) -> None:
    sent = document("SyncMaterialLot", f"<Sync/>{LOT}")
    other = document("SyncMaterialLot", "<Sync/><MaterialLot><ID>L-2</ID></MaterialLot>")
    given: dict[str, Any] = {
        "actor": system("mes"),
        "site": site,
        "at": datetime.now(UTC),
    }
    b2mml_inbound.take(target_name="mes", payload=sent, **given)
    b2mml_inbound.take(target_name="erp", payload=other, **given)
    with pytest.raises(Conflict):
        b2mml_inbound.take(target_name="mes", payload=other, **given)
