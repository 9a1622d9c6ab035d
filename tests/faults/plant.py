"""A plant in processes of its own, on a database of its own, so that each can be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg

from config.runner import launch
from tests.ports import OwnPort

ROOT = Path(__file__).resolve().parents[2]
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat")


def until(holds: Callable[[], bool], *, seconds: float = 180, what: str = "") -> None:
    """Wait for a condition."""
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, f"it did not come to that: {what or holds}"
        time.sleep(0.02)


@dataclass(frozen=True)
class Plant:
    """Where a plant keeps its state, what its processes are told, and where their code lies."""

    url: str
    folder: Path
    environment: Mapping[str, str]
    tree: Path = ROOT

    def connect(self) -> psycopg.Connection[Any]:
        """A look from outside, or a hand in it; every statement commits."""
        return psycopg.connect(self.url, autocommit=True)

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """What the database answers from outside."""
        with self.connect() as connection:
            return connection.execute(query.encode(), values).fetchall()

    def count(self, query: str, values: Sequence[Any] = ()) -> int:
        """The one number a query answers."""
        return int(self.rows(query, values)[0][0])

    @contextmanager
    def process(self, name: str, *arguments: str, **environment: str) -> Iterator[Process]:
        """`python -m ...`, started and in the end killed with all it started."""
        process = Process(self, name, arguments, environment)
        process.start()
        try:
            yield process
        finally:
            process.kill()


class Process:
    """A process and its children in a group of their own; its words are in `log`."""

    def __init__(
        self, plant: Plant, name: str, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        self._command = [sys.executable, "-m", *arguments]
        self._tree = plant.tree
        self._environment = {**plant.environment, **environment}
        self.log = plant.folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """From the main thread: the process goes with the thread that made it."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                launch.command(self._command, death_signal=signal.SIGKILL),
                cwd=self._tree,
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """The whole group, without a chance to say goodbye."""
        if self._process is not None:
            kill_group(self._process.pid)
            self._process.wait()
            self._process = None

    def children(self) -> list[int]:
        """The processes it started itself."""
        listing = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
        ).stdout
        pairs = (line.split() for line in listing.splitlines())
        return [int(pid) for pid, parent in pairs if int(parent) == self.pid]


def kill_group(pid: int) -> None:
    """SIGKILL to a group that may have ended by itself."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def kill_one(pid: int) -> None:
    """SIGKILL to one process that may have ended by itself."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@contextmanager
def web(plant: Plant) -> Iterator[tuple[Process, int]]:
    """Loupe as `make run` serves it; returns when it answers. The process and its port."""
    own = OwnPort()
    port = own.number
    arguments = ("gunicorn", "config.wsgi", "--bind", f"127.0.0.1:{port}", "--workers", "2")
    threads = ("--worker-class", "gthread", "--threads", "4", "--no-control-socket")
    try:
        with plant.process("web", *arguments, *threads) as process:
            until(lambda: _answers(f"http://127.0.0.1:{port}/health/"), what=str(process.log))
            yield process, port
    finally:
        own.free()


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=20).status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def demo_mes(plant: Plant) -> Iterator[str]:
    """The demo MES's address; returns when it answers."""
    own = OwnPort()
    port = own.number
    state = str(plant.folder / "mes")
    arguments = ("config.demo.mes", "--port", str(port), "--state", state)
    try:
        with plant.process("mes", *arguments) as process:
            until(lambda: _answers(f"http://127.0.0.1:{port}/health"), what=str(process.log))
            yield f"http://127.0.0.1:{port}"
    finally:
        own.free()


@contextmanager
def shut(name: str, *, server_url: str) -> Iterator[None]:
    """A database that lets nobody in; those who were are thrown out."""
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        try:
            server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )
            yield
        finally:
            server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())
