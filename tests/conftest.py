"""One PostgreSQL for the whole run, one clean state folder, and Django on top."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import django
import pytest
from django.db import connection

from tests.embedded import start_for_tests

_FOLDER = Path(tempfile.mkdtemp(prefix="loupe-test-"))
_SERVER = start_for_tests(_FOLDER)
os.environ["DATABASE_URL"] = _SERVER.url
os.environ["LOUPE_STATE"] = str(_FOLDER / "state")
(_FOLDER / "state" / "static").mkdir(parents=True)
os.environ["LOUPE_AWS_ENDPOINT_URL"] = ""
os.environ["AWS_ACCESS_KEY_ID"] = os.environ["AWS_SECRET_ACCESS_KEY"] = "testing"
os.environ["AWS_DEFAULT_REGION"] = "eu-central-1"
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.test"
django.setup()


def pytest_unconfigure() -> None:
    """Stop the server and remove what the run left."""
    _SERVER.stop()
    shutil.rmtree(_FOLDER, ignore_errors=True)


@pytest.fixture
def now() -> datetime:
    """The moment at which a test takes place."""
    return datetime(2026, 11, 22, 6, 0, tzinfo=UTC)


@pytest.fixture(autouse=True, scope="session")
def _flushable() -> Iterator[None]:
    """Let the flush between tests empty the append-only tables, which refuse TRUNCATE."""
    # On the class: a test that drives a browser runs on another connection object.
    operations = type(connection.ops)
    plain = operations.sql_flush

    def sql_flush(*args: object, **kwargs: object) -> list[str]:
        statements = plain(*args, **kwargs)  # type: ignore[arg-type]  # handed through unchanged
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT tgrelid::regclass::text, tgname FROM pg_trigger"
                " WHERE tgname LIKE '%\\_no\\_truncate'"
            )
            guarded = cursor.fetchall()
        off = [f"ALTER TABLE {table} DISABLE TRIGGER {trigger}" for table, trigger in guarded]
        on = [f"ALTER TABLE {table} ENABLE TRIGGER {trigger}" for table, trigger in guarded]
        return [*off, *statements, *on] if statements else statements

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operations, "sql_flush", sql_flush)
        yield
