"""Which faults are the database's, and what is said then."""

from __future__ import annotations

import json
import os
import socket

import psycopg
import pytest
from django.db import (
    DatabaseError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    connection,
    transaction,
)
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import path

from config.away import answer, is_away
from traceability.statements import prepared


def raised(kind: type[DatabaseError], cause: psycopg.Error | None) -> DatabaseError:
    """As Django raises what its driver has raised."""
    error = kind(str(cause or "connection already closed"))
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "cause",
    [
        psycopg.OperationalError("connection failed: Connection refused"),
        psycopg.errors.AdminShutdown("terminating connection due to administrator command"),
        psycopg.errors.CrashShutdown("the database system is in recovery mode"),
        psycopg.errors.CannotConnectNow("the database system is starting up"),
        psycopg.errors.ConnectionFailure("gone"),
        psycopg.errors.TooManyConnections("sorry, too many clients already"),
        psycopg.errors.DiskFull("could not extend file"),
    ],
)
def test_a_database_that_cannot_be_reached_or_is_going_is_away(cause: psycopg.Error) -> None:
    assert is_away(raised(OperationalError, cause), is_connected=False)


def test_a_connection_that_was_closed_is_away() -> None:
    cause = psycopg.InterfaceError("the connection is closed")
    error = raised(InterfaceError, cause)  # type: ignore[arg-type]  # a cousin of it
    assert is_away(error, is_connected=False)


@pytest.mark.parametrize(
    "error",
    [
        raised(ProgrammingError, psycopg.errors.UndefinedColumn("no such column")),
        raised(OperationalError, psycopg.errors.QueryCanceled("statement timeout")),
        raised(OperationalError, psycopg.errors.DeadlockDetected("deadlock")),
        InterfaceError("the cursor is closed"),
        ValueError("connection"),
    ],
)
def test_a_fault_of_the_program_is_none_of_it(error: Exception) -> None:
    assert not is_away(error, is_connected=True)


@pytest.mark.parametrize(
    "words",
    [
        "sending query and params failed: number of parameters must be between 0 and 65535",
        "sending query failed: another command is already in progress",
    ],
)
def test_what_the_driver_cannot_send_is_the_programs_while_the_connection_stands(
    words: str,
) -> None:
    error = raised(OperationalError, psycopg.OperationalError(words))
    assert not is_away(error, is_connected=True)
    assert is_away(error, is_connected=False)


def test_what_the_server_says_of_itself_counts_though_the_connection_stands() -> None:
    cause = psycopg.errors.TooManyConnections("sorry, too many clients already")
    assert is_away(raised(OperationalError, cause), is_connected=True)


def too_many_values(request: HttpRequest) -> HttpResponse:
    """A statement with more values than one can have."""
    with prepared() as cursor:
        cursor.execute(f"SELECT {', '.join(['%s'] * 70_000)}", list(range(70_000)))
    return HttpResponse()


def connection_closed(request: HttpRequest) -> HttpResponse:
    """What a connection that broke unseen answers."""
    connection.ensure_connection()
    connection.connection.close()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse()


def cut_off(request: HttpRequest) -> HttpResponse:
    """A connection that breaks within a transaction; Django has opened the next one at its end."""
    with transaction.atomic(), prepared() as cursor:
        cursor.execute("SELECT 1")
        with socket.socket(fileno=os.dup(connection.connection.pgconn.socket)) as wire:
            wire.shutdown(socket.SHUT_RDWR)
        cursor.execute("SELECT 1")
    return HttpResponse()


handler500 = "config.away.fault"
urlpatterns = [
    path("too-many/", too_many_values),
    path("closed/", connection_closed),
    path("cut/", cut_off),
]


@pytest.mark.urls("tests.composition.test_away")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("address", "status"), [("/too-many/", 500), ("/closed/", 503), ("/cut/", 503)]
)
def test_a_fault_is_told_from_a_database_that_is_away_by_its_connection(
    address: str, status: int
) -> None:
    told = Client(raise_request_exception=False).get(address)
    assert told.status_code == status
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/api/v1/review/queue", {}),
        ("/health/", {}),
        ("/write-backs/", {"Accept": "application/json"}),
    ],
)
def test_a_program_is_told_in_a_sentence_and_when_to_come_again(
    path: str, headers: dict[str, str]
) -> None:
    said = answer(RequestFactory().get(path, headers=headers))
    assert (said.status_code, said["Retry-After"], said["Cache-Control"]) == (503, "2", "no-store")
    assert json.loads(said.content) == {
        "code": "unavailable",
        "detail": "The database does not answer. Send it again.",
    }


def test_a_page_loads_itself_again_and_a_form_that_was_sent_does_not() -> None:
    looked = answer(RequestFactory().get("/units/")).content.decode()
    assert '<meta http-equiv="refresh" content="5">' in looked
    sent = answer(RequestFactory().post("/units/")).content.decode()
    assert "http-equiv" not in sent
    assert "not known" in sent
