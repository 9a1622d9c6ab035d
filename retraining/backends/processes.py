"""Which process is meant, beyond doubt: numbers are given out again, start times are not."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

LINUX = platform.system() == "Linux"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Process:
    """A process number with the moment it started."""

    pid: int
    started: str

    @property
    def is_alive(self) -> bool:
        """Whether it still runs; one that has ended and waits to be reaped does not."""
        return bool(self.started) and started(self.pid) == self.started


def identify(pid: int) -> Process:
    """The process that has this number now."""
    return Process(pid=pid, started=started(pid))


def started(pid: int) -> str:
    """When the process started, as an opaque mark; empty when there is none, or only remains."""
    if LINUX:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return ""
        if fields[0] in "ZXx":
            return ""
        return f"{_BOOT_ID.read_text().strip()} {fields[19]}"
    shown = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    state, _, moment = shown.partition(" ")
    return "" if state.startswith("Z") else moment.strip()


def reap(pid: int) -> int | None:
    """The exit code of a child of ours that has ended; negative for a signal, None for others'.

    Waits: a process counts as ended a moment before the last of its threads has gone, and only
    then has it an exit code.
    """
    try:
        _pid, status = os.waitpid(pid, 0)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status)


def end_group(process: Process) -> None:
    """Kill what is left of the group the process led.

    Its number cannot have been given to another process while a member lives; when it has been
    given out, nobody is left and nothing is done.
    """
    now = started(process.pid)
    if now and now != process.started:
        return
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
