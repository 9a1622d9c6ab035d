"""Becomes another program that dies with its parent, and that is not root where root is refused.

Run as a script (`python -I -S launch.py ... -- program args`) rather than as a `preexec_fn`:
nothing of Python then runs between fork and exec of a process that may have threads.
"""

import argparse
import ctypes
import os
import pwd
import signal
import sys
from pathlib import Path

AS_IS = "as-is"
NAMESPACE = "namespace"
NOBODY = "nobody"

# Any ordinary id will do: inside the namespace it stands for the outer root.
NAMESPACE_ID = 1000
CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
REFUSED = 125


def command(
    program: list[str],
    *,
    death_signal: signal.Signals,
    identity: str = AS_IS,
    must_write: Path | None = None,
) -> list[str]:
    """The argument list that runs `program` as a child of the calling process."""
    launcher = [sys.executable, "-I", "-S", __file__, "--parent", str(os.getpid())]
    launcher += ["--death-signal", str(int(death_signal)), "--identity", identity]
    if must_write is not None:
        launcher += ["--must-write", str(must_write)]
    return [*launcher, "--", *program]


def enter_namespace() -> None:
    """Root outside, an ordinary id inside; files stay owned by root."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "no user namespace")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{NAMESPACE_ID} 0 1\n")
    Path("/proc/self/gid_map").write_text(f"{NAMESPACE_ID} 0 1\n")


def become_nobody() -> None:
    account = pwd.getpwnam("nobody")
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)


def die_with_parent(parent: int, death_signal: int) -> None:
    """Linux only; elsewhere the guard process alone watches the runner."""
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(REFUSED)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--death-signal", type=int, required=True)
    parser.add_argument("--identity", choices=[AS_IS, NAMESPACE, NOBODY], default=AS_IS)
    parser.add_argument("--must-write", type=Path)
    parser.add_argument("program", nargs="+")
    chosen = parser.parse_args()
    try:
        if chosen.identity == NAMESPACE:
            enter_namespace()
        elif chosen.identity == NOBODY:
            become_nobody()
        if chosen.must_write is not None and not os.access(chosen.must_write, os.W_OK | os.X_OK):
            raise PermissionError(f"{chosen.must_write} is not writable")
        # A change of credentials clears the parent-death signal, so it comes last.
        die_with_parent(chosen.parent, chosen.death_signal)
        os.execvp(chosen.program[0], chosen.program)  # noqa: S606 - no shell is the point
    except OSError as reason:
        print(f"{chosen.program[0]}: {reason}", file=sys.stderr)
        sys.exit(REFUSED)


if __name__ == "__main__":
    main()
