"""What each thing that can happen between Loupe and a CFX broker means."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mes_integration import mapping, mappings
from mes_integration.adapters.protocol import (
    Applied,
    Handed,
    MesAdapter,
    Message,
    Refused,
    TryLater,
    Uncertain,
)
from mes_integration.targets import Target
from tests.mes_integration.contract.peer import wait_until
from tests.mes_integration.test_cfx_messages import KEY, RECORD
from tests.mes_integration.test_http_adapter import once_sent

pytest.importorskip("proton", reason="python-qpid-proton is not installed: pip install loupe[cfx]")

from proton import Delivery
from proton import Message as AmqpMessage

from mes_integration.adapters.cfx import open_target
from tests.mes_integration.cfx_broker import Broker, Published

ADDRESS = "/queue/cfx.dispositions"
SIGNS_OF_LIFE = {"CFX.EndpointConnected", "CFX.Heartbeat"}
Opens = Callable[..., MesAdapter]


def message(*, settled_is_applied: bool = False, **changes: Any) -> Message:
    profile = mapping.parse(
        mappings.shipped_document("cfx") | {"wire": {"settled_is_applied": settled_is_applied}}
    )
    record = {**RECORD, **changes}
    return Message(KEY, record, mapping.render(profile, record), profile)


class Scripted:
    """A broker that answers dispositions as told, in order; the last answer stays."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.dispositions: list[dict[str, Any]] = []
        self.signs: list[str] = []
        self.answers: list[Callable[[Published], None]] = [accept]
        broker.on_publish = self._published

    def says(self, *answers: Callable[[Published], None]) -> None:
        self.answers = list(answers)

    def _published(self, published: Published) -> None:
        envelope = json.loads(published.body)
        if envelope["MessageName"] in SIGNS_OF_LIFE:
            self.signs.append(envelope["MessageName"])
            accept(published)
            return
        self.dispositions.append(envelope)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        answer(published)


def accept(published: Published) -> None:
    published.settle(Delivery.ACCEPTED)


def reject(published: Published) -> None:
    published.settle(Delivery.REJECTED, reason="unit is\n\x1b shipped")


def release(published: Published) -> None:
    published.settle(Delivery.RELEASED)


def modify(published: Published) -> None:
    published.settle(Delivery.MODIFIED)


def cut(published: Published) -> None:
    published.session.end()


def detach(published: Published) -> None:
    published.detach(reason="queue deleted")


def stay_silent(_published: Published) -> None:
    """Neither taken nor refused."""


@pytest.fixture
def broker() -> Iterator[Broker]:
    made = Broker()
    made.up()
    yield made
    made.close()


@pytest.fixture
def mes(broker: Broker) -> Scripted:
    return Scripted(broker)


@pytest.fixture
def opens(broker: Broker) -> Iterator[Opens]:
    made: list[MesAdapter] = []

    def opened(*, timeout_s: float = 60, secret: str = "", **options: Any) -> MesAdapter:
        target = Target(
            "cfx",
            "cfx",
            broker.url,
            "cfx",
            user=broker.user,
            secret=secret or broker.secret,
            timeout_s=timeout_s,
            options={"address": ADDRESS, **options},
        )
        made.append(open_target(target))
        return made[-1]

    yield opened
    for adapter in made:
        adapter.close()
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith("cfx-") and name != "cfx-broker"]


def test_the_message_carries_what_cfx_readers_go_by(mes: Scripted, opens: Opens) -> None:
    raw: list[bytes] = []

    def keep(published: Published) -> None:
        raw.append(published.data)
        accept(published)

    mes.says(keep)
    opens().post(message())
    (data,) = raw
    told = AmqpMessage()
    told.decode(data)
    name = "CFX.Production.TestAndInspection.UnitsInspected"
    assert told.durable
    assert (told.id, told.reply_to) == (KEY, "Loupe.Disposition.cfx")
    assert told.subject == f"Loupe.Disposition.cfx.{name}"
    assert str(told.content_type) == 'application/json; charset="utf-8"'
    assert told.properties == {
        "cfx-topic": "CFX.Production.TestAndInspection",
        "cfx-message": name,
        "cfx-handle": "Loupe.Disposition.cfx",
        "cfx-target": None,
    }


