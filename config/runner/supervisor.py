"""Starts the table in order, keeps it up, and takes it down in reverse."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from types import FrameType

from config.runner.children import Child, child_for
from config.runner.failures import CannotStart
from config.runner.guard import Guard
from config.runner.language import in_language as _
from config.runner.layout import Layout
from config.runner.postgres import last_lines
from config.runner.progress import Progress
from config.runner.restarts import ENOUGH, pause_before_restart
from config.runner.table import Database, Service, Step, Task

TICK_SECONDS = 0.05
# The next one is asked to stop after this time, or at once when this one is gone.
STAGGER_SECONDS = 0.3


class State(StrEnum):
    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    ENDED = "ended"
    PAUSING = "restarting"


class StopAsked(Exception):
    """Ctrl-C or a signal; not a failure."""


@dataclass
class Record:
    """One line of the table while it lives. Times are monotonic seconds."""

    step: Step
    child: Child
    state: State = State.WAITING
    started: float = 0.0
    crashes: list[float] = field(default_factory=list)
    restart_at: float = 0.0
    was_ready: bool = False

    @property
    def is_up(self) -> bool:
        return self.state in (State.READY, State.ENDED)

    @property
    def runs(self) -> bool:
        return self.child.pid() is not None and self.child.exit_code() is None


class Supervisor:
    """Single-threaded on purpose: a child dies with the thread that started it."""

    def __init__(
        self, steps: list[Step], layout: Layout, environment: dict[str, str], progress: Progress
    ) -> None:
        self._guard = Guard()
        self._records = [Record(step, child_for(step, layout, self._guard)) for step in steps]
        self._layout = layout
        self._environment = environment
        self._progress = progress
        self._stops_asked = 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Signals only raise a flag here: nothing is cut in the middle of starting a child."""

        def note(_signal: int, _frame: FrameType | None) -> None:
            self._stops_asked += 1

        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(name, note)
        try:
            yield
        finally:
            self._guard.close()

    def bring_up(self) -> None:
        """Returns when everything is ready; raises CannotStart or StopAsked."""
        while not all(record.is_up for record in self._records):
            self._tick()
            starting = [r.step.doing for r in self._records if r.state is State.STARTING]
            self._progress.doing(starting)

    def watch(self) -> None:
        """Never returns: raises StopAsked, or CannotStart when it gives something up."""
        while True:
            self._tick()

    def _tick(self) -> None:
        if self._stops_asked:
            raise StopAsked
        before = self.health()
        up = {record.step.name for record in self._records if record.is_up}
        # Making a database takes seconds in which nothing else is looked after: programs first.
        for record in sorted(self._records, key=lambda r: isinstance(r.step, Database)):
            if record.state is State.WAITING and up.issuperset(record.step.needs):
                self._start(record)
            self._advance(record)
        if self.health() != before:
            self._write_health()
        time.sleep(TICK_SECONDS)

    def _start(self, record: Record) -> None:
        record.started = time.monotonic()
        record.state = State.STARTING
        record.child.start(self._environment)

    def _advance(self, record: Record) -> None:
        if record.state is State.PAUSING and time.monotonic() >= record.restart_at:
            self._restart(record)
        if record.state not in (State.STARTING, State.READY):
            return
        code = record.child.exit_code()
        if isinstance(record.step, Task) and record.step.told:
            for line in record.child.new_lines():
                self._progress.line(f"      {line}")
        if code is not None:
            record.child.clear()
            self._ended(record, code)
        elif record.state is State.STARTING:
            self._check_ready(record)

    def _check_ready(self, record: Record) -> None:
        if isinstance(record.step, Task):
            return
        if record.child.is_ready():
            self._is_up(record, State.READY)
            return
        patience = record.step.ready_seconds if isinstance(record.step, Service) else 0
        if time.monotonic() - record.started > patience:
            raise CannotStart(
                _("%(name)s was not ready within %(seconds).0f s.")
                % {"name": record.step.name, "seconds": patience}
                + last_lines(record.child.log)
            )

    def _is_up(self, record: Record, state: State) -> None:
        record.state = state
        if not record.was_ready:
            self._progress.ended(record.step.doing, time.monotonic() - record.started)
            record.was_ready = True
            return
        self._progress.line(_("%(name)s is ready again") % {"name": record.step.name})
        if isinstance(record.step, Service) and record.step.repeat:
            for other in self._records:
                if other.step.name == record.step.repeat and other.state is State.ENDED:
                    self._start(other)

    def _ended(self, record: Record, code: int) -> None:
        if isinstance(record.step, Task) and code == 0:
            self._is_up(record, State.ENDED)
            return
        if isinstance(record.step, Task) and not record.was_ready:
            raise CannotStart(
                _(
                    "Failed while %(doing)s (%(how)s). What is done stays; start again when it "
                    "is mended."
                )
                % {"doing": record.step.doing, "how": how_it_ended(code)}
                + last_lines(record.child.log)
            )
        self._crashed(record, how_it_ended(code))

    def _crashed(self, record: Record, how: str) -> None:
        record.crashes.append(time.monotonic())
        pause = pause_before_restart(record.crashes)
        if pause is None:
            raise CannotStart(
                _(
                    "%(name)s stopped %(times)d times within a minute (last: %(how)s); stopping "
                    "everything."
                )
                % {"name": record.step.name, "times": ENOUGH, "how": how}
                + last_lines(record.child.log)
            )
        record.state = State.PAUSING
        record.restart_at = time.monotonic() + pause
        self._progress.line(
            _("%(name)s stopped (%(how)s); starting it again in %(pause)g s, its log: %(log)s")
            % {"name": record.step.name, "how": how, "pause": pause, "log": record.child.log}
        )

    def _restart(self, record: Record) -> None:
        try:
            self._start(record)
        except CannotStart as reason:
            self._crashed(record, str(reason))

    # --- health ---

    def health(self) -> list[dict[str, str]]:
        return [
            {
                "name": record.step.name,
                "state": str(record.state),
                "address": record.step.address if isinstance(record.step, Service) else "",
                "restarts": str(len(record.crashes)),
            }
            for record in self._records
            if not isinstance(record.step, Task)
        ]

    def _write_health(self) -> None:
        draft = self._layout.health.with_suffix(".unfinished")
        draft.write_text(json.dumps(self.health()))
        draft.replace(self._layout.health)

    # --- down ---

    def bring_down(self) -> None:
        """The last started is asked first; nobody outlives this call, PostgreSQL goes last.

        Who needs another is gone before that one is asked: nobody ends by waiting for the dead.
        """
        asked_before = self._stops_asked
        deadlines: dict[str, float] = {}
        for record in reversed(self._records):
            if isinstance(record.step, Database) or not record.runs:
                continue
            self._see_off(self._needers(record), deadlines, asked_before)
            record.child.ask_to_stop()
            now = time.monotonic()
            patience = record.step.stop_seconds if isinstance(record.step, Service) else 1.0
            deadlines[record.step.name] = now + patience
            self._wait_while_runs([record], now + STAGGER_SECONDS, asked_before)
        self._see_off(self._records[::-1], deadlines, asked_before)
        for record in self._records:
            if isinstance(record.step, Database):
                record.child.ask_to_stop()
        self._layout.health.unlink(missing_ok=True)

    def _needers(self, needed: Record) -> list[Record]:
        """Who needs this one, also by way of others, the last started first."""
        names = {needed.step.name}
        found: list[Record] = []
        for record in self._records:
            if names.intersection(record.step.needs):
                names.add(record.step.name)
                found.insert(0, record)
        return found

    def _see_off(
        self, records: list[Record], deadlines: dict[str, float], asked_before: int
    ) -> None:
        """Wait for those who were asked; who is not gone by his deadline is killed."""
        for record in records:
            deadline = deadlines.pop(record.step.name, None)
            if deadline is None:
                continue
            self._wait_while_runs([record], deadline, asked_before)
            if record.runs:
                said = _("%(name)s did not stop in time and was killed")
                self._progress.line(said % {"name": record.step.name})
                record.child.kill()
            record.child.clear()

    def _wait_while_runs(self, records: list[Record], until: float, asked_before: int) -> None:
        """A second Ctrl-C ends the patience."""
        while (
            any(record.runs for record in records)
            and time.monotonic() < until
            and self._stops_asked == asked_before
        ):
            time.sleep(0.02)


