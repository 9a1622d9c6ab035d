"""The world of a case."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from tests.mes_integration.contract.peer import Peer
from tests.mes_integration.contract.world import World


@pytest.fixture
def world(peer: Peer, settings: Settings) -> Iterator[World]:
    """The test file's peer, behaving, as the only target of the settings."""
    peer.back()
    made = World(peer, settings)
    yield made
    made.close()