@pytest.mark.usefixtures("mes")
def test_it_asks_for_queues_that_survive_the_broker(broker: Broker, opens: Opens) -> None:
    opens(ack_queue="/queue/acks").post(message())
    assert broker.durable == {f"to {ADDRESS}": True, "from /queue/acks": True}


def test_what_a_broker_has_taken_awaits_its_acknowledgement(mes: Scripted, opens: Opens) -> None:
    adapter = opens(ack_queue="/queue/acks")
    answer = adapter.post(message())
    assert isinstance(answer, Handed)
    assert answer.again_s is None
    assert adapter.read_back(message()) is None
    assert len(mes.dispositions) == 1


@pytest.mark.usefixtures("mes")
def test_without_an_acknowledgement_to_come_a_person_settles_it(opens: Opens) -> None:
    adapter = opens()
    for answer in (adapter.post(message()), adapter.read_back(message())):
        assert isinstance(answer, Handed)
        assert answer.again_s is not None
        assert "ack_queue" in answer.sentence


@pytest.mark.usefixtures("mes")
def test_a_profile_may_count_what_is_settled_as_applied(opens: Opens) -> None:
    assert opens().post(message(settled_is_applied=True)) == Applied(KEY)


@pytest.mark.usefixtures("mes")
def test_at_the_mes_itself_accepted_is_applied(opens: Opens) -> None:
    assert opens(ends_at_mes=True).post(message()) == Applied(KEY)


def test_rejected_is_a_refusal_in_the_brokers_words(mes: Scripted, opens: Opens) -> None:
    mes.says(reject)
    answer = opens().post(message())
    assert isinstance(answer, Refused)
    assert "unit is shipped" in answer.sentence


@pytest.mark.parametrize("answer", [release, modify])
def test_given_back_is_tried_later(
    mes: Scripted, opens: Opens, answer: Callable[[Published], None]
) -> None:
    mes.says(answer)
    told = opens().post(message())
    assert isinstance(told, TryLater)
    assert told.may_have_arrived is False


@pytest.mark.parametrize("end", [cut, detach])
def test_an_end_before_the_settlement_leaves_it_uncertain_and_the_next_goes(
    mes: Scripted, opens: Opens, end: Callable[[Published], None]
) -> None:
    mes.says(end, accept)
    adapter = opens()
    assert isinstance(adapter.post(message()), Uncertain)
    assert isinstance(adapter.post(message()), Handed)
    first, second = mes.dispositions
    assert first == second


def test_silence_is_uncertain(mes: Scripted, opens: Opens) -> None:
    mes.says(stay_silent)
    adapter = opens(timeout_s=0.3)

    def ask() -> object:
        # What did not get onto the wire in so short a time says so.
        assert mes.dispositions == []
        return adapter.post(message())

    assert isinstance(once_sent(ask), Uncertain)


def test_a_broker_that_grants_no_room_was_sent_nothing(
    broker: Broker, mes: Scripted, opens: Opens
) -> None:
    broker.credit = 0
    answer = opens(timeout_s=0.3).post(message())
    assert isinstance(answer, TryLater)
    assert answer.may_have_arrived is False
    assert mes.dispositions == []


def test_what_waits_for_room_is_not_sent_after_its_time(
    broker: Broker, mes: Scripted, opens: Opens
) -> None:
    broker.credit = 0
    # Long enough for the second one to be taken, on whatever machine.
    adapter = opens(timeout_s=3)
    assert isinstance(adapter.post(message()), TryLater)
    broker.down()
    broker.credit = 10
    broker.up()
    assert isinstance(once_sent(lambda: adapter.post(message(verdict="HOLD"))), Handed)
    (only,) = mes.dispositions
    assert only["MessageBody"]["InspectedUnits"][0]["Verification"] == "NotVerifiedYet"


