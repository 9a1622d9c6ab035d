"""The process table as data: what runs, in which order, and when it counts as ready."""

import signal
from dataclasses import dataclass
from typing import TypeAlias

from config.runner.readiness import Readiness


@dataclass(frozen=True)
class Database:
    """The embedded PostgreSQL; everything after it finds DATABASE_URL set."""

    name: str = "postgres"
    doing: str = "starting PostgreSQL"
    needs: tuple[str, ...] = ()
    # Tests trade safety over a power cut for speed.
    durable: bool = True


@dataclass(frozen=True)
class Task:
    """Runs once and must end well; safe to repeat, so that a broken start is just started again."""

    name: str
    doing: str
    arguments: tuple[str, ...]
    needs: tuple[str, ...] = ()
    # Its output is progress a person wants to read, not only a log.
    told: bool = False


@dataclass(frozen=True)
class Service:
    """Runs until it is stopped, and is started again when it crashes."""

    name: str
    doing: str
    arguments: tuple[str, ...]
    ready: Readiness
    needs: tuple[str, ...] = ()
    address: str = ""
    ready_seconds: float = 60.0
    # From being asked to stop to being killed.
    stop_seconds: float = 5.0
    # What the process gets when the runner itself is killed.
    death_signal: signal.Signals = signal.SIGTERM
    # The name of the task to repeat after a crash, for a service that forgets everything.
    repeat: str = ""


Step: TypeAlias = Database | Task | Service
