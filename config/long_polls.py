"""In front of Django: tablets that wait for news wait here, and cost no database connection.

A server with many threads can then keep hundreds of tablets waiting, while ordinary requests
still run on a few threads, each with its one connection.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs

from review.line import tickets
from review.line.watch import WATCH

Start = Callable[..., Any]
Application = Callable[[dict[str, Any], Start], Iterable[bytes]]

BOARD: Final = "/api/v1/line/board"
LONGEST_S: Final = 25.0


class LongPolls:
    """A WSGI application around Django's: at most `waiting` requests wait, `working` work."""

    def __init__(self, application: Application, *, working: int, waiting: int) -> None:
        self._application = application
        self._workers = ThreadPoolExecutor(working, thread_name_prefix="request")
        self._places = threading.BoundedSemaphore(waiting)

    def __call__(self, environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        """Wait where that is asked for, then have Django answer; its own 304 is given here."""
        tagged = environ.get("HTTP_IF_NONE_MATCH", "")
        if environ["PATH_INFO"] == BOARD and tagged and not self._has_news(environ, tagged):
            start_response("304 Not Modified", [("ETag", tagged), ("Cache-Control", "no-cache")])
            return []
        return self._workers.submit(self._application, environ, start_response).result()

    def _has_news(self, environ: dict[str, Any], tagged: str) -> bool:
        """Whether Django is to be asked: there is news, or nothing is to be waited for."""
        ticket, seconds = tickets.read(tagged, at=datetime.now(UTC)), _seconds(environ)
        if ticket is None or not seconds or not self._places.acquire(blocking=False):
            return True
        try:
            return WATCH.wait(ticket.station_id, ticket.version, seconds=seconds)
        finally:
            self._places.release()


def _seconds(environ: dict[str, Any]) -> float:
    asked = parse_qs(environ.get("QUERY_STRING", "")).get("wait", ["0"])[0]
    return min(float(asked), LONGEST_S) if asked.isdecimal() else 0.0
