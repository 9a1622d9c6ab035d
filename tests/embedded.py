"""The database server of the test run: the very PostgreSQL that `make run` starts.

A run that finds no schema of these migrations makes one by migrating, and keeps it: the next run,
and the many small ones of the planted bugs, begin with it. Changed migrations have a name of their
own, so that a kept schema is never stale.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import psycopg

from config.runner import postgres
from config.runner.postgres import EmbeddedPostgres

ROOT: Final = Path(__file__).resolve().parents[1]
TEMPLATE: Final = "migrated"
# What decides on the schema beside the migrations: their own tools, other apps', the list of apps.
ALSO: Final = ("requirements.txt", "config/settings/base.py", "traceability/append_only.py")


def start_for_tests(folder: Path) -> EmbeddedPostgres:
    """Started, fast and forgetful; the caller stops it. It ends with the test run in any case."""
    server = EmbeddedPostgres(folder, port=None, log=folder / "postgres.log", durable=False)
    server.start()
    return server


def kept_schema() -> Path:
    """Where the schema of these very migrations is kept, or would be."""
    made_by = [*sorted(ROOT.glob("*/migrations/*.py")), *(ROOT / name for name in ALSO)]
    digest = hashlib.sha256()
    for path in made_by:
        digest.update(path.read_bytes())
    return Path(tempfile.gettempdir()) / f"loupe-schema-{os.getuid()}-{digest.hexdigest()[:24]}.sql"


def restore_template(url: str) -> str | None:
    """A database with the kept schema on the server; its name, or None where none is kept."""
    kept = kept_schema()
    if not kept.is_file() or kept.stat().st_uid != os.getuid():
        return None
    with psycopg.connect(url, autocommit=True) as connection:
        # The workers of a run share the server: one makes it, the others wait until it is whole.
        connection.execute("SELECT pg_advisory_lock(hashtext('migrated template'))")
        named = "SELECT 1 FROM pg_database WHERE datname = %s"
        if not connection.execute(named, [TEMPLATE]).fetchone():
            connection.execute(f"CREATE DATABASE {TEMPLATE}".encode())
            command = ["--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--file", str(kept)]
            _run("psql", *command, f"{url.rpartition('/')[0]}/{TEMPLATE}")
    return TEMPLATE


def keep_schema(url: str) -> None:
    """Keep what a database has, unless a run beside this one just did."""
    kept = kept_schema()
    if kept.is_file():
        return
    handle, name = tempfile.mkstemp(dir=kept.parent)
    os.close(handle)
    _run("pg_dump", "--no-owner", "--file", name, url)
    Path(name).rename(kept)


def _run(program: str, *arguments: str) -> None:
    done = subprocess.run(
        [str(postgres.binaries() / program), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{program}: {done.stderr.strip()}")
