"""XML that is out to harm is refused with a sentence, quickly, and opens nothing."""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from mes_integration.b2mml_documents import opened
from mes_integration.master_items import read as item_of
from tests.mes_integration.hostile_xml import GOOD, HOSTILE
from tests.mes_integration.plant import NOW
from traceability.refusals import Invalid

LONGEST_S = 2.0
MOST_MB = 200


@pytest.fixture
def listener() -> Iterator[list[str]]:
    """Whoever calls the address that the documents name; port 9 is put in its place."""
    calls: list[str] = []
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(0.05)
        stop = threading.Event()

        def accept() -> None:
            while not stop.is_set():
                try:
                    connection, address = server.accept()
                except TimeoutError:
                    continue
                calls.append(str(address))
                connection.close()

        thread = threading.Thread(target=accept)
        thread.start()
        calls.append(str(server.getsockname()[1]))
        yield calls
        stop.set()
        thread.join()


def test_there_are_enough_of_them() -> None:
    assert len(HOSTILE) >= 20
    assert len(set(HOSTILE.values())) == len(HOSTILE)


def test_the_document_they_are_made_of_is_taken() -> None:
    (entry,) = opened(GOOD).entries
    assert item_of(entry.item, at=NOW).key == "P-1"


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_refused_with_a_sentence(name: str, listener: list[str]) -> None:
    port = listener.pop()
    payload = HOSTILE[name].replace(b"127.0.0.1:9/", f"127.0.0.1:{port}/".encode())
    # What such a document costs is work, not waiting; a busy machine does not count.
    before, started, worked = _peak_mb(), time.monotonic(), time.process_time()
    with pytest.raises(Invalid) as refused:
        _taken(payload)
    assert time.process_time() - worked < LONGEST_S
    assert time.monotonic() - started < 20 * LONGEST_S
    assert _peak_mb() - before < MOST_MB
    assert refused.value.sentence.endswith((".", "…"))
    assert "root:" not in refused.value.sentence
    assert listener == []


def _taken(payload: bytes) -> None:
    for entry in opened(payload).entries:
        item_of(entry.item, at=NOW)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
