"""The contract of every adapter, kept by the file drop."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.mes_integration.contract.case import Case
from tests.mes_integration.contract.peer import Peer
from tests.mes_integration.contract.peers_b2mml import FilePeer
from tests.mes_integration.contract.suite import contract, running
from tests.mes_integration.contract.world import World


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """An MES at its folders."""
    yield from running(FilePeer(tmp_path_factory.mktemp("b2mml")))


@contract(FilePeer)
def test_contract(case: Case, world: World) -> None:
    case.run(world)