def test_a_message_larger_than_the_broker_takes_is_refused(
    broker: Broker, mes: Scripted, opens: Opens
) -> None:
    broker.max_message_size = 500
    answer = opens(presence=False).post(message())
    assert isinstance(answer, Refused)
    assert "500" in answer.sentence
    assert mes.dispositions == []


def test_where_nobody_listens_nothing_was_sent(broker: Broker, opens: Opens) -> None:
    broker.down()
    adapter = opens(timeout_s=60)
    began = time.monotonic()
    answer = adapter.post(message())
    # It is told of the refusal, and not that time is over.
    assert time.monotonic() - began < 30
    assert isinstance(answer, TryLater)
    assert answer.may_have_arrived is False
    assert broker.url.removeprefix("amqp://") in answer.sentence


def test_it_goes_as_soon_as_the_broker_is_back(broker: Broker, mes: Scripted, opens: Opens) -> None:
    adapter = opens()
    adapter.post(message())
    broker.down()
    assert isinstance(adapter.post(message()), TryLater)
    broker.up()
    assert isinstance(adapter.post(message()), Handed)
    assert len(mes.dispositions) == 2


def test_a_wrong_secret_is_about_loupe_and_is_not_told(mes: Scripted, opens: Opens) -> None:
    answer = opens(secret="hush-hush").post(message())
    assert isinstance(answer, TryLater)
    assert answer.may_have_arrived is False
    assert "hush" not in answer.sentence
    assert "secret" in answer.sentence
    assert mes.dispositions == []


def test_an_address_the_broker_does_not_know_is_named(
    broker: Broker, mes: Scripted, opens: Opens
) -> None:
    broker.closed_addresses.add(ADDRESS)
    answer = opens().post(message())
    assert isinstance(answer, TryLater)
    assert answer.may_have_arrived is False
    assert ADDRESS in answer.sentence
    assert "no such queue" in answer.sentence
    assert mes.dispositions == []


def test_a_peer_that_speaks_something_else_is_no_broker(opens: Opens, broker: Broker) -> None:
    broker.down()
    with socket.create_server(("127.0.0.1", broker.port)) as server:

        def speak() -> None:
            accepted, _address = server.accept()
            with accepted:
                accepted.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                accepted.recv(4096)

        speaker = threading.Thread(target=speak)
        speaker.start()
        answer = opens(timeout_s=0.5).post(message())
        speaker.join()
    assert isinstance(answer, TryLater)
    assert answer.may_have_arrived is False


def test_one_that_accepts_connections_and_says_nothing_is_not_waited_for_for_ever(
    opens: Opens, broker: Broker
) -> None:
    broker.down()
    with socket.create_server(("127.0.0.1", broker.port)):
        answer = opens(timeout_s=0.5).post(message())
    assert isinstance(answer, TryLater)


@pytest.mark.parametrize(
    "url", ["", "broker", "http://broker", "amqp://", "amqp://h:99999", "amqp://u:p@h", "amqp://["]
)
def test_an_address_that_is_none_says_so_on_every_row(url: str) -> None:
    adapter = open_target(Target("cfx", "cfx", url, "cfx", options={"address": ADDRESS}))
    answer = adapter.post(message())
    adapter.close()
    assert isinstance(answer, TryLater)
    assert answer.may_have_arrived is False
    assert "url" in answer.sentence
    assert isinstance(adapter.read_back(message()), TryLater)


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({}, "address"),
        ({"address": ADDRESS, "handle": "Loupe"}, "handle"),
        ({"address": ADDRESS, "heartbeat_s": 301}, "heartbeat_s"),
        ({"address": ADDRESS, "acks": "x"}, "acks"),
    ],
)
def test_options_that_cannot_be_used_are_named_on_every_row(
    options: dict[str, Any], place: str
) -> None:
    adapter = open_target(Target("cfx", "cfx", "amqp://h", "cfx", options=options))
    answer = adapter.post(message())
    assert isinstance(answer, TryLater)
    assert place in answer.sentence


