"""Becomes another program: nicer to others, and gone when the process that asked for it goes.

Run as a script (`python -I -S tether.py --parent PID -- program args`) instead of a
`preexec_fn`: nothing of Python then runs between fork and exec of a process with threads.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
REFUSED = 125
NICE = 10


def command(program: list[str]) -> list[str]:
    """The argument list that runs `program` tied to the calling process."""
    own = [sys.executable, "-I", "-S", __file__, "--parent", str(os.getpid())]
    return [*own, "--", *program]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("program", nargs="+")
    chosen = parser.parse_args()
    os.nice(NICE)
    if sys.platform.startswith("linux"):
        # SIGTERM rather than SIGKILL: the trainer then ends its own workers and says so.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != chosen.parent:
            sys.exit(REFUSED)
    os.execvp(chosen.program[0], chosen.program)  # noqa: S606  # no shell is the point


if __name__ == "__main__":
    main()
