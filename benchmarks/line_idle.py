"""What tablets cost that wait for news, and how soon they have it."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from uuid import uuid4

import httpx
import psutil
from django.utils import timezone

from benchmarks import place
from benchmarks.figures import Figure, percentile
from config.runner.plant import web_server
from config.runner.postgres import EmbeddedPostgres
from governance import devices
from governance.models import Device
from governance.roles import Role
from review.line import calls
from review.models import AndonCall
from tests import factories

TABLETS = 200
LINES = 20
IDLE_S = 20.0
CHANGES = 60
PAUSE_S = (0.1, 0.5)
SEEN_WITHIN_S = 15.0


class Answer(NamedTuple):
    """What one tablet got, and when by the machine's own clock."""

    at: float
    status: int


class Tablets:
    """The process of all tablets, and what they were answered."""

    def __init__(self, port: int, tokens: list[str]) -> None:
        command = [sys.executable, "-m", "benchmarks.line_tablets", str(port)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._answers: list[list[Answer]] = [[] for _token in tokens]
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if self._process.stdin is None:
            raise TypeError(self._process)
        self._process.stdin.write("\n".join(tokens))
        self._process.stdin.close()

    def _read(self) -> None:
        for said in self._process.stdout or ():
            number, at, status = said.split("\t")
            self._answers[int(number)].append(Answer(float(at), int(status)))

    def wait_until_all_wait(self) -> None:
        """Each has its first board, and so asks for the next."""
        ends = time.monotonic() + 60
        while not all(self._answers):
            if time.monotonic() > ends or self._process.poll() is not None:
                raise RuntimeError("the tablets have no boards")
            time.sleep(0.1)
        time.sleep(2)

    def news(self, number: int, *, since: float) -> float:
        """When this tablet had its first news after that moment."""
        ends = time.monotonic() + SEEN_WITHIN_S
        while time.monotonic() < ends:
            for answer in list(self._answers[number]):
                if answer.status == 200 and answer.at >= since:
                    return answer.at
            time.sleep(0.005)
        raise RuntimeError(f"tablet {number} heard nothing within {SEEN_WITHIN_S:.0f} s")

    def count(self) -> int:
        """Answers so far, of all tablets."""
        return sum(map(len, self._answers))

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


def idle_200_tablets(server: EmbeddedPostgres) -> list[Figure]:
    """Share of one core that the web server and PostgreSQL take for 200 tablets at 200 stations of
    which nothing is heard, and how soon a change is at the tablet."""
    registered = _register(TABLETS)
    with web() as (port, server_process):
        tablets = Tablets(port, [token for _device, token in registered])
        try:
            tablets.wait_until_all_wait()
            before, answers = _busy(server_process, server), tablets.count()
            time.sleep(IDLE_S)
            cost = {name: s - before[name] for name, s in _busy(server_process, server).items()}
            answers = tablets.count() - answers
            waits = _changes(tablets, [device for device, _token in registered])
        finally:
            tablets.stop()
    web_share, postgres_share = cost["web"] / IDLE_S, cost["postgres"] / IDLE_S
    return [
        Figure("line.idle_200_tablets_core", web_share + postgres_share, "cores"),
        Figure("line.idle_200_tablets_core_web", web_share, "cores"),
        Figure("line.idle_200_tablets_core_postgres", postgres_share, "cores"),
        Figure("line.idle_200_tablets_answers_per_s", answers / IDLE_S, "1/s"),
        Figure("line.change_p95_s", percentile(waits, 0.95), "s"),
        Figure("line.change_p50_s", percentile(waits, 0.5), "s"),
        Figure("line.change_worst_s", max(waits), "s"),
        Figure("line.changes", len(waits), "changes"),
    ]


def _register(count: int) -> list[tuple[Device, str]]:
    """Tablets with their tokens, one a station."""
    lead = factories.actor(Role.LEAD)
    at = timezone.now()
    registered = []
    for number in range(count):
        line = factories.line(code=f"idle-{number % LINES}")
        station = factories.station(line, code=f"st-{number // LINES}")
        made, _code = devices.make(actor=lead, station=station, name="Tablet", ahead=20, at=at)
        registered.append(devices.register_here(actor=lead, device=made.uuid, at=at))
    return registered


@contextmanager
def web() -> Iterator[tuple[int, psutil.Process]]:
    """The web server with the very arguments of `make run`, its port and its first process."""
    port = place.free_port()
    command = (*web_server("--bind", f"127.0.0.1:{port}"), "--log-level", "warning")
    with subprocess.Popen(command) as process:
        try:
            transport = httpx.HTTPTransport(retries=8)
            with httpx.Client(transport=transport, timeout=30) as client:
                client.get(f"http://127.0.0.1:{port}/health/").raise_for_status()
            yield port, psutil.Process(process.pid)
        finally:
            process.terminate()


def _busy(first_web: psutil.Process, server: EmbeddedPostgres) -> dict[str, float]:
    """Processor seconds so far of the web server and of PostgreSQL."""
    first = int((server.cluster / "postmaster.pid").read_text().split()[0])
    return {"web": _seconds(first_web), "postgres": _seconds(psutil.Process(first))}


def _seconds(first: psutil.Process) -> float:
    """Of the process, of those it has started, and of those of them that have ended."""
    total = 0.0
    for process in (first, *first.children(recursive=True)):
        try:
            spent = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += spent.user + spent.system + spent.children_user + spent.children_system
    return total


def _changes(tablets: Tablets, registered: list[Device]) -> list[float]:
    """Seconds from before each change is written until its tablet was answered."""
    chance = random.Random(7)
    operator = factories.actor(Role.OPERATOR)
    waits = []
    for number in chance.sample(range(len(registered)), CHANGES):
        time.sleep(chance.uniform(*PAUSE_S))
        device, at, began = registered[number], timezone.now(), time.monotonic()
        calls.call(
            actor=operator,
            device=device,
            kind=AndonCall.Kind.HELP,
            key=uuid4(),
            made_at=at,
            at=at,
        )
        waits.append(tablets.news(number, since=began) - began)
    return waits
