"""The review loop: claim and decide, beside the bare Django and SQL floors of the same run."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.middleware.csrf import _get_new_csrf_string

from benchmarks import backlog, floor, place
from benchmarks.figures import Figure, percentile
from config.runner.postgres import EmbeddedPostgres
from governance.models import User

SECONDS = 8


def measure(server: EmbeddedPostgres, *, size: int, people: tuple[int, ...]) -> list[Figure]:
    """Loops/s and latencies for each number of inspectors, at a backlog of `size` tasks."""
    backlog.fill(upto=size)
    users = backlog.inspectors(max(people))
    figures: list[Figure] = []
    with place.gunicorn("config.wsgi") as address:
        for count in people:
            figures += _figures("review", count, _run("loupe", address, _sessions(users[:count])))
    return figures


def measure_floors(server: EmbeddedPostgres, *, size: int, people: tuple[int, ...]) -> list[Figure]:
    """The same loop with nothing around the statements."""
    floor.fill(size, max(people))
    figures: list[Figure] = []
    with place.gunicorn("benchmarks.floor_wsgi") as address:
        for count in people:
            tokens = [{"X-Token": f"token-{number}"} for number in range(count)]
            figures += _figures("floor.django", count, _run("floor", address, tokens))
    for count in people:
        loops = floor.sql_loops_per_s(server, clients=count, seconds=SECONDS // 2)
        figures.append(Figure(f"floor.sql.loops_per_s.{count}", loops, "1/s"))
    return figures


def _sessions(users: list[User]) -> list[dict[str, str]]:
    headers = []
    for user in users:
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.save()
        token = _get_new_csrf_string()
        cookies = f"{settings.SESSION_COOKIE_NAME}={session.session_key}; csrftoken={token}"
        headers.append({"Cookie": cookies, "X-CSRFToken": token})
    return headers


def _run(kind: str, address: str, people: list[dict[str, str]]) -> dict[str, Any]:
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
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _figures(name: str, count: int, run: dict[str, Any]) -> list[Figure]:
    loops = Figure(f"{name}.loops_per_s.{count}", len(run["decisions"]) / run["seconds"], "1/s")
    times = [
        Figure(f"{name}.{what}_p{share}.{count}", percentile(run[key], share / 100) * 1000, "ms")
        for what, key in (("claim", "claims"), ("decide", "decisions"))
        for share in (50, 95, 99)
    ]
    return [loops, *times]
