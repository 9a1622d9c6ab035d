"""Suppliers, lots, part revisions, orders and units as the MES says them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from knox.models import AuthToken

from governance.access import Actor, actor_of, system
from governance.models import AuditEntry, Grant
from governance.roles import Role
from inference_bridge import intake
from mes_integration import master_data
from mes_integration.master_data import Outcome, Status
from tests import factories
from tests.factories import NOW
from tests.inference_bridge.conftest import give_policy, take
from tests.inference_bridge.messages import event, text
from traceability.models import (
    Lot,
    PartNumber,
    PartRevision,
    Site,
    Supplier,
    Unit,
    WorkOrder,
)
from traceability.refusals import Invalid, Unknown

pytestmark = pytest.mark.django_db
T0, T1, T2 = NOW - timedelta(hours=2), NOW - timedelta(hours=1), NOW


@pytest.fixture
def plant() -> Site:
    return factories.site()


@pytest.fixture
def machine(plant: Site) -> Actor:
    return factories.actor(Role.MES, at=plant)


Supply = Callable[..., Outcome]


@pytest.fixture
def supply(plant: Site, machine: Actor) -> Supply:
    """One item, as the MES of plant-1 sends it."""

    def send(kind: str, **fields: Any) -> Outcome:
        item = {"kind": kind, "changed_at": T1.isoformat(), **fields}
        return master_data.supply(actor=machine, site=plant, items=[item], at=NOW)[0]

    return send


def entries(action: str) -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(action=action).order_by("pk"))


def test_each_kind_is_made_with_what_the_mes_says_of_it(supply: Supply) -> None:
    sent = [
        supply("supplier", code="S-1", name="Foundry North"),
        supply(
            "lot",
            code="L-1",
            supplier="S-1",
            part_number="P-1",
            part_revision="B",
            quantity="120.5",
            uom="kg",
            expires_on="2027-01-31",
        ),
        supply("part_revision", number="P-1", revision="B", description="Housing"),
        supply(
            "order", number="WO-1", part_number="P-1", part_revision="B", quantity=40, lot="L-1"
        ),
        supply(
            "unit", serial="SN-1", part_number="P-1", part_revision="B", lot="L-1", order="WO-1"
        ),
    ]
    assert [each.sentence for each in sent] == [""] * 5
    # Named in passing before, so that part and lot are there when their own items come.
    statuses = [each.status for each in sent]
    assert statuses == [
        Status.CREATED,
        Status.CREATED,
        Status.CHANGED,
        Status.CREATED,
        Status.CREATED,
    ]
    unit = Unit.objects.get(serial="SN-1")
    assert unit.work_order == WorkOrder.objects.get(number="WO-1", quantity=40, lot__code="L-1")
    assert unit.part_revision == PartRevision.objects.get(description="Housing")
    lot = Lot.objects.get(code="L-1", supplier__name="Foundry North")
    assert (lot.quantity, lot.uom, str(lot.expires_on)) == (Decimal("120.5"), "kg", "2027-01-31")
    assert PartNumber.objects.count() == PartRevision.objects.count() == 1


def test_the_same_again_changes_nothing_and_writes_no_second_entry(supply: Supply) -> None:
    first = supply("lot", code="L-1", quantity=5, supplier="S-1")
    again = supply("lot", code="L-1", quantity="5.000", supplier="S-1")
    assert (first.status, again.status) == (Status.CREATED, Status.UNCHANGED)
    assert len(entries("lot.supply")) == 1


def test_what_is_older_than_what_is_known_changes_nothing_and_says_so(supply: Supply) -> None:
    supply("supplier", code="S-1", name="New name", changed_at=T1.isoformat())
    stale = supply("supplier", code="S-1", name="Old name", changed_at=T0.isoformat())
    assert stale.status is Status.STALE
    assert "2026-11-22T05:00:00.000Z" in stale.sentence
    assert Supplier.objects.get(code="S-1").name == "New name"


def test_a_stale_item_leaves_no_rows_it_names_in_passing(supply: Supply) -> None:
    supply("lot", code="L-1", changed_at=T1.isoformat())
    supply("lot", code="L-1", supplier="S-9", part_number="P-9", changed_at=T0.isoformat())
    assert not Supplier.objects.exists()
    assert not PartNumber.objects.exists()


def test_two_contents_of_one_time_are_a_conflict_and_what_was_empty_may_be_filled(
    supply: Supply,
) -> None:
    supply("lot", code="L-1", quantity=5)
    filled = supply("lot", code="L-1", uom="kg")
    against = supply("lot", code="L-1", quantity=6, uom="g")
    assert filled.status is Status.CHANGED
    assert (against.status, against.code) == (Status.REFUSED, "same_time")
    assert "quantity, uom" in against.sentence
    assert Lot.objects.get(code="L-1").quantity == 5


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_in_whatever_order_they_come_and_however_often_the_latest_stands(
    supply: Supply, order: tuple[int, ...]
) -> None:
    for number in [*order, *order]:
        at = (T0 + timedelta(minutes=number)).isoformat()
        supply("order", number="WO-1", quantity=number, lot=f"L-{number}", changed_at=at)
    made = WorkOrder.objects.select_related("lot").get()
    assert made.quantity == 2
    assert str(made.lot) == "L-2"


def test_a_field_left_out_stays_and_one_that_is_null_is_emptied(supply: Supply) -> None:
    supply("unit", serial="SN-1", lot="L-1", supplier="S-1", changed_at=T0.isoformat())
    supply("unit", serial="SN-1", supplier=None, changed_at=T1.isoformat())
    unit = Unit.objects.get(serial="SN-1")
    assert unit.lot is not None
    assert unit.supplier is None


def test_against_what_events_have_said_the_mes_wins_and_what_was_before_is_on_record(
    supply: Supply,
) -> None:
    known = factories.unit("SN-1", lot="L-OLD")
    said = supply("unit", serial="SN-1", lot="L-NEW")
    known.refresh_from_db()
    assert known.lot is not None
    assert known.lot.code == "L-NEW"
    assert said.changed == {"lot": {"before": "L-OLD", "after": "L-NEW"}}
    [entry] = entries("unit.supply")
    assert entry.detail["changed"]["lot"] == {"before": "L-OLD", "after": "L-NEW"}
    assert entry.detail["overruled"] == ["lot"]
    assert entry.actor_kind == "machine"


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"kind": "lots", "code": "L"}, "supplier, lot, part_revision, order, unit"),
        ({"kind": "lot"}, "“code” is missing"),
        ({"kind": "lot", "code": ""}, "“code”"),
        ({"kind": "lot", "code": 7}, "“code”"),
        ({"kind": "lot", "code": "a\x00b"}, "cannot be printed"),
        ({"kind": "lot", "code": "L" * 129}, "“code”"),
        ({"kind": "lot", "code": "L", "suplier": "S"}, "There is no field “suplier” here"),
        ({"kind": "lot", "code": "L", "quantity": -1}, "“quantity”"),
        ({"kind": "lot", "code": "L", "quantity": "NaN"}, "“quantity”"),
        ({"kind": "lot", "code": "L", "expires_on": "soon"}, "“expires_on”"),
        ({"kind": "lot", "code": "L", "part_revision": "B"}, "without “part_number”"),
        ({"kind": "lot", "code": "L", "changed_at": "2026-11-22T06:00:00"}, "“changed_at”"),
        ({"kind": "lot", "code": "L", "changed_at": "2027-11-22T06:00:00Z"}, "5 minutes ahead"),
        ({"kind": "order", "number": "W", "state": "OPEN"}, "“state”"),
    ],
)
def test_what_is_wrong_with_an_item_is_said_and_nothing_of_it_is_written(
    supply: Supply, fields: dict[str, Any], part: str
) -> None:
    refused = supply(**fields)
    assert refused.status is Status.REFUSED
    assert part in refused.sentence
    assert not Lot.objects.exists()
    assert not AuditEntry.objects.exists()


def test_a_wrong_item_is_refused_alone(plant: Site, machine: Actor) -> None:
    good = {"kind": "supplier", "code": "S-1", "changed_at": T1.isoformat()}
    outcomes = master_data.supply(
        actor=machine, site=plant, items=[good, "no object", {**good, "code": "S-2"}], at=NOW
    )
    statuses = [each.status for each in outcomes]
    assert statuses == [Status.CREATED, Status.REFUSED, Status.CREATED]
    assert Supplier.objects.count() == 2


@pytest.mark.parametrize("count", [0, 501])
def test_one_to_five_hundred_items_are_taken_at_a_time(
    plant: Site, machine: Actor, count: int
) -> None:
    with pytest.raises(Invalid, match="1 to 500"):
        master_data.supply(actor=machine, site=plant, items=[{}] * count, at=NOW)


def test_a_foreign_site_is_unknown_and_the_systems_own_reader_may_supply(plant: Site) -> None:
    foreign = factories.actor(Role.MES, at=factories.site("plant-2"))
    item = {"kind": "supplier", "code": "S-1", "changed_at": T1.isoformat()}
    with pytest.raises(Unknown):
        master_data.supply(actor=foreign, site=plant, items=[item], at=NOW)
    [taken] = master_data.supply(actor=system("b2mml"), site=plant, items=[item], at=NOW)
    assert taken.status is Status.CREATED


def test_a_machine_of_one_line_may_not_speak_for_the_whole_site(plant: Site) -> None:
    of_a_line = factories.actor(Role.MES, on=factories.line(plant))
    item = {"kind": "supplier", "code": "S-1", "changed_at": T1.isoformat()}
    with pytest.raises(Unknown):
        master_data.supply(actor=of_a_line, site=plant, items=[item], at=NOW)


def test_two_sites_have_their_own_rows_of_one_name(plant: Site, supply: Supply) -> None:
    other = factories.site("plant-2")
    Supplier.objects.create(site=other, code="S-1", name="Another")
    supply("supplier", code="S-1", name="Ours")
    assert Supplier.objects.get(site=other).name == "Another"


# Over HTTP


@pytest.fixture
def token(plant: Site) -> str:
    _row, token = AuthToken.objects.create(factories.user(Role.MES, at=plant))
    return str(token)


def call(method: str, path: str, body: Any, token: str) -> Any:
    return Client().generic(
        method,
        f"/api/v1/mes/{path}",
        text(body),
        "application/json",
        headers={"Authorization": f"Bearer {token}"},
    )


def test_a_put_says_whether_it_made_changed_or_left_the_row(token: str) -> None:
    body = {"name": "Foundry", "changed_at": T1.isoformat()}
    answers = [
        call("PUT", "suppliers/S%2F1", body, token),
        call("PUT", "suppliers/S%2F1", body, token),
        call("PUT", "suppliers/S%2F1", {**body, "changed_at": T0.isoformat()}, token),
    ]
    said = [(answer.status_code, answer.json()["status"]) for answer in answers]
    assert said == [(201, "created"), (200, "unchanged"), (200, "stale")]
    assert Supplier.objects.get().code == "S/1"


def test_a_part_revision_is_addressed_by_number_and_revision(token: str) -> None:
    body = {"description": "Housing", "changed_at": T1.isoformat()}
    assert call("PUT", "part-revisions/P/4711/B", body, token).status_code == 201
    made = PartRevision.objects.select_related("part_number").get()
    assert (made.part_number.number, made.revision) == ("P/4711", "B")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"changed_at": T1.isoformat(), "site": "plant-2"}, 404),
        ({"changed_at": T1.isoformat(), "site": "plant-9"}, 404),
        ({"changed_at": T1.isoformat(), "code": "S-2"}, 422),
        ({"changed_at": T1.isoformat(), "kind": "lot"}, 422),
        ({}, 422),
        ([], 422),
    ],
)
def test_a_put_that_is_wrong_is_refused_with_its_status(token: str, body: Any, status: int) -> None:
    factories.site("plant-2")
    answer = call("PUT", "suppliers/S-1", body, token)
    assert answer.status_code == status
    assert answer.json()["detail"].endswith(".")
    assert not Supplier.objects.exists()


def test_a_foreign_site_and_one_that_is_not_there_answer_alike(token: str) -> None:
    factories.site("plant-2")
    body = {"changed_at": T1.isoformat()}
    there = call("PUT", "suppliers/S-1", {**body, "site": "plant-2"}, token)
    nowhere = call("PUT", "suppliers/S-1", {**body, "site": "plant-3"}, token)
    assert there.json()["detail"].replace("plant-2", "plant-3") == nowhere.json()["detail"]


def test_a_machine_of_two_sites_says_which(plant: Site) -> None:
    user = factories.user(Role.MES, at=plant)
    Grant.objects.create(user=user, role=Role.MES, site=factories.site("plant-2"))
    _row, token = AuthToken.objects.create(user)
    body = {"changed_at": T1.isoformat()}
    assert call("PUT", "suppliers/S-1", body, str(token)).status_code == 422
    there = {**body, "site": "plant-2"}
    assert call("PUT", "suppliers/S-1", there, str(token)).status_code == 201
    assert Supplier.objects.get().site.code == "plant-2"


def test_a_batch_answers_each_item_in_its_order(token: str) -> None:
    items = [
        {"kind": "supplier", "code": "S-1", "changed_at": T1.isoformat()},
        {"kind": "unit", "serial": "SN-1", "changed_at": T1.isoformat(), "lot": "L-1"},
    ]
    fresh = call("POST", "master-data", {"items": items}, token)
    again = call("POST", "master-data", {"site": "plant-1", "items": items}, token)
    mixed = call("POST", "master-data", {"items": [*items, {"kind": "lot"}]}, token)
    assert [a.status_code for a in (fresh, again, mixed)] == [201, 200, 207]
    said = [(r["kind"], r["key"], r["status"]) for r in mixed.json()["results"]]
    assert said == [
        ("supplier", "S-1", "unchanged"),
        ("unit", "SN-1", "unchanged"),
        ("lot", "", "refused"),
    ]


@pytest.mark.parametrize("body", [[], {"items": {}}, {"items": []}, {"items": [{}] * 501}])
def test_a_batch_that_holds_no_list_is_refused(token: str, body: Any) -> None:
    assert call("POST", "master-data", body, token).status_code == 422


# Several at once


def together(*calls: Callable[[], Any]) -> list[Any]:
    """What each call came to, all begun at the same moment in threads of their own."""
    barrier = threading.Barrier(len(calls))
    answers: list[Any] = [None] * len(calls)

    def run(number: int) -> None:
        barrier.wait()
        try:
            answers[number] = calls[number]()
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.mark.django_db(transaction=True)
def test_two_same_upserts_at_once_make_one_row_and_one_entry() -> None:
    plant = factories.site()
    machine = actor_of(factories.user(Role.MES, at=plant))
    for number in range(10):
        item = {
            "kind": "unit",
            "serial": f"SN-{number}",
            "lot": f"L-{number}",
            "supplier": f"S-{number}",
            "changed_at": T1.isoformat(),
        }

        def send(item: dict[str, Any] = item) -> list[Outcome]:
            return master_data.supply(actor=machine, site=plant, items=[item], at=NOW)

        answers = together(send, send)
        statuses = sorted(each.status for [each] in answers)
        assert statuses == [Status.CREATED, Status.UNCHANGED]
    assert Unit.objects.count() == Lot.objects.count() == Supplier.objects.count() == 10
    assert len(entries("unit.supply")) == 10


@pytest.mark.django_db(transaction=True)
def test_the_later_of_two_at_once_stands_whichever_comes_first() -> None:
    plant = factories.site()
    machine = actor_of(factories.user(Role.MES, at=plant))
    for number in range(10):

        def send(at: Any, name: str, code: str = f"S-{number}") -> list[Outcome]:
            item = {"kind": "supplier", "code": code, "name": name, "changed_at": at.isoformat()}
            return master_data.supply(actor=machine, site=plant, items=[item], at=NOW)

        together(lambda: send(T1, "later"), lambda: send(T0, "earlier"))
    assert set(Supplier.objects.values_list("name", flat=True)) == {"later"}


@pytest.mark.django_db(transaction=True)
def test_a_unit_that_an_event_and_the_mes_bring_at_once_is_one_and_the_mes_is_right() -> None:
    plant = factories.site()
    factories.line(plant)
    give_policy(plant, T0)
    for number in range(10):
        serial = f"SN-{number}"
        item = {"kind": "unit", "serial": serial, "lot": "OF-MES", "changed_at": T1.isoformat()}
        seen = event(NOW, data__capture__serial=serial, data__capture__lot="OF-EVENT")

        def supplied(item: dict[str, Any] = item) -> list[Outcome]:
            return master_data.supply(actor=system("mes"), site=plant, items=[item], at=NOW)

        def taken(seen: dict[str, Any] = seen) -> list[intake.Outcome]:
            return take(NOW, seen)

        [one], [other] = together(supplied, taken)
        assert one.status in {Status.CREATED, Status.CHANGED}
        assert other.status is intake.Status.TAKEN
        lot = Unit.objects.get(serial=serial).lot
        assert lot is not None
        assert lot.code == "OF-MES"
