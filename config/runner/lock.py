"""One runner a state folder. The kernel frees the lock however the runner ends."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from config.runner.failures import CannotStart
from config.runner.language import in_language as _


@dataclass(frozen=True)
class Holder:
    """Who runs, and where it can be seen."""

    pid: int
    address: str


@contextmanager
def held(file: Path, holder: Holder) -> Iterator[None]:
    """Raises CannotStart naming the other one when the lock is taken."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStart(already_runs(read(file))) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(asdict(holder)).encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def who_runs(file: Path) -> Holder | None:
    if not file.exists():
        return None
    descriptor = os.open(file, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return read(file)
    finally:
        os.close(descriptor)
    return None


def read(file: Path) -> Holder:
    """The holder as it wrote itself down; nameless in the instant before it has."""
    try:
        return Holder(**json.loads(file.read_text()))
    except ValueError:
        return Holder(pid=0, address="")


def already_runs(holder: Holder) -> str:
    if not holder.pid:
        return _("Loupe is just being started by somebody else. Try again in a moment.")
    return _(
        "Loupe already runs (process %(pid)d) at %(address)s. Stop it with Ctrl-C in its "
        "terminal, or: kill %(pid)d"
    ) % {"pid": holder.pid, "address": holder.address}


def nobody_runs() -> str:
    """What stands against everything that needs a plant that runs."""
    return _("Loupe is not running. Start it with: make run")
