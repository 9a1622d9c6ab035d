"""The contract over HTTP, spoken as shipped to an MES with a key and read-back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.mes_integration.contract.case import Case
from tests.mes_integration.contract.peer import Peer
from tests.mes_integration.contract.peers_http import GenericPeer
from tests.mes_integration.contract.suite import contract, running
from tests.mes_integration.contract.world import World


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    """The MES of this file."""
    yield from running(GenericPeer())


@contract(GenericPeer)
def test_contract(case: Case, world: World) -> None:
    case.run(world)
