"""200 dispositions to a real Tryton, with the relay killed between its calls and answers lost."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from config.settings.environment import ROOT
from mes_integration.models import DeliveryAttempt, WriteBack
from tests import factories
from tests.mes_integration.contract.http_server import Reply, Request
from tests.mes_integration.contract.world import World
from tests.peers.tryton.peer import TrytonPeer

pytestmark = [
    pytest.mark.peers,
    pytest.mark.timeout(1500),
    pytest.mark.django_db(transaction=True),
]

NUMBER = 200
SEED = 20261123
KILLS = 0.05
LOST = 0.10
_RUN = "import threading, django; django.setup(); "
_RUN += "from mes_integration import relay; relay.run(threading.Event())"


class Relay:
    """The relay as a process, to be killed and started again."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._environment = os.environ | environment
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.kills = 0

    def keep(self) -> None:
        """Start it where it does not run."""
        if self._process is None or self._process.poll() is not None:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", _RUN],
                    cwd=ROOT,
                    env=self._environment,
                    stdout=log,
                    stderr=log,
                )

    def kill(self) -> None:
        """Without a chance to say goodbye."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(timeout=20)
            self.kills += 1


class Striking(TrytonPeer):
    """Kills the relay before a call's answer or before the next call, and loses answers."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.dice = random.Random(SEED)
        self.relay: Relay | None = None
        self.struck: Counter[str] = Counter()

    def take(self, request: Request, *, named: bool) -> Reply:
        creates = self.key_of(request) is not None
        processes = request.path.endswith("/process")
        if processes and self._strikes("before processing"):
            return 503, {}
        reply = super().take(request, named=named)
        if creates and not self._strikes("after creating"):
            self._mode = "lose" if self.dice.random() < LOST else ""
            self.struck["answers lost"] += self._mode == "lose"
        return reply

    def _strikes(self, where: str) -> bool:
        if self.relay is None or self.dice.random() >= KILLS:
            return False
        self.relay.kill()
        self.struck[where] += 1
        return True


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Striking]:
    """A Tryton behind a wire that strikes."""
    made = Striking(tmp_path)
    made.start()
    yield made
    made.end()


def test_nothing_is_lost_and_nothing_is_doubled(
    peer: Striking, settings: Settings, tmp_path: Path
) -> None:
    world = World(peer, settings)
    world.remap(capabilities={"max_processing_s": 3})
    kinds = ("ACCEPT", "REWORK", "SCRAP", "HOLD")
    rows = [world.decide(factories.unit(), kind=kinds[n % 4]) for n in range(NUMBER)]
    entry = peer.target().model_copy(update={"timeout_s": 3.0})
    told = entry.model_dump(mode="json") | {"secret": entry.secret.get_secret_value()}
    relay = Relay(_environment(told), tmp_path / "relay.log")
    peer.relay = relay
    started = time.monotonic()
    _until_settled(relay, ends=started + 1200)
    took = time.monotonic() - started
    peer.relay = None
    held = Counter(effect.key for effect in peer.effects())
    assert len(rows) == NUMBER
    assert held == {str(row.uuid): 1 for row in rows}
    by_key = {effect.key: effect for effect in peer.effects()}
    for row in rows:
        row.refresh_from_db()
        effect = by_key[str(row.uuid)]
        assert effect.unit == row.unit.serial
        assert effect.verdict == peer.word(row.disposition.kind)
    assert relay.kills >= 5
    assert min(peer.struck.values()) >= 1
    outcomes = Counter(DeliveryAttempt.objects.values_list("outcome", flat=True))
    print(
        f"\n{NUMBER} dispositions, {relay.kills} kills, {dict(peer.struck)}, "
        f"{dict(outcomes)}, {took:.0f} s: 0 lost, 0 doubled"
    )


def _environment(target: dict[str, object]) -> dict[str, str]:
    """The test's database and the peer as the only target."""
    at = connection.settings_dict
    login = f"{quote(at['USER'])}:{quote(at['PASSWORD'] or '')}"
    host = at["HOST"] if not at["HOST"].startswith("/") else quote(at["HOST"], safe="")
    place = f"{host}:{at['PORT']}" if at["PORT"] else host
    return {
        "DATABASE_URL": f"postgresql://{login}@{place}/{at['NAME']}",
        "LOUPE_MES_URL": "",
        "LOUPE_MES_TARGETS": json.dumps([target]),
    }


def _until_settled(relay: Relay, *, ends: float) -> None:
    """Keep a relay running until everything is acknowledged."""
    waiting = WriteBack.objects.exclude(state=WriteBack.State.ACKNOWLEDGED)
    try:
        while left := waiting.count():
            assert time.monotonic() < ends, f"{left} are not settled"
            relay.keep()
            time.sleep(0.2)
    finally:
        relay.kill()
