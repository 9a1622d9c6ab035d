"""What only MQTT can do to a disposition: a broker in between, and acknowledgements of any kind."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any, cast
from uuid import uuid4

import pytest
from django.db import OperationalError, connection
from pydantic import SecretStr

from mes_integration import inbound
from mes_integration.adapters import mqtt_listener
from mes_integration.adapters.mqtt import MqttMes
from mes_integration.adapters.protocol import Answer, Applied, Handed, Refused, TryLater
from mes_integration.models import MesChange, WriteBack
from mes_integration.targets import Target
from tests.mes_integration.contract.peer import TARGET, wait_until
from tests.mes_integration.contract.peers_mqtt import (
    MISSING,
    SECRET,
    USER,
    MqttPeer,
    broker,
    mosquitto,
)
from tests.mes_integration.contract.suite import running
from tests.mes_integration.contract.world import World

pytestmark = [
    pytest.mark.skipif(mosquitto() is None, reason=MISSING),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture(scope="module")
def peer() -> Iterator[MqttPeer]:
    """The MES of this file."""
    for started in running(MqttPeer()):
        yield cast("MqttPeer", started)


@pytest.fixture(autouse=True)
def _one_clock(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The listener's thread goes by the case's clock, too."""
    monkeypatch.setattr(mqtt_listener, "now", world.now)


@pytest.fixture
def opened(peer: MqttPeer) -> Iterator[list[MqttMes]]:
    """Adapters of a test's own, closed in the end."""
    made: list[MqttMes] = []
    yield made
    for adapter in made:
        adapter.close()


def adapter_of(peer: MqttPeer, opened: list[MqttMes], **more: Any) -> MqttMes:
    """One more adapter for the same target, as another worker would have it."""
    given = {"timeout_s": 30.0, "user": USER, "secret": SECRET, "options": {}, **more}
    made = MqttMes(
        Target(name=TARGET, adapter="mqtt", url=peer.broker.url, profile="mqtt", **given)
    )
    opened.append(made)
    return made


def handed_to_the_broker(world: World) -> WriteBack:
    """One that the broker has taken and nobody acknowledges within the short wait.

    Where the machine stood still, the broker's own yes may have come too late as well.
    """
    for _row in range(20):
        row = world.decide()
        world.deliver()
        if world.state(row) == "SENT":
            return row
    raise AssertionError(f"{row.state}: {row.last_error}")


def listening(adapter: MqttMes) -> None:
    adapter.listen()
    wait_until(lambda: adapter.is_listening, what="it does not listen")


def test_without_a_subscriber_the_brokers_yes_is_a_no(world: World, peer: MqttPeer) -> None:
    peer.mode("unsubscribed")
    row = world.decide()
    world.deliver()
    assert world.outcomes(row) == ["NOT_TAKEN"]
    assert row.delivery_attempts.get().status == 0x10
    peer.back()
    world.arrives(row)
    assert world.applied(row) == 1


def test_what_goes_out_carries_all_that_was_promised(world: World, peer: MqttPeer) -> None:
    row = world.decide()
    world.arrives(row)
    topic, said = peer.properties(str(row.uuid))
    assert topic == "loupe/v1/plant-1/line-1/st-1/disposition"
    assert said == {
        "content_type": "application/json",
        "response_topic": "loupe/v1/plant-1/ack/loupe-peer",
        "expiry": 30,
        "correlation": str(row.uuid),
        "idempotency-key": str(row.uuid),
    }


def test_what_the_broker_keeps_for_an_mes_that_is_away_is_sent_once(
    world: World, peer: MqttPeer
) -> None:
    peer.away()
    world.impatient()
    row = handed_to_the_broker(world)
    assert world.outcomes(row) == ["HANDED"]
    peer.back()
    wait_until(lambda: world.state(row) == "ACKNOWLEDGED", what="no acknowledgement came")
    assert (len(world.received(row)), world.applied(row)) == (1, 1)


