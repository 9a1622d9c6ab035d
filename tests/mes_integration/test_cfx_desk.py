"""What comes in from a CFX target's queues: acknowledgements are committed, requests answered."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from pytest_django.fixtures import Settings

from config.settings.environment import MesTarget
from mes_integration import delivery, targets
from mes_integration.models import MesChange, WriteBack
from tests import factories
from tests.mes_integration.contract.peer import wait_until
from tests.mes_integration.plant import NOW, enqueued, somebody_waits_for_a_lock, state_of

pytest.importorskip("proton", reason="python-qpid-proton is not installed: pip install loupe[cfx]")

from proton import Message

from mes_integration.adapters import cfx_envelopes
from tests.mes_integration.cfx_broker import Broker, Published
from tests.mes_integration.test_cfx_adapter import Scripted, accept

ACKS, REQUESTS = "/queue/loupe.acks", "/queue/loupe.requests"
HANDLE = "Loupe.Disposition.line-7"
pytestmark = pytest.mark.django_db(transaction=True)


class Desk:
    """The broker's side of the two queues."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.script = Scripted(broker)
        self.answers: list[tuple[str, Message, dict[str, Any]]] = []
        self._inner = broker.on_publish
        broker.on_publish = self._published

    def _published(self, published: Published) -> None:
        if not published.address.startswith("/queue/asker"):
            self._inner(published)
            return
        accept(published)
        told = Message()
        told.decode(published.data)
        self.answers.append((published.address, told, json.loads(published.body)))

    def put(self, queue: str, body: object, **properties: Any) -> None:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.broker.put(queue, Message(body=text, inferred=True, **properties).encode())

    def acknowledge(self, row: WriteBack, state: str = "applied", **words: Any) -> None:
        key = str(row.uuid)
        self.put(ACKS, {"disposition_id": key, "state": state, "reference": "M-1", **words})

    def ask(self, name: str, body: dict[str, Any], *, reply_to: str = "/queue/asker") -> None:
        envelope = {
            "MessageName": name,
            "Version": "2.1",
            "TimeStamp": "2026-03-01T06:30:00Z",
            "UniqueID": str(uuid4()),
            "Source": "MES.Server.1",
            "Target": HANDLE,
            "RequestID": "R-17",
            "MessageBody": {"$type": f"{name}, CFX", **body},
        }
        self.put(REQUESTS, envelope, reply_to=reply_to)

    def answer(self) -> dict[str, Any]:
        wait_until(lambda: bool(self.answers), what="no answer came")
        return self.answers[-1][2]

    def taken(self, number: int = 1) -> None:
        wait_until(lambda: len(self.broker.taken) >= number, what="it was not taken")

    def refused(self, number: int = 1) -> None:
        wait_until(lambda: len(self.broker.refused) >= number, what="it was not refused")


@pytest.fixture
def desk(settings: Settings) -> Iterator[Desk]:
    broker = Broker()
    made = Desk(broker)
    broker.up()
    entry = MesTarget.model_validate(
        {
            "name": "line-7",
            "adapter": "cfx",
            "url": broker.url,
            "user": broker.user,
            "secret": broker.secret,
            "timeout_s": 60,
            "options": {
                "address": "/queue/d",
                "ack_queue": ACKS,
                "request_queue": REQUESTS,
                "handle": HANDLE,
            },
        }
    )
    settings.LOUPE = settings.LOUPE.model_copy(update={"mes_url": "", "mes_targets": [entry]})
    adapter = targets.adapter_of("line-7")
    assert adapter is not None
    yield made
    adapter.close()
    targets._open.cache_clear()
    broker.close()


def sent(**fields: Any) -> WriteBack:
    row = enqueued(**fields)
    delivery.deliver_due(at=NOW, limit=5, target="line-7")
    assert state_of(row) == "SENT"
    return row


