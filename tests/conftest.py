"""One PostgreSQL for the whole run, one clean state folder, and Django on top."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import django
import hypothesis
import psycopg
import pytest
from django.conf import settings
from django.db import connection, connections
from django.utils import translation
from pytest_django.plugin import DjangoDbBlocker

from tests.embedded import keep_schema, restore_template, start_for_tests

# How long the connections of threads that have ended may take to close.
_OTHERS_WITHIN_S = 20
# Process number and last statement of every session in a database.
_SESSIONS = (
    "SELECT pid, query FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"
)

# Files that take a minute and more: begun first, or one worker is still at them when all the others
# are done. The story and the planted bugs are kept apart, since both bring processes of their own.
_LONGEST = (
    *("planted/test_planted", "trainer/test_train", "review/test_approvals_machine"),
    *("review/test_queue_machine", "functional/test_story", "faults/test_ledger"),
    *("retraining/test_loop", "faults/test_kills", "functional/test_every_page"),
)

# What drives a browser or a whole product is tried a second time when it fails, and named so.
# A busy machine makes one such test in thousands fail; a fault makes more than so many.
_TRIED_TWICE = ("tests/functional/", "tests/runner/")
_MAY_FAIL_ONCE = 3

# What Django writes once for all tests.
_CONSTANT = ("django_content_type", "auth_permission")

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

# A machine that stands still for a moment has found no fault.
hypothesis.settings.register_profile(
    "loupe", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("loupe")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the longest files first; the others stay in the order they were given."""
    places = {f"tests/{name}.py": place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))
    if config.pluginmanager.hasplugin("rerunfailures"):
        for item in items:
            if item.nodeid.startswith(_TRIED_TWICE):
                item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Too many that passed only at the second try are a fault, not a busy machine."""
    if len(_tried_twice(session.config)) > _MAY_FAIL_ONCE:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Name them, with what went wrong the first time."""
    again = _tried_twice(config)
    for report in again:
        terminalreporter.section(f"tried a second time: {report.nodeid}")
        terminalreporter.write_line(report.longreprtext)
    if len(again) > _MAY_FAIL_ONCE:
        terminalreporter.write_line(
            f"{len(again)} tests needed a second try; more than {_MAY_FAIL_ONCE} is a failed run.",
            red=True,
        )


def _tried_twice(config: pytest.Config) -> list[pytest.TestReport]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return reporter.stats.get("rerun", []) if reporter else []


def pytest_xdist_auto_num_workers() -> int:
    """Half as many again as there are cores: a quarter of the time a test waits for a timer."""
    is_told = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if is_told else os.cpu_count() or 1
    return cores + cores // 2


def pytest_unconfigure() -> None:
    """Stop the server and remove what the run left."""
    _SERVER.stop()
    shutil.rmtree(_FOLDER, ignore_errors=True)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None) -> None:
    """Begin with the schema an earlier run made by the same migrations, where one did."""
    settings.DATABASES["default"]["TEST"]["TEMPLATE"] = restore_template(_address("postgres"))


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The database as pytest-django makes it; nobody else is in it when it is dropped."""
    keep_schema(_address(settings.DATABASES["default"]["NAME"]))
    yield
    with django_db_blocker.unblock():
        _see_all_out()


def _address(database: str) -> str:
    """Of a database on the server that Django uses: in a worker of the run, the run's own."""
    used = settings.DATABASES["default"]
    return (
        f"postgresql://{used['USER']}:{used['PASSWORD']}@{used['HOST']}:{used['PORT']}/{database}"
    )


def _see_all_out() -> None:
    """Wait for the connections of ended threads; one that stays is named and ended.

    Asked for on a connection of its own: a test may have cut the one Django holds, and a test that
    drives a browser has another one, which closes with the browser.
    """
    connections.close_all()
    # A thread's connection closes when the collector comes to it.
    gc.collect()
    until = time.monotonic() + _OTHERS_WITHIN_S
    name = settings.DATABASES["default"]["NAME"]
    with psycopg.connect(_address("postgres"), autocommit=True) as server:
        while left := server.execute(_SESSIONS, [name]).fetchall():
            if time.monotonic() > until:
                print(f"\nleft in {name}, and ended: {left}", file=sys.stderr)
                for pid, _query in left:
                    server.execute("SELECT pg_terminate_backend(%s)", [pid])
                return
            time.sleep(0.05)


@pytest.fixture
def now() -> datetime:
    """The moment at which a test takes place."""
    return datetime(2026, 11, 22, 6, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _plain_language() -> Iterator[None]:
    """The language of a test's last request does not stay on for the next test's own sentences."""
    yield
    translation.deactivate()


@pytest.fixture(autouse=True, scope="session")
def _flushable() -> Iterator[None]:
    """Empty the tables between tests row by row: few hold any, and to truncate a hundred takes
    longer. No trigger is asked, as the append-only tables refuse both."""

    def sql_flush(
        _operations: object, _style: object, tables: Sequence[str], **_more: object
    ) -> list[str]:
        emptied = [f'"{table}"' for table in tables if table not in _CONSTANT]
        return [
            "SET LOCAL session_replication_role = replica",
            # What another thread is still writing is waited for, and goes with the rest.
            f"LOCK TABLE {', '.join(emptied)} IN ACCESS EXCLUSIVE MODE",
            "; ".join(f"DELETE FROM {table}" for table in emptied),  # noqa: S608  # Django's names
            "SET LOCAL session_replication_role = DEFAULT",
        ]

    # On the class: a test that drives a browser runs on another connection object.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(connection.ops), "sql_flush", sql_flush)
        yield
