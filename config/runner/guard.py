"""Outlives the runner by seconds and ends what the runner could not end itself.

Run as a script with a pipe on its standard input: the runner writes `add GROUP SIGNAL` and
`drop GROUP` lines. When the pipe closes, every process group still on the list is asked to stop
and then killed: this also reaches grandchildren, which no parent-death signal does.
"""

import os
import signal
import subprocess
import sys
import time

PATIENCE_SECONDS = 5.0


class Guard:
    """The runner's end of the pipe."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )

    def add(self, group: int, death_signal: signal.Signals) -> None:
        self._say(f"add {group} {int(death_signal)}")

    def drop(self, group: int) -> None:
        self._say(f"drop {group}")

    def close(self) -> None:
        self._process.communicate()

    def _say(self, line: str) -> None:
        pipe = self._process.stdin
        if pipe is None or self._process.poll() is not None:
            return
        pipe.write(f"{line}\n")
        pipe.flush()


def signal_group(group: int, how: int) -> bool:
    """Whether there was anybody left in the group to hear it."""
    try:
        os.killpg(group, how)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def main() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    groups: dict[int, int] = {}
    for line in sys.stdin:
        match line.split():
            case ["add", group, how]:
                groups[int(group)] = int(how)
            case ["drop", group]:
                groups.pop(int(group), None)
    for group, how in groups.items():
        signal_group(group, how)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(signal_group(group, 0) for group in groups) and time.monotonic() < deadline:
        time.sleep(0.1)
    for group in groups:
        signal_group(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
