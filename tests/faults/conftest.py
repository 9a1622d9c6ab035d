"""A migrated database of its own for each test that kills."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.embedded import restore_template
from tests.faults.plant import ROOT, Plant

_number = itertools.count(1)


def _environment(url: str, folder: Path) -> dict[str, str]:
    """Nothing of the test run's own settings, but for what the machine needs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOUPE_")}
    kept.pop("CELERY_BROKER_URL", None)
    return kept | {
        "DATABASE_URL": url,
        "DJANGO_SETTINGS_MODULE": "config.settings.local",
        "LOUPE_STATE": str(folder),
        "LOUPE_SECRET_KEY": "a-key-for-the-fault-tests-that-nobody-else-uses",
        "LOUPE_MES_SECRET": "shared-with-the-demo-mes",
        "LOUPE_LOG_LEVEL": "WARNING",
        "LOUPE_PREDICTION_QUEUE": "",
        "LOUPE_ALERT_TOPIC": "",
    }


def _create(name: str, *, template: str = "template1") -> str:
    """The address of a new database on the test run's server."""
    server = os.environ["DATABASE_URL"]
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
    return f"{server.rpartition('/')[0]}/{name}"


@pytest.fixture(scope="session")
def _migrated(tmp_path_factory: pytest.TempPathFactory) -> str:
    if template := restore_template(os.environ["DATABASE_URL"]):
        return template
    url = _create("faults")
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        cwd=ROOT,
        env=_environment(url, tmp_path_factory.mktemp("migrating")),
        check=True,
    )
    return "faults"


@pytest.fixture
def make_plant(_migrated: str, tmp_path: Path) -> Callable[..., Plant]:
    """Makes a plant on a fresh database; keywords are settings without their LOUPE_."""

    def make(**changes: str) -> Plant:
        url = _create(f"faults_{next(_number)}", template=_migrated)
        (tmp_path / "static").mkdir()
        changed = {f"LOUPE_{name.upper()}": value for name, value in changes.items()}
        return Plant(url, tmp_path, {**_environment(url, tmp_path), **changed})

    return make
