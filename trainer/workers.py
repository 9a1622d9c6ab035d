"""Two processes for the heavy steps; what they share is inherited by fork, not sent."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

PROCESSES = 2

Task = TypeVar("Task")
Result = TypeVar("Result")

_shared: dict[str, Any] = {}


def shared(name: str) -> Any:
    """What the parent handed to `spread` under this name."""
    return _shared[name]


def _start_child() -> None:
    # The parent's handler would write the failure file a second time.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


def spread(
    work: Callable[[Task], Result], tasks: Sequence[Task], *, chunk: int = 1, **common: Any
) -> Iterator[Result]:
    """The results in the order of the tasks; errors come through as they are."""
    _shared.clear()
    _shared.update(common)
    try:
        if len(tasks) < 2:
            yield from map(work, tasks)
            return
        context = multiprocessing.get_context("fork")
        with context.Pool(PROCESSES, initializer=_start_child) as pool:
            yield from pool.imap(work, tasks, chunksize=chunk)
    finally:
        _shared.clear()