def test_a_broker_killed_on_the_way_loses_and_doubles_nothing(world: World, peer: MqttPeer) -> None:
    rows = [world.decide() for _ in range(12)]
    for number, row in enumerate(rows):
        if number % 4 == 1:
            peer.broker.kill()
            peer.broker.start()
            world.deliver(limit=1)
            peer.mode("ok")
        world.deliver(limit=1)
        if number % 4 == 3:
            peer.broker.kill()
            peer.broker.start()
            peer.mode("ok")
        assert world.state(row) is not None
    for row in rows:
        if world.state(row) != "ACKNOWLEDGED":
            world.comes_clear(row)
    assert [world.applied(row) for row in rows] == [1] * len(rows)


def test_a_broker_that_hangs_leaves_it_in_doubt_and_is_used_again(
    world: World, peer: MqttPeer
) -> None:
    first, second = world.decide(), world.decide()
    world.deliver(limit=1)
    world.impatient()
    wait_until(lambda: isinstance(world.adapter.post(world.message(first)), Applied))
    peer.broker.freeze()
    try:
        world.hands_over(second)
    finally:
        peer.broker.thaw()
    assert world.state(second) == "UNCERTAIN"
    assert "in time" in second.last_error
    world.patient()
    peer.mode("ok")
    world.comes_clear(second)
    assert world.applied(second) == 1


def test_an_acknowledgement_that_comes_twice_is_written_down_once(
    world: World, peer: MqttPeer
) -> None:
    peer.mode("twice")
    row = world.decide()
    world.arrives(row)
    world.arrives(world.decide())
    assert world.outcomes(row) == ["APPLIED"]
    assert not MesChange.objects.exists()


def test_an_acknowledgement_waits_at_the_broker_while_no_worker_runs(
    world: World, peer: MqttPeer, opened: list[MqttMes]
) -> None:
    peer.hang()
    world.impatient()
    row = handed_to_the_broker(world)
    listening(cast("MqttMes", world.adapter))
    world.patient()  # closes the impatient one
    peer.acknowledge(str(row.uuid), "applied", reference="NIGHT-1")
    wait_until(peer.sent_all, what="the MES has not said it")
    assert world.state(row) == "SENT"
    listening(adapter_of(peer, opened))
    wait_until(lambda: world.state(row) == "ACKNOWLEDGED", what="it was lost")
    assert row.reference == "NIGHT-1"


def test_an_acknowledgement_is_kept_by_the_broker_while_the_database_is_away(
    world: World, peer: MqttPeer, opened: list[MqttMes]
) -> None:
    peer.hang()
    world.impatient()
    row = handed_to_the_broker(world)
    world.patient()
    away = threading.Event()
    away.set()
    tried: list[str] = []

    def acknowledge(**said: Any) -> bool:
        tried.append(said["key"])
        if away.is_set():
            message = "the server closed the connection unexpectedly"
            raise OperationalError(message)
        return inbound.acknowledge(**said)

    target = Target(TARGET, "mqtt", peer.broker.url, "mqtt", user=USER, secret=SECRET)
    adapter = MqttMes(target, acknowledge=acknowledge)
    opened.append(adapter)
    listening(adapter)
    peer.acknowledge(str(row.uuid), "applied", reference="LATE-1")
    wait_until(lambda: bool(tried), what="it never came")
    assert world.state(row) == "SENT"
    away.clear()
    wait_until(lambda: world.state(row) == "ACKNOWLEDGED", what="it was lost")
    assert len(tried) > 1


def test_the_listener_outlives_the_end_of_its_database_connection(
    world: World, peer: MqttPeer, opened: list[MqttMes]
) -> None:
    peer.hang()
    world.impatient()
    row = handed_to_the_broker(world)
    world.patient()
    listening(adapter_of(peer, opened))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    peer.acknowledge(str(row.uuid), "applied", reference="LATE-2")
    wait_until(lambda: world.state(row) == "ACKNOWLEDGED", what="it was lost")


