"""Dispositions over HTTP through the whole relay, to an MES that does nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from benchmarks import place
from benchmarks.figures import Figure

QUEUED: Final = 2000
_PORT: Final = place.free_port()
SETTINGS: Final = {
    "LOUPE_MES_URL": f"http://127.0.0.1:{_PORT}",
    "LOUPE_MES_SECRET": "bench",
    "LOUPE_MES_TARGETS": "[]",
}
_KEY: Final = re.compile(rb"idempotency-key: (\S+)", re.IGNORECASE)
_LENGTH: Final = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


def measure() -> list[Figure]:
    """A backlog of dispositions, drained by one relay in this process."""
    with _mes():
        return list(_relay())


@contextmanager
def _mes() -> Iterator[None]:
    command = [sys.executable, "-m", "benchmarks.ledger_rates_http", str(_PORT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.terminate()


def _relay() -> Iterator[Figure]:
    # Django's modules can be imported from here on only.
    from mes_integration import relay  # noqa: PLC0415
    from mes_integration.models import WriteBack  # noqa: PLC0415

    subprocess.run(
        [sys.executable, "-m", "benchmarks.ledger_fill", str(QUEUED)], check=True, env=os.environ
    )
    # The first revisions that are superseded never leave.
    leaving = WriteBack.objects.values("unit").distinct().count()
    stop = threading.Event()
    loop = threading.Thread(target=relay.run, args=(stop,))
    began, burnt = time.perf_counter(), time.process_time()
    loop.start()
    while WriteBack.objects.filter(settled_at=None).exists():
        time.sleep(0.05)
    seconds, burnt = time.perf_counter() - began, time.process_time() - burnt
    stop.set()
    loop.join()
    yield Figure("writeback.http_per_s", leaving / seconds, "1/s")
    yield Figure("writeback.http_cpu", burnt * 1000 / leaving, "ms")


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    length, key = _LENGTH.search(head), _KEY.search(head)
    if length:
        await reader.readexactly(int(length[1]))
    body = json.dumps({"reference": f"M-{key[1].decode() if key else ''}"}).encode()
    writer.write(
        b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nConnection: close\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body) + body
    )
    await writer.drain()
    writer.close()


async def take_all(port: int) -> None:
    """Be an MES that takes whatever comes."""
    server = await asyncio.start_server(_answer, "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(take_all(int(sys.argv[1])))
