"""The mirror over mosquitto, read by decoders nobody here wrote."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from mes_integration.adapters import mqtt_connection, sparkplug
from mes_integration.adapters.mqtt import MqttMes
from mes_integration.adapters.mqtt_connection import Connection
from mes_integration.adapters.sparkplug_payload import DataType, Metric, payload
from tests import factories
from tests.mes_integration.contract.peer import wait_until
from tests.mes_integration.contract.peers_mqtt import MISSING, SECRET, USER, MqttPeer, mosquitto
from tests.mes_integration.contract.suite import running
from tests.mes_integration.contract.world import World
from tests.peers.sparkplug import decoders
from tests.peers.sparkplug.decoders import Said

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(mosquitto() is None, reason=MISSING),
    pytest.mark.django_db(transaction=True),
]
DEVICE = "plant-1:line-1:st-1"


@pytest.fixture(scope="module")
def peer() -> Iterator[MqttPeer]:
    """The MES of this file."""
    for started in running(MqttPeer()):
        yield cast("MqttPeer", started)


class Host:
    """A Sparkplug host: it hears everything and can ask for a rebirth."""

    def __init__(self, port: int) -> None:
        self.heard: list[Said] = []
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.username_pw_set(USER, SECRET)
        self._client.on_message = self._on_message
        subscribed: list[object] = []
        self._client.on_subscribe = lambda *said: subscribed.append(said)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._client.subscribe("spBv1.0/plant/#", qos=1)
        wait_until(lambda: bool(subscribed), what="the host is not subscribed")

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        said = Said(message.topic, bytes(message.payload), message.qos, message.retain)
        if said.kind != "NCMD":
            self.heard.append(said)

    def asks_for_rebirth(self) -> None:
        asked = payload([Metric(sparkplug.REBIRTH, DataType.BOOLEAN, True)], at_ms=1, seq=None)
        self._client.publish("spBv1.0/plant/NCMD/loupe", asked, qos=1)

    def kinds(self) -> list[str]:
        return [said.kind for said in self.heard]

    def waits_for(self, kind: str, *, times: int = 1) -> None:
        wait_until(lambda: self.kinds().count(kind) >= times, what=f"no {kind}: {self.kinds()}")

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def host(peer: MqttPeer) -> Iterator[Host]:
    """A host that listens from before the mirror starts."""
    made = Host(peer.broker.port)
    yield made
    made.close()


def mirrored(world: World, peer: MqttPeer) -> MqttMes:
    options: Any = {"sparkplug": {"group": "plant"}}
    world.use(peer.target().model_copy(update={"options": options}))
    adapter = cast("MqttMes", world.adapter)
    adapter.listen()
    return adapter


@pytest.mark.parametrize("decoder", decoders.NAMES)
def test_birth_data_and_death_are_read_by_others(
    world: World, peer: MqttPeer, host: Host, decoder: str
) -> None:
    if why := decoders.why_missing(decoder):
        pytest.skip(why)
    adapter = mirrored(world, peer)
    host.waits_for("NBIRTH")
    unit = factories.unit("SN-ü-部品")
    row = world.decide(unit, kind="SCRAP")
    world.arrives(row)
    host.waits_for("DBIRTH")
    other = world.decide(kind="CONCESSION")
    peer.refuse("no")
    world.reaches(other, "REJECTED")
    host.waits_for("DDATA")
    host.waits_for("NDATA")
    adapter.close()
    host.waits_for("NDEATH")
    read = decoders.decode(decoder, host.heard)
    by_kind = dict(zip(host.kinds(), read, strict=True))
    assert by_kind["DBIRTH"]["metrics"] == {
        "Disposition/Id": str(row.uuid),
        "Disposition/Code": "SCRAP",
        "Disposition/UnitId": unit.serial,
        "Disposition/Version": 1,
        "Disposition/PeerState": "ACKNOWLEDGED",
    }
    assert by_kind["DDATA"]["metrics"]["Disposition/Code"] == "CONCESSION"
    assert by_kind["DDATA"]["metrics"]["Disposition/PeerState"] == "REJECTED"
    assert by_kind["NDATA"]["metrics"] == {"Queue/Depth": 1}
    assert by_kind["NBIRTH"]["metrics"][sparkplug.REBIRTH] is False
    assert by_kind["NDEATH"]["metrics"] == {"bdSeq": by_kind["NBIRTH"]["metrics"]["bdSeq"]}
    assert by_kind["NDEATH"]["seq"] is None
    assert [one["seq"] for one in read[:-1]] == list(range(len(read) - 1))
    assert {said.topic for said in host.heard if said.kind[0] == "D"} == {
        f"spBv1.0/plant/{kind}/loupe/{DEVICE}" for kind in ("DBIRTH", "DDATA")
    }
    assert not any(said.retain for said in host.heard)


def test_a_line_that_breaks_dies_by_its_will_and_is_born_under_the_next_number(
    world: World, peer: MqttPeer, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[Connection] = []
    opens = mqtt_connection.open_connection

    def open_connection(*given: Any, **more: Any) -> Connection:
        lines.append(opens(*given, **more))
        return lines[-1]

    monkeypatch.setattr(sparkplug, "open_connection", open_connection)
    mirrored(world, peer)
    host.waits_for("NBIRTH")
    world.arrives(world.decide())
    host.waits_for("DBIRTH")
    lines[0].cut()
    host.waits_for("NBIRTH", times=2)
    host.waits_for("DBIRTH", times=2)
    read = decoders.decode("pysparkplug", host.heard)
    deaths = [m for m, k in zip(read, host.kinds(), strict=True) if k == "NDEATH"]
    births = [m for m, k in zip(read, host.kinds(), strict=True) if k == "NBIRTH"]
    first, second = (birth["metrics"]["bdSeq"] for birth in births)
    assert [death["metrics"]["bdSeq"] for death in deaths] == [first]
    assert second == (first + 1) % 256
    assert [said.qos for said in host.heard if said.kind == "NDEATH"] == [1]
    assert {said.qos for said in host.heard if said.kind != "NDEATH"} == {0}


def test_asked_to_it_is_born_again(world: World, peer: MqttPeer, host: Host) -> None:
    mirrored(world, peer)
    host.waits_for("NBIRTH")
    world.arrives(world.decide())
    host.waits_for("DBIRTH")
    host.asks_for_rebirth()
    host.waits_for("DBIRTH", times=2)
    read = decoders.decode("pysparkplug", host.heard)
    again = host.kinds().index("NBIRTH", 1)
    assert [one["seq"] for one in read[again : again + 2]] == [0, 1]
    assert "NDEATH" not in host.kinds()
