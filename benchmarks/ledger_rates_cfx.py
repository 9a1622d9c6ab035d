"""Dispositions as IPC-CFX through a RabbitMQ of its own (durable queues); needs rabbitmq-server."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from benchmarks.figures import Figure, percentile

CALLERS: Final = (4, 16)
MESSAGES: Final = 2000
SETTINGS: Final[dict[str, str]] = {}
RECORD: Final[dict[str, Any]] = {
    "verdict": "REWORK",
    "decided_at": "2026-03-01T06:30:00Z",
    "score": 0.87,
    "source": "model+human",
    "images": [{"id": "i-1", "uri": "s3://plant/captures/a.png", "sha256": "0" * 64}],
    "unit": {"serial": "SN-1"},
    "decided_by": {"kind": "inspector", "badge": "4711"},
    "model": {"name": "castings", "version": "7"},
    "inspection_id": "7b0e1de0-58d7-4b8e-9a0c-7e55a6d4b001",
    "operation": "st-1",
    "reason": "Pores at the sealing face.",
    "defects": [{"code": "porosity", "severity": "critical", "count": 2}],
}


def measure() -> list[Figure]:
    """`post` by several threads at once, each message settled by the broker before the next."""
    # Django's modules can be imported from here on only.
    from tests.peers.rabbitmq import RabbitMq, why_missing  # noqa: PLC0415

    if why_missing():
        sys.exit(f"{why_missing()}: apt install rabbitmq-server")
    rabbit = RabbitMq()
    try:
        rabbit.up()
        return [figure for callers in CALLERS for figure in _posted(rabbit.url, callers)]
    finally:
        rabbit.close()


def _posted(url: str, callers: int) -> Iterator[Figure]:
    from mes_integration import mapping, mappings  # noqa: PLC0415
    from mes_integration.adapters.cfx import open_target  # noqa: PLC0415
    from mes_integration.adapters.protocol import Handed, Message  # noqa: PLC0415
    from mes_integration.targets import Target  # noqa: PLC0415
    from traceability.identifiers import new_id  # noqa: PLC0415

    profile = mappings.shipped("cfx")
    body = mapping.render(profile, RECORD)
    messages = [Message(str(new_id()), RECORD, body, profile) for _ in range(MESSAGES)]
    options = {"address": f"/queue/bench-{callers}"}
    adapter = open_target(
        Target("bench", "cfx", url, "cfx", "guest", "guest", timeout_s=20, options=options)
    )
    took: list[float] = []
    lock = threading.Lock()

    def post(message: Message) -> None:
        began = time.perf_counter()
        assert isinstance(adapter.post(message), Handed)
        with lock:
            took.append(time.perf_counter() - began)

    post(messages.pop())
    began = time.perf_counter()
    with ThreadPoolExecutor(callers) as threads:
        list(threads.map(post, messages))
    seconds = time.perf_counter() - began
    adapter.close()
    name = "writeback.cfx" if callers == CALLERS[0] else f"writeback.cfx_{callers}_threads"
    yield Figure(f"{name}_per_s", len(messages) / seconds, "1/s")
    yield Figure(f"{name}_p95", percentile(took, 0.95) * 1000, "ms")
