"""The contract over HTTP with a QMS that has no keys and wants several calls."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.mes_integration.contract.case import Case
from tests.mes_integration.contract.peer import Peer
from tests.mes_integration.contract.peers_steps import StepsPeer
from tests.mes_integration.contract.suite import contract, running
from tests.mes_integration.contract.world import World


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    """The QMS of this file."""
    yield from running(StepsPeer())


@contract(StepsPeer)
def test_contract(case: Case, world: World) -> None:
    case.run(world)
