"""Which cases run against a peer, and how a test file takes them.

@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    yield from running(MyPeer())

@contract(MyPeer)
def test_contract(case: Case, world: World) -> None:
    case.run(world)
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.mes_integration.contract.cases import CASES
from tests.mes_integration.contract.peer import Peer


def contract(of: type[Peer]) -> pytest.MarkDecorator:
    """Every case the peer can have; one it cannot is named in `cannot` with its reason."""
    unknown = set(of.cannot) - set(CASES)
    assert not unknown, f"{of.kind}: there are no such cases: {sorted(unknown)}"
    unsaid = [name for name, reason in of.cannot.items() if len(reason) < 10]
    assert not unsaid, f"{of.kind}: say why: {unsaid}"
    runs = [case for name, case in CASES.items() if name not in of.cannot]
    assert len(runs) >= of.at_least, f"{of.kind}: {len(runs)} cases, {of.at_least} are asked for"
    return pytest.mark.parametrize(
        "case",
        [
            pytest.param(
                case,
                id=case.name,
                marks=pytest.mark.django_db(transaction=case.threads or of.threads),
            )
            for case in runs
        ],
    )


def running(peer: Peer) -> Iterator[Peer]:
    """The peer from its start to its stop."""
    peer.start()
    try:
        peer.back()
        yield peer
    finally:
        peer.stop()