def response(key: str, result: dict[str, Any] | None, *, name: str = "Units") -> dict[str, Any]:
    return {
        "MessageName": f"CFX.Production.TestAndInspection.{name}InspectedResponse",
        "UniqueID": str(uuid4()),
        "Source": "MES.Server.1",
        "RequestID": key,
        "MessageBody": {"Result": result} if result else {},
    }


def test_an_acknowledgement_settles_it_and_is_taken(desk: Desk) -> None:
    row = sent()
    desk.acknowledge(row)
    desk.taken()
    assert state_of(row) == "ACKNOWLEDGED"
    assert row.reference == "M-1"


def test_the_words_of_the_other_queues_are_understood(desk: Desk) -> None:
    row = sent()
    desk.put(ACKS, {"disposition_id": str(row.uuid), "status": "applied", "peer_ref": "M-2"})
    desk.taken()
    assert state_of(row) == "ACKNOWLEDGED"
    assert row.reference == "M-2"


def test_it_is_taken_only_once_it_is_committed(desk: Desk) -> None:
    row = sent()
    with transaction.atomic():
        WriteBack.objects.select_for_update().get(pk=row.pk)
        desk.acknowledge(row)
        wait_until(somebody_waits_for_a_lock)
        assert desk.broker.taken == []
    desk.taken()
    assert state_of(row) == "ACKNOWLEDGED"


def test_what_is_not_taken_when_the_broker_goes_comes_again(desk: Desk) -> None:
    row = sent()
    with transaction.atomic():
        WriteBack.objects.select_for_update().get(pk=row.pk)
        desk.acknowledge(row)
        wait_until(somebody_waits_for_a_lock)
        desk.broker.down()
    wait_until(lambda: state_of(row) == "ACKNOWLEDGED")
    assert desk.broker.taken == []
    desk.broker.up()
    desk.taken()
    assert not MesChange.objects.exists()


def test_a_rejection_is_for_a_person(desk: Desk) -> None:
    row = sent()
    desk.acknowledge(row, "rejected", reference="", reason="unit is shipped")
    desk.taken()
    assert state_of(row) == "REJECTED"
    assert row.last_error == "unit is shipped"


def test_one_acknowledged_twice_is_acknowledged_once(desk: Desk) -> None:
    row = sent()
    for state in ("applied", "applied", "duplicate"):
        desk.acknowledge(row, state)
    desk.taken(3)
    assert state_of(row) == "ACKNOWLEDGED"
    assert not MesChange.objects.exists()


def test_one_that_contradicts_is_taken_and_kept_for_a_person(desk: Desk) -> None:
    row = sent()
    desk.acknowledge(row)
    desk.acknowledge(row, "rejected", reference="", reason="unit is shipped")
    desk.taken(2)
    assert state_of(row) == "ACKNOWLEDGED"
    assert MesChange.objects.filter(state="OPEN").count() == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 5000,
        b"7",
        b"[7]",
        b'"applied"',
        b"{}",
        b'{"disposition_id": 7, "state": "applied", "reference": "x"}',
        b'{"disposition_id": "no-such", "state": "applied", "reference": "x"}',
        b'{"state": "applied", "reference": "x"}',
        b'{"disposition_id": "x", "status": ["applied"], "peer_ref": "x"}',
        b'{"disposition_id": "x\\u0000", "status": "applied", "peer_ref": "x"}',
        b'{"disposition_id": "x", "status": "rejected", "reason": "\\ud800"}',
        b'{"MessageName": 5}',
        b'{"MessageName": "CFX.X", "RequestID": "\\ud800"}',
        b'{"MessageName": "CFX.X", "RequestID": "x", "MessageBody": {"Result": "fine"}}',
    ],
)
def test_what_cannot_be_used_is_put_aside_and_holds_nothing_up(desk: Desk, body: bytes) -> None:
    row = sent()
    desk.put(ACKS, body)
    desk.acknowledge(row)
    desk.refused()
    desk.taken()
    assert state_of(row) == "ACKNOWLEDGED"


