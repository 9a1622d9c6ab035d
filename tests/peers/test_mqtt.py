"""Dispositions through a real mosquitto: the contract, TLS, and hours of trouble in one minute."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from django.db import connection, connections
from pydantic import SecretStr

from config.settings.environment import MesTarget
from mes_integration.adapters.protocol import TryLater
from mes_integration.models import WriteBack
from mes_integration.targets import adapter_of
from tests import factories
from tests.mes_integration.contract.case import Case
from tests.mes_integration.contract.peer import TARGET, wait_until
from tests.mes_integration.contract.peers_mqtt import SECRET, USER, MqttPeer, broker
from tests.mes_integration.contract.suite import contract, running
from tests.mes_integration.contract.test_mqtt import _one_clock
from tests.mes_integration.contract.world import World

__all__ = ["_one_clock"]

pytestmark = pytest.mark.peers
ROUNDS, AT_ONCE = 12, 15


@pytest.fixture(scope="module")
def peer() -> Iterator[MqttPeer]:
    """The MES of this file."""
    for started in running(MqttPeer()):
        yield cast("MqttPeer", started)


@contract(MqttPeer)
def test_contract(case: Case, world: World) -> None:
    case.run(world)


@pytest.mark.django_db(transaction=True)
def test_two_relays_under_every_trouble_lose_and_double_nothing(
    world: World, peer: MqttPeer
) -> None:
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    can = {"max_processing_s": 3}
    world.remap(capabilities=can)
    world.use(peer.target().model_copy(update={"timeout_s": 1.0}))
    units = [factories.unit() for _ in range(ROUNDS * AT_ONCE // 2)]
    kinds = ("ACCEPT", "HOLD", "REWORK", "SCRAP")
    with world.relays(2):
        for _round in range(ROUNDS):
            for unit in chance.sample(units, AT_ONCE):
                world.decide(unit, kind=chance.choice(kinds))
            _trouble(chance, peer)
        peer.mode("ok")
        try:
            wait_until(
                lambda: not WriteBack.objects.filter(settled_at=None).exists(),
                seconds=120,
                what=f"seed {seed}: not everything came to rest",
            )
        finally:
            connections.close_all()
    for unit in units:
        keys = [effect.key for effect in world.effects(unit)]
        rows = WriteBack.objects.filter(unit=unit).order_by("revision")
        told = [str(row.uuid) for row in rows if row.state == "ACKNOWLEDGED"]
        assert keys == told, f"seed {seed}: {unit.serial}"


def _trouble(chance: random.Random, peer: MqttPeer) -> None:
    match chance.choice(["broker", "peer", "mode", "database", "freeze"]):
        case "broker":
            peer.broker.kill()
            time.sleep(chance.random())
            peer.broker.start()
        case "peer":
            peer.away()
            time.sleep(chance.random())
            peer.launch()
        case "mode":
            peer.launch()
            peer.mode(chance.choice(["hang", "lose", "twice", "malformed", "unsubscribed", "ok"]))
            time.sleep(chance.random())
        case "database":
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
        case _:
            peer.broker.freeze()
            time.sleep(chance.random() * 2)
            peer.broker.thaw()
    if chance.random() < 0.5:
        peer.mode("ok")


@pytest.mark.django_db(transaction=True)
def test_with_tls_the_brokers_certificate_has_to_be_trusted(
    world: World, tmp_path: Path, peer: MqttPeer
) -> None:
    _certificates(tmp_path)
    settings = f"certfile {tmp_path}/broker.pem\nkeyfile {tmp_path}/broker.key\n"
    secure = broker(tmp_path, settings)
    try:
        row = world.decide()
        for options, said in (
            ({}, "not trusted"),
            ({"ca": str(tmp_path / "missing.pem")}, "cannot be used"),
            ({"ca": str(tmp_path / "ca.pem")}, "nobody listens"),
        ):
            url = f"mqtts://localhost:{secure.port}"
            entry = MesTarget(
                name=TARGET,
                adapter="mqtt",
                url=url,
                user=USER,
                secret=SecretStr(SECRET),
                timeout_s=3,
                options=dict(options),
            )
            world.use(entry)
            adapter = adapter_of(TARGET)
            assert adapter is not None
            answer = adapter.post(world.message(row))
            assert isinstance(answer, TryLater)
            assert said in answer.sentence
    finally:
        world.patient()
        secure.stop()


def _certificates(folder: Path) -> None:
    """An authority and a broker's certificate for localhost."""
    (folder / "names").write_text("subjectAltName=DNS:localhost")
    for command in (
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=Plant",
        "req -newkey rsa:2048 -nodes -keyout broker.key -out broker.csr -subj /CN=localhost",
        (
            "x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out broker.pem"
            " -days 2 -extfile names"
        ),
    ):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
