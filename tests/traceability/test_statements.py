"""Prepared statements: counted, wrapped, and planned anew as tables grow."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from traceability import statements
from traceability.statements import prepared

pytestmark = pytest.mark.django_db


def run(sql: str, *values: str | int | None) -> None:
    with prepared() as cursor:
        cursor.execute(sql, values)


def scans() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'grown'")
        found: int = cursor.fetchone()[0]
    return found


def test_a_prepared_statement_is_counted_like_any_other() -> None:
    with CaptureQueriesContext(connection) as captured:
        run("SELECT %s::int", 7)
    assert [query["sql"] for query in captured.captured_queries] == ["SELECT $1::int"]


def test_a_second_use_is_not_prepared_again() -> None:
    for number in range(3):
        run("SELECT %s::int AS once", number)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_prepared_statements WHERE statement = 'SELECT $1::int AS once'"
        )
        assert cursor.fetchone() == (1,)


def test_the_databases_errors_are_djangos() -> None:
    with pytest.raises(IntegrityError):
        run("INSERT INTO traceability_site (code) VALUES (%s)", None)


def test_a_plan_made_for_an_empty_table_does_not_outlive_its_growth(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE grown (id int PRIMARY KEY); ANALYZE grown")
    look_up = "SELECT id FROM grown WHERE id = %s"
    for number in range(8):
        run(look_up, number)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO grown SELECT generate_series(1, 5000)")
    before = scans()
    run(look_up, 9)
    assert scans() == before + 1
    monkeypatch.setattr(statements, "PLANS_HOLD_S", 0)
    run(look_up, 9)
    assert scans() == before + 1
