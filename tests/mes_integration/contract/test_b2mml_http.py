"""The contract of every adapter, kept by B2MML over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.mes_integration.contract.case import Case
from tests.mes_integration.contract.peer import Peer
from tests.mes_integration.contract.peers_b2mml import HttpB2mmlPeer
from tests.mes_integration.contract.suite import contract, running
from tests.mes_integration.contract.world import World


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    """An MES at its address."""
    yield from running(HttpB2mmlPeer())


@contract(HttpB2mmlPeer)
def test_contract(case: Case, world: World) -> None:
    case.run(world)
