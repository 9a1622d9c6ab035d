"""gunicorn's settings for a web server whose workers are killed: a new one is there at once.

Two workers of three walk over all crash points, when LEDGER_POINTS names a folder; the third over
the rare ones.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

preload_app = True
worker_class = "gthread"
workers = 3
threads = 4
timeout = 60
graceful_timeout = 3
control_socket_disable = True
loglevel = "warning"


def when_ready(_server: Any) -> None:
    """Called before the first worker: what each would read at its first request is there then."""
    # Imported once Django is set up: preloading has done that.
    from django.urls import get_resolver  # noqa: PLC0415

    from benchmarks import ledger_crashing  # noqa: F401, PLC0415

    _read_all(get_resolver())


def _read_all(resolver: Any) -> None:
    for each in resolver.url_patterns:
        if hasattr(each, "url_patterns"):
            _read_all(each)


def post_fork(_server: Any, worker: Any) -> None:
    """Called in each new worker."""
    # Imported once Django is set up: preloading has done that.
    from benchmarks import ledger_crashing  # noqa: PLC0415

    points = os.environ.get("LEDGER_POINTS", "")
    if points:
        rounds = int(os.environ.get("LEDGER_ROUNDS", "1"))
        is_first = bool(worker.age % workers)
        only = os.environ.get("LEDGER_ONLY", "").split()
        ledger_crashing.arm("web", Path(points), rounds=rounds, only=only, is_first=is_first)