NONSENSE = [
    b"",
    b"\x00\xff\xfe",
    b"[]",
    b"null",
    b"{" * 5000,
    b"[" * 100_000,
    b'{"disposition_id": null, "status": "applied"}',
    b'{"disposition_id": ["x"], "status": "applied", "peer_ref": "R"}',
    b'{"status": "applied", "peer_ref": "\\ud800\\u0000"}',
    b'{"status": "APPLIED", "peer_ref": "R"}',
    b'{"status": "applied"}',
    b'{"status": "applied", "peer_ref": true}',
    b'{"status": "applied", "peer_ref": ""}',
    json.dumps({"status": "applied", "peer_ref": "x" * 201}).encode(),
    b'{"status": "rejected", "reason": "' + b"x" * 100_000 + b'"}',
]


def test_acknowledgements_that_say_nothing_do_not_stop_the_others(
    world: World, peer: MqttPeer, caplog: pytest.LogCaptureFixture
) -> None:
    listening(cast("MqttMes", world.adapter))
    row = world.decide(due_in=3600)
    for body in NONSENSE:
        peer.says(str(row.uuid), body)
    peer.acknowledge(str(uuid4()), "applied", reference="OF-NOBODY")
    peer.acknowledge("not-a-key", "applied", reference="OF-NOBODY")
    peer.acknowledge("../../\ud7ff", "rejected", reason="x")
    peer.acknowledge(str(uuid4()), "applied", reference="OF-NOBODY")
    told = world.decide()
    world.arrives(told)
    assert world.state(row) == "PENDING"
    assert world.outcomes(row) == []
    wait_until(peer.sent_all, what="the MES has not said it")
    wait_until(lambda: "not-a-key" in caplog.text, what="the listener did not come so far")


def test_a_malformed_acknowledgement_is_said_where_it_was_waited_for(
    world: World, peer: MqttPeer
) -> None:
    peer.mode("malformed")
    row = world.decide()
    world.deliver()
    assert world.state(row) == "UNCERTAIN"
    assert "not a JSON object" in row.last_error
    peer.back()
    world.comes_clear(row)
    assert world.applied(row) == 1


def test_of_two_workers_one_listens_and_both_are_answered(
    world: World, peer: MqttPeer, opened: list[MqttMes]
) -> None:
    row = world.decide(due_in=3600)
    first, second = adapter_of(peer, opened), adapter_of(peer, opened)
    listening(first)
    second.listen()
    message = world.message(row)
    assert isinstance(first.post(message), Applied)
    assert isinstance(second.post(message), Applied)
    assert (first.is_listening, second.is_listening) == (True, False)
    first.close()
    wait_until(lambda: second.is_listening, what="nobody took over")
    assert isinstance(second.post(message), Applied)
    assert world.applied(row) == 1


def test_closing_leaves_no_thread_and_no_database_connection(
    world: World, peer: MqttPeer, opened: list[MqttMes]
) -> None:
    before = set(threading.enumerate())
    row = world.decide(due_in=3600)
    for _round in range(3):
        adapter = adapter_of(peer, opened, options={"sparkplug": {"group": "plant"}})
        assert isinstance(adapter.post(world.message(row)), Applied)
        listening(adapter)
        adapter.close()
        assert isinstance(adapter.post(world.message(row)), TryLater)
        assert set(threading.enumerate()) <= before
    peer.broker.kill()
    adapter = adapter_of(peer, opened)
    assert isinstance(adapter.post(world.message(row)), TryLater)
    adapter.close()
    assert set(threading.enumerate()) <= before
    peer.broker.start()
    peer.mode("ok")


