"""The plant of the fault programme: real processes, each of which can be struck."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import psycopg

from benchmarks import ledger_rules
from benchmarks.ledger_calls import asked, sqs_at
from benchmarks.ledger_database import Database
from benchmarks.ledger_wire import order
from config.runner import ports
from config.runner.postgres import binaries
from tests.embedded import kept_schema
from tests.faults.plant import QUIET, Plant, Process, until

LEASE_S: Final = 2.0
UNDO_S: Final = 1.0
TIMEOUT_S: Final = 0.6
# The peer applies at most 3 s after it was called, and this counts from the time-out.
QUARANTINE_S: Final = 4.0
VISIBILITY_S: Final = 10
QUEUE, DEAD = "loupe-predictions", "loupe-predictions-dead"
_EMULATOR: Final = {
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "AWS_DEFAULT_REGION": "eu-central-1",
}


@dataclass(frozen=True)
class Seats:
    """Who works here: the request headers of each."""

    inspectors: Sequence[Mapping[str, str]]
    leads: Sequence[Mapping[str, str]]
    mes: Mapping[str, str]


@dataclass
class Ground:
    """Everything there is, and where it answers."""

    folder: Path
    tree: Path
    seed: int
    may_mount: bool
    settings: Mapping[str, str] = field(default_factory=dict)
    rounds: int = 1
    # A cluster that was made ready before, to begin with.
    kept: Path | None = None
    # Whom the dispositions go to; each is a process with a book of its own.
    targets: Sequence[str] = ("mes",)

    def __post_init__(self) -> None:
        self.database = Database(self.folder, self.may_mount, self.kept)
        self.points = self.folder / "points"
        self.points.mkdir()
        self.web_port = ports.any_free()
        self.peer_ports = {name: ports.any_free() for name in self.targets}
        self.queue_port, self.moto_port = ports.any_free(), 0
        self.wire_port, self.wire_control = ports.any_free(), ports.any_free()
        self.outside = Plant(self.database.url, self.folder, dict(os.environ), self.tree)
        self.running: dict[str, Process] = {}
        self.books = {name: self.folder / f"effects-{name}.sqlite" for name in self.targets}
        self.queue_book = self.folder / "queue.violations"

    # --- what surrounds the product ---

    def surround(self) -> None:
        """Wire, queue and peer; returns when they answer."""
        self._start(
            *("wire", "benchmarks.ledger_wire", "--listen", str(self.wire_port)),
            *("--control", str(self.wire_control), "--to", str(self.database.server.port)),
        )
        self._start("moto", "moto.server", "-H", "127.0.0.1", "-p", "0", PYTHONUNBUFFERED="1")
        self.moto_port = self._port_of_moto()
        self._start(
            *("queue", "benchmarks.ledger_queue", "--port", str(self.queue_port)),
            *("--behind", str(self.moto_port), "--database", self.database.url),
            *("--book", str(self.queue_book), "--seed", str(self.seed)),
        )
        for target in self.targets:
            self.start_peer(target)
        until(lambda: self._listens(self.wire_port), what="wire")
        until(lambda: self._listens(self.queue_port), what="queue")
        for target in self.targets:
            self.until_peer_answers(target)

    def start_peer(self, target: str = "mes") -> None:
        """The MES, which remembers what it applied."""
        self._start(
            *(target, "benchmarks.ledger_peer", "--port", str(self.peer_ports[target])),
            *("--book", str(self.books[target]), "--seed", str(self.seed)),
        )

    def until_peer_answers(self, target: str = "mes") -> None:
        """Returns when the MES listens."""
        until(lambda: self._listens(self.peer_ports[target]), what=target)

    def describe_peer(self) -> None:
        """To the product: one that can be asked, and that applies a key as often as it is sent."""
        ledger_rules.next_mapping(
            self.database.url, self.tree, self.targets, longest_s=QUARANTINE_S
        )

    def tell_peer(self, *targets: str, **orders: object) -> None:
        """Change how these behave, or all that are there."""
        for target in targets or self.targets:
            if target in self.running:
                self._post(self.peer_ports[target], orders)

    def tell_queue(self, *, evil: bool) -> None:
        """Whether the queue does what queues may do."""
        self._post(self.queue_port, {"evil": evil})

    def wire(self, do: str, **more: object) -> dict[str, Any]:
        """Order a fault of the connections to PostgreSQL."""
        return order(self.wire_control, do=do, **more)

    def queue_figures(self) -> dict[str, int]:
        """What the queue saw."""
        found: dict[str, int] = json.loads(asked(self.queue_port, "GET", "/"))
        return found

    def receives_of(self, message: str) -> int:
        """How often a message was given out."""
        return int(asked(self.queue_port, "GET", f"/receives/{message}"))

    @cached_property
    def sqs(self) -> Any:
        """The emulator itself, past the evil."""
        return sqs_at(self.moto_port)

    @cached_property
    def sender(self) -> Any:
        """By way of the evil, which lets what is sent pass, one after the other."""
        return sqs_at(self.queue_port)

    def make_schema(self) -> None:
        """The one a test run keeps, where there is one of these migrations; else by migrating."""
        kept = kept_schema()
        if not kept.is_file():
            self.manage("migrate", "--verbosity", "0")
            return
        command = [str(binaries() / "psql"), "--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1"]
        subprocess.run(
            [*command, "--file", str(kept), self.database.url], check=True, capture_output=True
        )

    def make_ready(self, people: int, leads: int = 0) -> Seats:
        """Schema, site, thresholds, mapping; so many inspectors and leads, and the MES."""
        self.make_schema()
        found = json.loads(self.module("benchmarks.ledger_seats", str(people), str(leads)))
        self.manage(
            *("set_policy", "--site", "bench", "--review-from", "0.3", "--contain-from", "0.8"),
            *("--audit-rate", "0.01", "--reason", "faults"),
        )
        ledger_rules.next_policy(self.database.url, low=0.3)
        self.describe_peer()
        return Seats(**found)

    def keep(self, to: Path) -> None:
        """The cluster as it is, for plants to come; the server is stopped for that."""
        self.database.server.stop()
        shutil.copytree(self.database.disk / "postgres", to, symlinks=True)

    def make_queues(self) -> str:
        """The address of the prediction queue, as the plant names it; messages come back soon."""
        self.sqs.create_queue(QueueName=DEAD)
        made = self.sqs.create_queue(
            QueueName=QUEUE, Attributes={"VisibilityTimeout": str(VISIBILITY_S)}
        )
        address: str = made["QueueUrl"]
        return address

    # --- the product ---

    @property
    def product(self) -> Plant:
        """What the product's processes are told; they reach PostgreSQL by the wire."""
        direct = self.database.url
        url = re.sub(r":\d+/", f":{self.wire_port}/", direct)
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("LOUPE_") and name != "CELERY_BROKER_URL"
        }
        environment |= {
            **_EMULATOR,
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "config.settings.local",
            "LOUPE_STATE": str(self.folder),
            "LOUPE_SECRET_KEY": "a-key-for-the-fault-programme-that-nobody-else-uses",
            "LOUPE_MES_URL": f"http://127.0.0.1:{self.peer_ports['mes']}",
            "LOUPE_MES_TARGETS": json.dumps(
                [_target(name, port) for name, port in self.peer_ports.items() if name != "mes"]
            ),
            "LOUPE_MES_SECRET": "shared-with-the-evil-peer",
            "LOUPE_MES_TIMEOUT_S": str(TIMEOUT_S),
            "LOUPE_MES_QUARANTINE_S": str(QUARANTINE_S),
            "LOUPE_UNDO_WINDOW_S": str(UNDO_S),
            "LOUPE_LEASE_S": str(LEASE_S),
            "LOUPE_AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.queue_port}",
            "LOUPE_PREDICTION_QUEUE": QUEUE,
            "LOUPE_DEAD_LETTER_QUEUE": DEAD,
            "LOUPE_ALERT_TOPIC": "",
            "LOUPE_LOG_LEVEL": "WARNING",
            **self.settings,
        }
        return Plant(url, self.folder, environment, self.tree)

    def manage(self, *arguments: str) -> str:
        """A management command, past the wire; what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=self.tree,
            env={**self.product.environment, "DATABASE_URL": self.database.url},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{arguments}: {done.stdout[-2000:]} {done.stderr[-3000:]}")
        return done.stdout

    def module(self, *arguments: str) -> str:
        """`python -m ...` with the product's settings, past the wire; what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=self.tree,
            env={**self.product.environment, "DATABASE_URL": self.database.url},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{arguments}: {done.stdout[-2000:]} {done.stderr[-3000:]}")
        return done.stdout

    def start_web(self, *, armed: bool = True, only: Sequence[str] = ()) -> None:
        """The web server; returns when it answers."""
        (self.folder / "static").mkdir(exist_ok=True)
        points = {
            "LEDGER_POINTS": str(self.points),
            "LEDGER_ROUNDS": str(self.rounds),
            "LEDGER_ONLY": " ".join(only),
        }
        self._start_product(
            *("web", "gunicorn", "config.wsgi", "--bind", f"127.0.0.1:{self.web_port}"),
            *("--config", "benchmarks/ledger_web.py"),
            **(points if armed else {}),
        )
        until(self._is_healthy, seconds=120, what=str(self.running["web"].log))

    def start_nursery(
        self, name: str, *roles: str, armed: bool = True, only: Sequence[str] = ()
    ) -> None:
        """Consumers and relays; armed, they walk over the crash points of these transactions."""
        points = ["--points", str(self.points), "--rounds", str(self.rounds)] if armed else []
        points += ["--only", *only] if only else []
        pids = str(self.folder / f"{name}.pids")
        self._start_product(name, "benchmarks.ledger_nursery", *roles, "--pids", pids, *points)

    def start_celery(self) -> None:
        """The worker as it is run in a plant: consumer, relay, sweepers."""
        self._start_product(
            *("celery", "celery", "--app", "config", "worker", "--beat", "--concurrency", "1"),
            *("--schedule", str(self.folder / "beat"), *QUIET),
        )

    def children(self, name: str) -> dict[int, str]:
        """The living children of a process, with their roles."""
        if name not in self.running:
            return {}
        if name == "web":
            return dict.fromkeys(self.running["web"].children(), "web")
        pids = self.folder / f"{name}.pids"
        if not pids.exists():
            return {}
        return {int(pid): role for pid, role in json.loads(pids.read_text()).items()}

    def restart(self, name: str) -> None:
        """Kill a process with all its children, and start it anew."""
        process = self.running[name]
        process.kill()
        process.start()

    def end(self, name: str) -> None:
        """Kill it for good."""
        if name in self.running:
            self.running.pop(name).kill()

    def stop(self) -> None:
        """Everything, the server last."""
        for client in ("sqs", "sender"):
            if client in vars(self):
                getattr(self, client).close()
        for name in list(self.running):
            for pid in self.children(name):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            self.end(name)
        self.database.stop()

    # --- within ---

    def _start(self, name: str, *arguments: str, **environment: str) -> None:
        process = Process(self.outside, name, arguments, environment)
        process.start()
        self.running[name] = process

    def _start_product(self, name: str, *arguments: str, **environment: str) -> None:
        process = Process(self.product, name, arguments, environment)
        process.start()
        self.running[name] = process

    def _port_of_moto(self) -> int:
        log = self.running["moto"].log
        found: list[str] = []

        def is_up() -> bool:
            found[:] = re.findall(r"http://127\.0\.0\.1:(\d+)", log.read_text())
            return bool(found)

        until(is_up, what=str(log))
        return int(found[0])

    def _is_healthy(self) -> bool:
        try:
            asked(self.web_port, "GET", "/health/")
        except (OSError, http.client.HTTPException):
            return False
        return True

    @staticmethod
    def _listens(port: int) -> bool:
        return ports.answers(port)

    @staticmethod
    def _post(port: int, orders: Mapping[str, object]) -> None:
        asked(port, "POST", "/orders", json.dumps(orders))


def _target(name: str, port: int) -> dict[str, object]:
    """A further system, as the settings name it."""
    return {
        "name": name,
        "adapter": "http",
        "url": f"http://127.0.0.1:{port}",
        "secret": "shared-with-the-evil-peer",
        "timeout_s": TIMEOUT_S,
    }


def wait_for(holds: Callable[[], bool], *, seconds: float) -> bool:
    """Whether it came to that in time; a database that is away counts as not yet."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        try:
            if holds():
                return True
        except psycopg.Error:
            pass
        time.sleep(0.1)
    return False
