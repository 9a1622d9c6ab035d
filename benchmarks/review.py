"""The review loop: claim and decide, beside the bare Django and SQL floors of the same run."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from importlib import import_module
from statistics import median
from typing import TypedDict
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.middleware.csrf import _get_new_csrf_string

from benchmarks import backlog, floor, place
from benchmarks.figures import Figure, percentile
from config.runner.postgres import EmbeddedPostgres
from governance.models import User


class Run(TypedDict):
    """What one round of load measured, in seconds."""

    seconds: float
    claims: list[float]
    decisions: list[float]


ROUNDS, SECONDS = 3, 4
SQL_SECONDS = 4

# What is driven, by the name of its figures: the kind of inspector and the application.
SERVED = {
    "floor.django_thin": ("thin", "benchmarks.floor_wsgi"),
    "floor.django": ("literal", "benchmarks.floor_wsgi"),
    "review": ("loupe", "config.wsgi"),
}


def measure(
    *, size: int, people: tuple[int, ...], names: tuple[str, ...] = tuple(SERVED)
) -> list[Figure]:
    """Loops/s and latencies of Loupe and its Django floors, at a backlog of `size` open tasks.

    They take turns in short rounds, so that what else the machine does meets all of them.
    """
    backlog.fill(size=size)
    users = backlog.inspectors(max(people))
    headers = {
        "thin": [{"X-Token": f"token-{number}"} for number in range(len(users))],
        "literal": _callers(users),
        "loupe": _sessions(users),
    }
    figures: list[Figure] = []
    with ExitStack() as stack:
        applications = {SERVED[name][1] for name in names}
        served = {name: stack.enter_context(place.gunicorn(name)) for name in applications}
        for count in people:
            runs: dict[str, list[Run]] = {name: [] for name in names}
            for _round in range(ROUNDS):
                backlog.fill(size=size)
                for name in names:
                    kind, application = SERVED[name]
                    runs[name].append(_run(kind, served[application], headers[kind][:count]))
            for name in names:
                figures += _figures(name, count, runs[name])
    return figures


def measure_sql(server: EmbeddedPostgres, *, people: tuple[int, ...]) -> list[Figure]:
    """The thin floor's statements by pgbench, without Python."""
    return [
        Figure(
            f"floor.sql.loops_per_s.{count}",
            floor.sql_loops_per_s(server, clients=count, seconds=SQL_SECONDS),
            "1/s",
        )
        for count in people
    ]


def _callers(users: list[User]) -> list[dict[str, str]]:
    """Session, person and site of each, as the literal floor is told them."""
    return [
        {"X-Caller": f"{_session(user).session_key} {user.pk} {user.grants.get().site_id}"}
        for user in users
    ]


def _sessions(users: list[User]) -> list[dict[str, str]]:
    headers = []
    for user in users:
        token = _get_new_csrf_string()
        key = _session(user).session_key
        cookies = f"{settings.SESSION_COOKIE_NAME}={key}; csrftoken={token}"
        headers.append({"Cookie": cookies, "X-CSRFToken": token})
    return headers


def _session(user: User) -> SessionBase:
    session: SessionBase = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return session


def _run(kind: str, address: str, people: list[dict[str, str]]) -> Run:
    order = {
        "kind": kind,
        "port": urlsplit(address).port,
        "people": people,
        "seconds": SECONDS,
    }
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load"],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-1500:])
    answer: Run = json.loads(done.stdout)
    return answer


def _figures(name: str, count: int, runs: list[Run]) -> list[Figure]:
    loops = median(len(run["decisions"]) / run["seconds"] for run in runs)
    times = [
        Figure(
            f"{name}.{what}_p{share}.{count}",
            percentile(seconds, share / 100) * 1000,
            "ms",
        )
        for what, seconds in (
            ("claim", [t for run in runs for t in run["claims"]]),
            ("decide", [t for run in runs for t in run["decisions"]]),
        )
        for share in (50, 95, 99)
    ]
    return [Figure(f"{name}.loops_per_s.{count}", loops, "1/s"), *times]