def test_bytes_that_are_no_amqp_message_are_put_aside(desk: Desk) -> None:
    desk.broker.put(ACKS, b"\x00\x01garbage")
    desk.refused()


def test_one_for_another_target_changes_nothing(desk: Desk) -> None:
    row = sent()
    WriteBack.objects.filter(pk=row.pk).update(target="elsewhere")
    desk.acknowledge(row)
    desk.refused()
    assert state_of(row) == "SENT"


@pytest.mark.parametrize("word", ["Success", "Warning"])
def test_a_cfx_response_to_the_message_settles_it(desk: Desk, word: str) -> None:
    row = sent()
    desk.put(ACKS, response(str(row.uuid), {"Result": word, "ResultCode": 0, "Message": None}))
    desk.taken()
    assert state_of(row) == "ACKNOWLEDGED"
    assert row.reference == str(row.uuid)


def test_a_failed_cfx_response_rejects_it(desk: Desk) -> None:
    row = sent()
    result = {"Result": "Failed", "ResultCode": 4, "Message": "unknown unit"}
    desk.put(ACKS, response(str(row.uuid), result))
    desk.taken()
    assert state_of(row) == "REJECTED"
    assert row.last_error == "unknown unit"


def test_of_a_scrap_the_last_response_counts(desk: Desk) -> None:
    row = sent(kind="SCRAP")
    first, last = (told["UniqueID"] for told in desk.script.dispositions)
    assert last == str(row.uuid)
    desk.put(ACKS, response(first, {"Result": "Success"}))
    desk.taken()
    assert state_of(row) == "SENT"
    desk.put(ACKS, response(last, {"Result": "Success"}))
    desk.taken(2)
    assert state_of(row) == "ACKNOWLEDGED"


def test_of_a_scrap_either_message_refused_is_a_rejection(desk: Desk) -> None:
    row = sent(kind="SCRAP")
    first = str(cfx_envelopes.earlier_id(str(row.uuid), 0))
    desk.put(ACKS, response(first, {"Result": "Failed", "Message": "unknown unit"}))
    desk.taken()
    assert state_of(row) == "REJECTED"


def test_several_in_one_message_and_compressed_ones_are_read(desk: Desk) -> None:
    rows = [sent(unit=factories.unit(f"SN-{n}")) for n in range(2)]
    words = [
        {"disposition_id": str(row.uuid), "state": "applied", "reference": "M"} for row in rows
    ]
    desk.put(ACKS, gzip.compress(json.dumps(words).encode()), content_encoding="gzip")
    desk.taken()
    assert [state_of(row) for row in rows] == ["ACKNOWLEDGED", "ACKNOWLEDGED"]


def test_a_bomb_of_zeros_is_put_aside(desk: Desk) -> None:
    desk.put(ACKS, gzip.compress(b" " * 20_000_000), content_encoding="gzip")
    desk.refused()


def test_a_database_that_cuts_the_connection_costs_no_acknowledgement(desk: Desk) -> None:
    row = sent()
    desk.acknowledge(sent(unit=factories.unit("SN-2")))
    desk.taken()
    with connection.cursor() as cursor:
        cursor.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
    desk.acknowledge(row)
    desk.taken(2)
    assert state_of(row) == "ACKNOWLEDGED"


def test_it_says_that_it_is_there(desk: Desk) -> None:
    desk.ask("CFX.AreYouThereRequest", {"CFXHandle": HANDLE})
    answer = desk.answer()
    assert answer["MessageName"] == "CFX.AreYouThereResponse"
    assert (answer["RequestID"], answer["Target"]) == ("R-17", "MES.Server.1")
    body = answer["MessageBody"]
    assert (body["CFXHandle"], body["RequestTargetAddress"]) == (HANDLE, REQUESTS)
    assert body["Result"]["Result"] == "Success"
    _address, told, _envelope = desk.answers[0]
    assert told.correlation_id == "R-17"


