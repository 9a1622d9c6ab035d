"""The answer while the database is away: 503, try again. Every other fault stays a 500."""

from __future__ import annotations

import sys
from typing import Final

from django.db import InterfaceError, OperationalError, connections
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.views.defaults import server_error

RETRY_AFTER_S: Final = 2
RELOAD_S: Final = 5
# What PostgreSQL calls the loss of a connection (08), too little of what it needs (53) and its own
# going and coming (57P01 to 57P05).
_AWAY: Final = ("08", "53", "57P0")
# How the driver says that nothing can be read or written any more. After a transaction Django has
# opened the next connection, so that what stands by then is not the one that broke.
_BROKE: Final = (
    *("consuming input failed", "flushing failed", "the connection is lost"),
    *("server closed the connection", "could not send data", "could not receive data"),
)
_DATA: Final = ("/api/", "/health/")


def fault(request: HttpRequest) -> HttpResponseBase:
    """Django's handler of every fault that nobody caught; it is in the log by itself."""
    error = sys.exception()
    if error is not None and is_away(error, is_connected=is_connected()):
        return answer(request)
    return server_error(request)


def is_away(error: BaseException, *, is_connected: bool) -> bool:
    """Whether the database, not the program, is to blame: it cannot be reached, or is going or
    coming. A statement that was cancelled or a deadlock is the program's."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    code = getattr(error.__cause__, "sqlstate", None)
    if code is not None:
        return str(code).startswith(_AWAY)
    if any(words in str(error) for words in _BROKE):
        return True
    # The driver's own words, there was no answer. It says so, too, of a statement that it cannot
    # even send, of a cursor that is closed, of two statements at once; then the connection stands.
    return not is_connected and (isinstance(error, OperationalError) or "connection" in str(error))


def is_connected() -> bool:
    """Whether this thread has a connection to the database that has not broken."""
    opened = (each.connection for each in connections.all(initialized_only=True))
    return any(each is not None and not each.closed for each in opened)


def answer(request: HttpRequest) -> HttpResponse:
    """What a program reads, or a page that loads itself again when it was only looked at."""
    wants_data = request.headers.get("Accept", "").startswith("application/json")
    response: HttpResponse
    if wants_data or request.path_info.startswith(_DATA):
        response = JsonResponse(
            {"code": "unavailable", "detail": _("The database does not answer. Send it again.")}
        )
    else:
        is_safe = request.method in ("GET", "HEAD")
        shown = {"seconds": RELOAD_S if is_safe else None}
        # Without the request: who it is stands in the database.
        response = HttpResponse(render_to_string("away.html", shown))
    response.status_code = 503
    response["Retry-After"] = str(RETRY_AFTER_S)
    response["Cache-Control"] = "no-store"
    return response
