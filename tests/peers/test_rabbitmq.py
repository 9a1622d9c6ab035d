"""IPC-CFX through a real RabbitMQ: the contract, a second reader's view, and its sudden death."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from mes_integration import mapping, mappings
from mes_integration.adapters.protocol import Handed, MesAdapter, Message
from mes_integration.mapping import VERDICTS
from mes_integration.targets import Target
from tests.mes_integration.cfx_reading import checked
from tests.mes_integration.contract.case import Case
from tests.mes_integration.contract.suite import contract, running
from tests.mes_integration.contract.world import World
from tests.mes_integration.test_cfx_messages import RECORD

pytest.importorskip("proton", reason="python-qpid-proton is not installed: pip install loupe[cfx]")

from mes_integration.adapters.cfx import open_target
from tests.peers.rabbitmq import SECRET, USER, RabbitMq, why_missing
from tests.peers.rabbitmq_mes import RabbitCfxPeer

pytestmark = [pytest.mark.peers, pytest.mark.timeout(900)]
RHEA = "rhea@3.0.5"
SCRIPT = Path(__file__).with_name("read_amqp.cjs")


@pytest.fixture(scope="module")
def rabbit() -> Iterator[RabbitMq]:
    if why_missing():
        pytest.skip(why_missing())
    made = RabbitMq()
    made.up()
    yield made
    made.close()


@pytest.fixture(scope="module")
def rhea(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the AMQP library of another language."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("rhea")
    command = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund"]
    fetched = subprocess.run(
        [*command, "--ignore-scripts", RHEA], capture_output=True, timeout=180, check=False
    )
    if fetched.returncode:
        pytest.skip(f"{RHEA} cannot be fetched")
    return folder


@pytest.fixture(scope="module")
def peer(rabbit: RabbitMq) -> Iterator[RabbitCfxPeer]:
    yield from running(RabbitCfxPeer(rabbit))  # type: ignore[misc]  # a peer of its own kind


@contract(RabbitCfxPeer)
def test_contract(case: Case, world: World) -> None:
    case.run(world)


def opened(rabbit: RabbitMq, queue: str) -> MesAdapter:
    options = {"address": f"/queue/{queue}", "presence": False}
    return open_target(
        Target("cfx", "cfx", rabbit.url, "cfx", USER, SECRET, timeout_s=20, options=options)
    )


def disposition(number: int) -> Message:
    profile = mappings.shipped("cfx")
    verdict = VERDICTS[number % len(VERDICTS)]
    record = {**RECORD, "verdict": verdict, "unit": {"serial": f"SN-{number}-☃"}}
    return Message(str(uuid4()), record, mapping.render(profile, record), profile)


def read(rabbit: RabbitMq, rhea: Path, queue: str) -> list[dict[str, Any]]:
    """All that lies in a queue, as another library reads it."""
    done = subprocess.run(
        ["node", str(SCRIPT), str(rhea), str(rabbit.port), USER, SECRET, f"/queue/{queue}"],
        capture_output=True,
        timeout=120,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_reader_of_another_make_finds_every_message_whole(rabbit: RabbitMq, rhea: Path) -> None:
    sent = [disposition(number) for number in range(100)]
    adapter = opened(rabbit, "whole")
    for message in sent:
        assert isinstance(adapter.post(message), Handed)
    adapter.close()
    found = read(rabbit, rhea, "whole")
    scraps = sum(message.record["verdict"] == "SCRAP" for message in sent)
    assert len(found) == len(sent) + scraps
    keys = {message.key for message in sent}
    for told in found:
        envelope = checked(told["body"].encode())
        name, source = envelope["MessageName"], envelope["Source"]
        assert told["durable"] is True
        assert told["message_id"] == envelope["UniqueID"]
        assert told["subject"] == f"{source}.{name}"
        assert told["reply_to"] == source
        assert told["content_type"] == 'application/json; charset="utf-8"'
        assert told["application_properties"] == {
            "cfx-topic": name.rpartition(".")[0],
            "cfx-message": name,
            "cfx-handle": source,
            "cfx-target": None,
        }
        assert envelope["MessageBody"].get("TransactionId", envelope["UniqueID"]) in keys


def test_a_broker_killed_under_load_loses_nothing_that_it_had_taken(
    rabbit: RabbitMq, rhea: Path
) -> None:
    sent = [disposition(number) for number in range(400)]
    adapter = opened(rabbit, "killed")
    waiting, taken, doubtful = list(sent), set[str](), list[Message]()
    lock = threading.Lock()

    def carry() -> None:
        while True:
            with lock:
                if not waiting:
                    return
                message = waiting.pop()
            is_taken = isinstance(adapter.post(message), Handed)
            with lock:
                if is_taken:
                    taken.add(message.key)
                else:
                    doubtful.append(message)

    threads = [threading.Thread(target=carry) for _ in range(4)]
    for thread in threads:
        thread.start()
    while len(taken) < 100:
        threads[0].join(timeout=0.01)
    rabbit.kill()
    for thread in threads:
        thread.join()
    before = set(taken)
    rabbit.up()
    for message in doubtful:
        assert isinstance(adapter.post(message), Handed)
    adapter.close()
    found = [json.loads(told["body"]) for told in read(rabbit, rhea, "killed")]
    last = Counter(e["UniqueID"] for e in found)
    assert before <= set(last)
    assert {message.key for message in sent} <= set(last)
    bodies: dict[str, set[str]] = {}
    for envelope in found:
        bodies.setdefault(envelope["UniqueID"], set()).add(json.dumps(envelope))
    assert all(len(same) == 1 for same in bodies.values())