def test_who_asks_for_another_endpoint_gets_no_answer_and_the_next_does(desk: Desk) -> None:
    desk.ask("CFX.AreYouThereRequest", {"CFXHandle": "Vendor.Other.1"})
    desk.ask("CFX.WhoIsThereRequest", {})
    assert desk.answer()["MessageName"] == "CFX.WhoIsThereResponse"
    assert len(desk.answers) == 1


@pytest.mark.parametrize(
    ("query", "topics", "answers"),
    [
        ("Ignore", ["CFX.Maintenance"], True),
        ("Any", ["CFX.Maintenance", "CFX.Production"], True),
        ("Any", ["CFX.Maintenance"], False),
        ("All", ["CFX.Production.TestAndInspection", "CFX"], True),
        ("All", ["CFX.Production", "CFX.Maintenance"], False),
    ],
)
def test_a_call_to_all_is_answered_by_its_topics(
    desk: Desk, query: str, topics: list[str], answers: bool
) -> None:
    wanted = [{"TopicName": topic} for topic in topics]
    desk.ask("CFX.WhoIsThereRequest", {"SupportedTopicQueryType": query, "SupportedTopics": wanted})
    desk.ask("CFX.AreYouThereRequest", {})
    wait_until(lambda: len(desk.answers) == 1 + answers)


def test_it_tells_of_units_what_it_told_before(desk: Desk) -> None:
    unit = factories.unit("SN-77")
    sent(unit=unit, kind="REWORK")
    enqueued(factories.unit("SN-78"), due_at=NOW.replace(year=2040))
    desk.ask(
        "CFX.Production.TestAndInspection.GetInspectionInfoRequest",
        {"Units": [{"UnitIdentifier": s} for s in ("SN-77", "SN-78", "nobody's")]},
    )
    answer = desk.answer()
    (told,) = answer["MessageBody"]["InspectedUnits"]
    (said,) = desk.script.dispositions
    assert told == said["MessageBody"]["InspectedUnits"][0]


def test_asked_for_one_panel_by_its_own_name_it_tells_of_that(desk: Desk) -> None:
    sent(unit=factories.unit("SN-79"))
    desk.ask(
        "CFX.Production.TestAndInspection.GetInspectionInfoRequest",
        {"PrimaryIdentifier": "SN-79", "Units": None},
    )
    (told,) = desk.answer()["MessageBody"]["InspectedUnits"]
    assert told["UnitIdentifier"] == "SN-79"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("CFX.Production.GetRecipeRequest", {}),
        ("CFX.WhoIsThereRequest", {"SupportedTopicQueryType": "Some"}),
    ],
)
def test_what_it_cannot_answer_it_says_it_cannot(
    desk: Desk, name: str, body: dict[str, Any]
) -> None:
    desk.ask(name, body)
    answer = desk.answer()
    assert answer["MessageName"] == "CFX.NotSupportedResponse"
    assert answer["MessageBody"]["RequestResult"]["Result"] == "Failed"


def test_a_serial_number_nobody_can_have_finds_nothing(desk: Desk) -> None:
    desk.ask(
        "CFX.Production.TestAndInspection.GetInspectionInfoRequest",
        {"Units": [{"UnitIdentifier": "SN\0"}]},
    )
    assert desk.answer()["MessageBody"]["InspectedUnits"] == []


def test_an_event_on_the_request_queue_is_taken_without_an_answer(desk: Desk) -> None:
    desk.ask("CFX.Heartbeat", {"CFXHandle": "x"})
    desk.taken()
    assert desk.answers == []


def test_an_asker_whose_queue_is_gone_holds_nothing_up(desk: Desk) -> None:
    desk.broker.closed_addresses.add("/queue/asker-gone")
    desk.ask("CFX.AreYouThereRequest", {}, reply_to="/queue/asker-gone")
    desk.taken()
    row = sent()
    desk.acknowledge(row)
    desk.taken(2)
    desk.ask("CFX.AreYouThereRequest", {})
    desk.answer()
    assert state_of(row) == "ACKNOWLEDGED"