def how_it_ended(code: int) -> str:
    """A person's words for what `Popen.returncode` says."""
    if code < 0:
        return _("killed by %(signal)s") % {"signal": signal.Signals(-code).name}
    return _("exit code %(code)d") % {"code": code}


def health_lines(health: list[dict[str, str]]) -> list[str]:
    """What runs and how it is, a line each."""
    words = {
        State.WAITING: _("waiting"),
        State.STARTING: _("starting"),
        State.READY: _("ready"),
        State.ENDED: _("ended"),
        State.PAUSING: _("restarting"),
    }
    width = max((len(service["name"]) for service in health), default=0)
    rows = [
        (service["name"], words[State(service["state"])], service["address"]) for service in health
    ]
    return [f"  {name:<{width}}  {state:<10} {address}".rstrip() for name, state, address in rows]


def supervise(
    steps: list[Step],
    layout: Layout,
    environment: dict[str, str],
    progress: Progress,
    greeting: Callable[[], list[str]],
) -> int:
    """Runs the table until it is stopped (0) or has to be given up (1)."""
    supervisor = Supervisor(steps, layout, environment, progress)
    with supervisor.listening():
        try:
            supervisor.bring_up()
            for line in [*health_lines(supervisor.health()), *greeting()]:
                progress.line(line)
            supervisor.watch()
        except StopAsked:
            progress.line(_("Stopping ..."))
            return 0
        except CannotStart as reason:
            progress.line(str(reason))
            return 1
        finally:
            supervisor.bring_down()
            progress.line(_("Everything is stopped."))
    return 0
