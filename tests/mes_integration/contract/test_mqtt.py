"""The contract over MQTT 5, with mosquitto in between."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mes_integration.adapters import mqtt_listener
from tests.mes_integration.contract.case import Case
from tests.mes_integration.contract.peer import Peer
from tests.mes_integration.contract.peers_mqtt import MISSING, MqttPeer, mosquitto
from tests.mes_integration.contract.suite import contract, running
from tests.mes_integration.contract.world import World

pytestmark = pytest.mark.skipif(mosquitto() is None, reason=MISSING)


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    """The MES of this file."""
    yield from running(MqttPeer())


@pytest.fixture(autouse=True)
def _one_clock(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The listener's thread goes by the case's clock, too."""
    monkeypatch.setattr(mqtt_listener, "now", world.now)


@contract(MqttPeer)
def test_contract(case: Case, world: World) -> None:
    case.run(world)
