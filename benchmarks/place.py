"""Where benches run: a fresh durable PostgreSQL, Django on it, and gunicorn as in production."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from config.runner.postgres import EmbeddedPostgres

WORKERS, THREADS = 2, 4


def prepare() -> EmbeddedPostgres:
    """Start PostgreSQL and set Django up on a migrated database. The caller stops it."""
    folder = Path(tempfile.mkdtemp(prefix="loupe-bench-"))
    server = EmbeddedPostgres(folder / "postgres", port=None, log=folder / "postgres.log")
    server.start()
    os.environ.update(
        DATABASE_URL=server.url,
        LOUPE_STATE=str(folder / "state"),
        DJANGO_SETTINGS_MODULE="config.settings.local",
        LOUPE_LOG_LEVEL="WARNING",
        # The emulator takes any; without some the client refuses to start.
        AWS_ACCESS_KEY_ID="bench",
        AWS_SECRET_ACCESS_KEY="bench",  # noqa: S106 - throw-away
        AWS_DEFAULT_REGION="eu-central-1",
        LOUPE_SECRET_KEY="a-key-for-the-bench-that-nobody-else-uses",  # noqa: S106 - throw-away
    )
    subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], check=True)
    return server


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def gunicorn(application: str) -> Iterator[str]:
    """The address of `application`, served as `make run` serves Loupe."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "gunicorn", application, "--bind", f"127.0.0.1:{port}"),
        *("--workers", str(WORKERS), "--worker-class", "gthread", "--threads", str(THREADS)),
        *("--keep-alive", "30", "--log-level", "warning", "--no-control-socket"),
    ]
    with subprocess.Popen(command) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            transport = httpx.HTTPTransport(retries=8)
            with httpx.Client(transport=transport, timeout=30) as client:
                client.get(f"{address}/health/").raise_for_status()
            yield address
        finally:
            process.terminate()
