"""IPC-CFX over amqps://: the broker has to be trusted, and large messages come whole."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from config.runner import tls
from config.runner.tls import Served
from mes_integration.adapters.protocol import Answer, Handed, TryLater
from mes_integration.targets import Target

pytest.importorskip("proton", reason="python-qpid-proton is not installed: pip install loupe[cfx]")

from mes_integration.adapters.cfx import open_target
from tests.mes_integration.cfx_broker import Broker
from tests.mes_integration.test_cfx_adapter import Scripted, message


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return tls.own(tmp_path, ["localhost"], at=datetime.now(UTC))


@pytest.fixture
def broker() -> Iterator[Broker]:
    made = Broker()
    made.up()
    yield made
    made.close()


@pytest.fixture
def port(served: Served, broker: Broker) -> Iterator[int]:
    """TLS in front of the broker."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(served.certificate, served.key)
    front = socket.create_server(("127.0.0.1", 0))
    pipes: list[threading.Thread] = []

    def serve() -> None:
        while True:
            with contextlib.suppress(ssl.SSLError, ConnectionError):
                try:
                    plain, _address = front.accept()
                except OSError:
                    return
                outer = context.wrap_socket(plain, server_side=True)
                pipes.append(threading.Thread(target=pipe, args=(outer,)))
                pipes[-1].start()

    def pipe(outer: ssl.SSLSocket) -> None:
        """Both ways in one thread: TLS is not for two at once."""
        with outer, socket.create_connection(("127.0.0.1", broker.port)) as inner:
            outer.settimeout(0.005)
            inner.settimeout(0.005)
            with contextlib.suppress(OSError):
                while all(carried(*way) for way in ((outer, inner), (inner, outer))):
                    pass

    accepting = threading.Thread(target=serve)
    accepting.start()
    yield front.getsockname()[1]
    front.shutdown(socket.SHUT_RDWR)
    front.close()
    accepting.join()
    for each in pipes:
        each.join()


def carried(source: socket.socket, sink: socket.socket) -> bool:
    """Whether the source still speaks."""
    try:
        data = source.recv(65536)
    except TimeoutError:
        return True
    sink.settimeout(5)
    sink.sendall(data)
    sink.settimeout(0.005)
    return bool(data)


def posted(host: str, port: int, *, times: int = 1, **options: Any) -> list[Answer]:
    target = Target(
        "cfx",
        "cfx",
        f"amqps://{host}:{port}",
        "cfx",
        Broker.user,
        Broker.secret,
        timeout_s=10,
        options={"address": "/queue/d", **options},
    )
    adapter = open_target(target)
    try:
        return [adapter.post(message(reason="ü" * 40_000)) for _ in range(times)]
    finally:
        adapter.close()


def test_a_trusted_broker_gets_large_messages_whole(
    served: Served, port: int, broker: Broker
) -> None:
    mes = Scripted(broker)
    answers = posted("localhost", port, times=10, ca_file=str(served.authority))
    assert all(isinstance(answer, Handed) for answer in answers)
    comments = [
        told["MessageBody"]["InspectedUnits"][0]["Inspections"][0]["Comments"]
        for told in mes.dispositions
    ]
    assert comments == ["ü" * 40_000] * 10


def test_an_authority_nobody_knows_is_not_trusted(port: int, broker: Broker) -> None:
    mes = Scripted(broker)
    (answer,) = posted("localhost", port)
    assert isinstance(answer, TryLater)
    assert "TLS" in answer.sentence
    assert mes.dispositions == []


def test_a_certificate_for_another_name_is_not_trusted(
    served: Served, port: int, broker: Broker
) -> None:
    mes = Scripted(broker)
    (answer,) = posted("127.0.0.1", port, ca_file=str(served.authority))
    assert isinstance(answer, TryLater)
    assert "TLS" in answer.sentence
    assert mes.dispositions == []