def test_certificates_that_cannot_be_read_are_named(broker: Broker) -> None:
    adapter = open_target(
        Target(
            "cfx",
            "cfx",
            broker.url.replace("amqp", "amqps"),
            "cfx",
            options={"address": ADDRESS, "ca_file": "/nowhere/ca.pem"},
        )
    )
    answer = adapter.post(message())
    adapter.close()
    assert isinstance(answer, TryLater)
    assert "ca_file" in answer.sentence


def test_what_is_no_cfx_is_refused_and_not_sent(mes: Scripted, opens: Opens) -> None:
    given = message()
    wrong = Message(KEY, given.record, {**given.body, "Confidence": 87}, given.profile)
    answer = opens().post(wrong)
    assert isinstance(answer, Refused)
    assert "Confidence" in answer.sentence
    assert mes.dispositions == []


def test_a_scrap_is_two_messages_each_taken_before_it_counts(mes: Scripted, opens: Opens) -> None:
    assert isinstance(opens().post(message(verdict="SCRAP")), Handed)
    names = [told["MessageName"].rpartition(".")[2] for told in mes.dispositions]
    assert names == ["UnitsInspected", "UnitsDisqualified"]


def test_a_scrap_whose_first_message_is_refused_goes_no_further(
    mes: Scripted, opens: Opens
) -> None:
    mes.says(reject)
    assert isinstance(opens().post(message(verdict="SCRAP")), Refused)
    assert len(mes.dispositions) == 1


@pytest.mark.parametrize(
    ("second", "kind"), [(reject, Refused), (release, TryLater), (cut, Uncertain)]
)
def test_a_scrap_that_breaks_after_its_first_message_carries_the_same_ids_again(
    mes: Scripted, opens: Opens, second: Callable[[Published], None], kind: type[object]
) -> None:
    mes.says(accept, second, accept)
    adapter = opens()
    answer = adapter.post(message(verdict="SCRAP"))
    assert isinstance(answer, kind)
    # The first one is there: never again as if nothing had been sent.
    assert getattr(answer, "may_have_arrived", True)
    assert isinstance(adapter.post(message(verdict="SCRAP")), Handed)
    assert mes.dispositions[:2] == mes.dispositions[2:]


def test_it_says_that_it_is_there_and_goes_on_saying_so(mes: Scripted, opens: Opens) -> None:
    opens(heartbeat_s=1)
    wait_until(lambda: mes.signs.count("CFX.Heartbeat") >= 2)
    assert mes.signs[0] == "CFX.EndpointConnected"


def test_it_can_keep_quiet(mes: Scripted, opens: Opens) -> None:
    opens(presence=False, heartbeat_s=1).post(message())
    assert mes.signs == []


def test_many_threads_share_one_connection(broker: Broker, mes: Scripted, opens: Opens) -> None:
    adapter = opens()
    answers: list[object] = []

    def carry() -> None:
        answers.extend(adapter.post(message()) for _ in range(50))

    threads = [threading.Thread(target=carry) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == len(mes.dispositions) == 200
    assert all(isinstance(answer, Handed) for answer in answers)
    assert broker.connections == 1


def test_whoever_waits_when_it_is_closed_is_told(mes: Scripted, opens: Opens) -> None:
    mes.says(stay_silent)
    adapter = opens(timeout_s=60)
    answers: list[object] = []
    waiting = threading.Thread(target=lambda: answers.append(adapter.post(message())))
    waiting.start()
    wait_until(lambda: bool(mes.dispositions))
    adapter.close()
    waiting.join(timeout=15)
    assert isinstance(answers[0], Uncertain)
    assert isinstance(adapter.post(message()), TryLater)
