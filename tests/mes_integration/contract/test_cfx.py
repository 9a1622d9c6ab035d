"""The contract against an MES that speaks IPC-CFX over AMQP 1.0."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.mes_integration.contract.case import Case
from tests.mes_integration.contract.peer import Peer
from tests.mes_integration.contract.suite import contract, running
from tests.mes_integration.contract.world import World

pytest.importorskip("proton", reason="python-qpid-proton is not installed: pip install loupe[cfx]")

from tests.mes_integration.contract.peers_cfx import CfxPeer  # needs proton


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    yield from running(CfxPeer())


@contract(CfxPeer)
def test_contract(case: Case, world: World) -> None:
    case.run(world)
