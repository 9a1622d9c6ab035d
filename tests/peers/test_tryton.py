"""Dispositions as quality inspections in a real Tryton."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.mes_integration.contract.case import Case
from tests.mes_integration.contract.suite import contract
from tests.mes_integration.contract.world import World
from tests.peers.tryton.peer import TrytonPeer

pytestmark = pytest.mark.peers


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrytonPeer]:
    """The Tryton of this file."""
    made = TrytonPeer(tmp_path_factory.mktemp("tryton"))
    made.start()
    yield made
    made.end()


@contract(TrytonPeer)
def test_contract(case: Case, world: World) -> None:
    case.run(world)
