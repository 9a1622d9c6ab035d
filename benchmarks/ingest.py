"""Intake: events a second through a real SQS endpoint to routed rows, and how soon they show.

Needs Django set up on a migrated database. The emulator and the database share this machine's
cores with the consumer, so what the emulator alone can do is measured beside it.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from unittest import mock

from governance.access import system
from inference_bridge import intake
from inference_bridge.consumer import read_together
from inference_bridge.gateways import sqs
from inference_bridge.gateways.sqs import BATCH, NotDeleted, SqsQueue
from inference_bridge.intake import Incoming
from inference_bridge.policy import set_policy
from inference_bridge.routing import Rule
from review.models import ReviewTask
from traceability.models import Line, Site
from traceability.tasks import make_previews

Figure = tuple[str, float, str]
SCORES: Final = (0.02, 0.05, 0.1, 0.15, 0.05, 0.02, 0.1, 0.6, 0.7, 0.95)
PACE_S: Final = 0.02
SHOWN: Final = 250
BATCHES_AHEAD: Final = 3
_number = itertools.count(1)


def measure(events: int = 3000) -> list[Figure]:
    """Name, value, unit. Seven of ten events pass, two are doubtful, one is held."""
    site = _plant()
    # The broker is not part of this: previews are what comes after.
    with mock.patch.object(make_previews, "delay"), _emulator() as endpoint:
        return [
            ("intake.events_per_s", _intake_alone(site, events), "1/s"),
            ("floor.sqs.events_per_s", _emulator_alone(endpoint, site, events), "1/s"),
            ("ingest.events_per_s", _through_the_queue(endpoint, site, events), "1/s"),
            *_until_visible(endpoint, site),
        ]


def _plant() -> Site:
    site, _is_new = Site.objects.get_or_create(code=f"bench-{os.getpid()}-{next(_number)}")
    Line.objects.create(site=site, code="line-1")
    rule = Rule(review_from=0.2, contain_from=0.9)
    set_policy(actor=system("bench"), site=site, rules=[rule], reason="bench", at=datetime.now(UTC))
    return site


def _event(site: Site, score: float) -> str:
    number = f"{site.code}-{next(_number):08d}"
    now = datetime.now(UTC).isoformat()
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": f"01JD9Z7Q6T8XW5V4R3-{number}",
        "source": f"urn:loupe:edge:{site.code}:st-1",
        "type": "com.loupe.prediction.v1",
        "time": now,
        "data": {
            "image": {
                "uri": f"s3://loupe-images/objects/{number}.jpg",
                "sha256": f"{next(_number):064x}",
                "media_type": "image/jpeg",
                "width": 2448,
                "height": 2048,
            },
            "site": {"site": site.code, "line": "line-1", "station": "st-1", "camera": "cam-1"},
            "capture": {
                "captured_at": now,
                "serial": f"SN-{number}",
                "part_number": "P-4711",
                "part_revision": "C",
                "lot": "L9",
                "supplier": "S4",
                "quality": {"sharpness": 0.8, "verdict": "ok"},
            },
            "model": {"name": "casting", "version": "17"},
            "outcome": {
                "score": score,
                "label": "porosity",
                "detections": [
                    {"id": f"d{n}", "label": "porosity", "score": score, "box": [8, 4, 64, 51]}
                    for n in range(3)
                ],
            },
        },
    }
    return json.dumps(event)


def _events(site: Site, count: int) -> list[str]:
    return [_event(site, SCORES[n % len(SCORES)]) for n in range(count)]


def _intake_alone(site: Site, count: int) -> float:
    bodies = _events(site, count)
    began = time.perf_counter()
    for first in range(0, count, BATCH):
        intake.take(
            actor=system("bench"),
            messages=[
                Incoming(message_id=str(n), body=body)
                for n, body in enumerate(bodies[first : first + BATCH], start=first)
            ],
            at=datetime.now(UTC),
        )
    return count / (time.perf_counter() - began)


def _queues(endpoint: str) -> tuple[SqsQueue, SqsQueue]:
    client = sqs.client(endpoint=endpoint, region="eu-central-1")
    name = f"bench-{next(_number)}"
    return sqs.ensure_queues(client, main=name, dead=f"{name}-dead")


class _Fed(SqsQueue):
    """A queue that is filled as it is emptied: the emulator slows down with every message in it."""

    def __init__(self, queue: SqsQueue, bodies: list[str]) -> None:
        super().__init__(queue._client, queue.url)  # noqa: SLF001  # the same queue, fed
        self._left = iter(bodies)
        self.deleted = 0
        for _batch in range(BATCHES_AHEAD):
            self._feed(BATCH)

    def delete(self, receipts: Sequence[str]) -> list[NotDeleted]:
        failed = super().delete(receipts)
        self.deleted += len(receipts) - len(failed)
        self._feed(len(receipts))
        return failed

    def _feed(self, count: int) -> None:
        bodies = list(itertools.islice(self._left, count))
        if bodies:
            self._client.send_message_batch(
                QueueUrl=self.url,
                Entries=[{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies)],
            )


def _emulator_alone(endpoint: str, site: Site, count: int) -> float:
    """Receive, delete and send without taking: what the endpoint and its client allow at most."""
    queue = _Fed(_queues(endpoint)[0], _events(site, count))
    began = time.perf_counter()
    while queue.deleted < count:
        queue.delete([message.receipt for message in queue.receive(wait_s=0)])
    return count / (time.perf_counter() - began)


def _through_the_queue(endpoint: str, site: Site, count: int) -> float:
    """Sending is counted, too: it shares the two cores and the emulator."""
    main, dead = _queues(endpoint)
    queue = _Fed(main, _events(site, count))
    began = time.perf_counter()
    with _running(partial(read_together, queue, dead)):
        _wait(lambda: queue.deleted >= count, every=0.02)
        took = time.perf_counter() - began
    return count / took


def _until_visible(endpoint: str, site: Site) -> Iterator[Figure]:
    """From before the send to when another connection finds the task in the queue."""
    queue, dead = _queues(endpoint)
    waits = []
    with _running(partial(read_together, queue, dead)):
        for _shown in range(SHOWN):
            body = _event(site, 0.6)
            serial = json.loads(body)["data"]["capture"]["serial"]
            began = time.perf_counter()
            queue.send(body)
            _wait(
                lambda serial=serial: ReviewTask.objects.filter(  # type: ignore[misc]  # bound now
                    site=site, unit__serial=serial
                ).exists(),
                every=0.002,
            )
            waits.append(time.perf_counter() - began)
            time.sleep(PACE_S)
    cuts = statistics.quantiles(waits, n=100)
    yield "ingest.visible_p50", cuts[49] * 1000, "ms"
    yield "ingest.visible_p95", cuts[94] * 1000, "ms"
    yield "ingest.visible_p99", cuts[98] * 1000, "ms"


@contextmanager
def _running(body: Callable[[threading.Event], None]) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=body, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _wait(holds: Callable[[], bool], *, every: float, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError("the events did not arrive in time")
        time.sleep(every)


@contextmanager
def _emulator() -> Iterator[str]:
    """moto's server in a process of its own, as `make run` has it."""
    with tempfile.TemporaryFile("w+") as log:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
        with subprocess.Popen(
            command, stdout=log, stderr=log, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        ) as server:
            try:
                yield _address(log, server)
            finally:
                server.send_signal(signal.SIGTERM)


def _address(log: Any, server: subprocess.Popen[bytes]) -> str:
    found: list[str] = []

    def is_up() -> bool:
        if server.poll() is not None:
            raise RuntimeError("the emulator did not start")
        log.seek(0)
        found[:] = re.findall(r"http://127\.0\.0\.1:\d+", log.read())
        return bool(found)

    _wait(is_up, every=0.1, seconds=30)
    return found[0]