def test_a_broker_that_is_away_is_not_waited_for_by_everybody_in_turn(
    world: World, peer: MqttPeer, opened: list[MqttMes]
) -> None:
    row = world.decide(due_in=3600)
    adapter = adapter_of(peer, opened, options={}, timeout_s=3.0)
    message = world.message(row)
    peer.broker.kill()
    answers: list[Answer] = []
    threads = [
        threading.Thread(target=lambda: answers.append(adapter.post(message))) for _ in range(8)
    ]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # One after the other they would take eight times three seconds.
    assert time.monotonic() - began < 20
    assert len(answers) == len(threads)
    assert {type(answer) for answer in answers} == {TryLater}
    assert not any(cast("TryLater", answer).may_have_arrived for answer in answers)
    peer.broker.start()
    peer.mode("ok")

    def arrives() -> bool:
        return isinstance(adapter.post(message), Applied)

    wait_until(arrives, what="it does not come back")


def test_a_forged_acknowledgement_closes_nothing_where_they_have_to_be_signed(
    world: World, peer: MqttPeer, opened: list[MqttMes]
) -> None:
    row = world.decide(due_in=3600)
    adapter = adapter_of(peer, opened, timeout_s=2, options={"signed_acknowledgements": True})
    assert isinstance(adapter.post(world.message(row)), Handed)
    assert world.state(row) == "PENDING"


@pytest.mark.parametrize("skew", [-3 * 3600, 3 * 3600])
def test_a_clock_that_is_wrong_changes_nothing(
    world: World, peer: MqttPeer, opened: list[MqttMes], skew: int
) -> None:
    row = world.decide()
    target = Target(TARGET, "mqtt", peer.broker.url, "mqtt", user=USER, secret=SECRET)
    adapter = MqttMes(target, clock=lambda: 1_800_000_000 + skew)
    opened.append(adapter)
    assert isinstance(adapter.post(world.message(row)), Applied)


def test_the_secret_is_never_written_anywhere(
    world: World, peer: MqttPeer, caplog: pytest.LogCaptureFixture, opened: list[MqttMes]
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "wrong-and-still-nobodys-business"
    world.use(peer.target().model_copy(update={"secret": SecretStr(secret), "timeout_s": 30.0}))
    row = world.decide()
    world.deliver()
    assert "did not let Loupe in" in world_error(row)
    adapter = adapter_of(peer, opened, secret=secret)
    said = f"{caplog.text} {world.adapter!r} {vars(adapter)} {world_error(row)}"
    assert secret not in said.replace(f"'_secret': '{secret}'", "")


def world_error(row: WriteBack) -> str:
    row.refresh_from_db()
    return row.last_error


def test_what_is_too_large_for_the_broker_is_refused_before_it_breaks_the_line(
    world: World, tmp_path: Any, opened: list[MqttMes]
) -> None:
    small = broker(tmp_path, "max_packet_size 2100")
    try:
        row = world.decide(
            due_in=3600,
            nonconformities=[
                {"defect_class": f"c-{n}", "severity": "minor", "count": 1} for n in range(60)
            ],
        )
        target = Target(TARGET, "mqtt", small.url, "mqtt", user=USER, secret=SECRET)
        adapter = MqttMes(target)
        opened.append(adapter)
        answer = adapter.post(world.message(row))
        assert isinstance(answer, Refused)
        assert "larger" in answer.sentence
    finally:
        small.stop()


def test_a_topic_the_broker_does_not_allow_is_tried_again(
    world: World, tmp_path: Any, opened: list[MqttMes]
) -> None:
    acl = tmp_path / "acl"
    acl.write_text(f"user {USER}\ntopic read loupe/v1/+/ack/#\n")
    strict = broker(tmp_path, f"acl_file {acl}")
    try:
        row = world.decide(due_in=3600)
        target = Target(TARGET, "mqtt", strict.url, "mqtt", user=USER, secret=SECRET)
        adapter = MqttMes(target)
        opened.append(adapter)
        answer = adapter.post(world.message(row))
        assert isinstance(answer, TryLater)
        assert answer.status == 0x87
        assert not answer.may_have_arrived
    finally:
        strict.stop()
