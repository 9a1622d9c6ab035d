"""The processes the supervisor holds: programs of ours and the database server."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Protocol

from config.runner import launch
from config.runner.guard import Guard, signal_group
from config.runner.layout import REPOSITORY, Layout
from config.runner.postgres import EmbeddedPostgres
from config.runner.readiness import Start, words_since
from config.runner.table import Database, Service, Step, Task


class Child(Protocol):
    """One started step. `start` and `stop` may take seconds, everything else answers at once."""

    log: Path

    def start(self, environment: dict[str, str]) -> None: ...
    def pid(self) -> int | None: ...
    def exit_code(self) -> int | None: ...
    def is_ready(self) -> bool: ...
    def new_lines(self) -> list[str]: ...
    def clear(self) -> None: ...
    def ask_to_stop(self) -> None: ...
    def kill(self) -> None: ...


class Program:
    """A child in a session of its own, so that its whole group can be ended."""

    def __init__(self, step: Task | Service, layout: Layout, guard: Guard) -> None:
        self.step = step
        self.log = layout.log(step.name)
        self._guard = guard
        self._process: subprocess.Popen[bytes] | None = None
        self._start = Start(at=0, log=self.log, offset=0)
        self._told = 0

    def start(self, environment: dict[str, str]) -> None:
        death = self.step.death_signal if isinstance(self.step, Service) else signal.SIGTERM
        with self.log.open("ab") as log:
            self._start = Start(at=time.time(), log=self.log, offset=os.fstat(log.fileno()).st_size)
            self._told = 0
            self._process = subprocess.Popen(
                launch.command(list(self.step.arguments), death_signal=death),
                cwd=REPOSITORY,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._guard.add(self._process.pid, death)

    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def exit_code(self) -> int | None:
        return self._process.poll() if self._process else None

    def is_ready(self) -> bool:
        return isinstance(self.step, Service) and self.step.ready.holds(self._start)

    def new_lines(self) -> list[str]:
        """Whole lines written since the last call."""
        whole = words_since(self._start).rpartition("\n")[0].splitlines()
        fresh, self._told = whole[self._told :], len(whole)
        return fresh

    def clear(self) -> None:
        """Ends what a process that is gone left behind in its group."""
        if self._process is not None:
            signal_group(self._process.pid, signal.SIGKILL)
            self._guard.drop(self._process.pid)

    def ask_to_stop(self) -> None:
        # Only the leader: gunicorn and celery tell their own children what to do.
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        if self._process is not None:
            signal_group(self._process.pid, signal.SIGKILL)
            self._process.wait()


class Server:
    """PostgreSQL; it is ready when `start` returns, and always at the same address."""

    def __init__(self, step: Database, layout: Layout, guard: Guard) -> None:
        self.step = step
        self.log = layout.log("postgres")
        self._layout = layout
        self._guard = guard
        self._postgres: EmbeddedPostgres | None = None
        self._port: int | None = None

    def start(self, environment: dict[str, str]) -> None:
        self._postgres = EmbeddedPostgres(
            self._layout.postgres, self._port, self.log, durable=self.step.durable
        )
        self._postgres.start()
        self._port = self._postgres.port
        environment["DATABASE_URL"] = self._postgres.url
        if (pid := self.pid()) is not None:
            self._guard.add(pid, signal.SIGINT)

    def pid(self) -> int | None:
        process = self._postgres.process if self._postgres else None
        return process.pid if process else None

    def exit_code(self) -> int | None:
        process = self._postgres.process if self._postgres else None
        return process.poll() if process else None

    def is_ready(self) -> bool:
        return self.exit_code() is None

    def new_lines(self) -> list[str]:
        return []

    def clear(self) -> None:
        if (pid := self.pid()) is not None:
            self._guard.drop(pid)

    def ask_to_stop(self) -> None:
        pid = self.pid()
        if self._postgres is not None and pid is not None:
            self._postgres.stop()
            self._guard.drop(pid)

    def kill(self) -> None:
        self.ask_to_stop()


def child_for(step: Step, layout: Layout, guard: Guard) -> Child:
    if isinstance(step, Database):
        return Server(step, layout, guard)
    return Program(step, layout, guard)
