"""The demo MES over HTTP: takes dispositions as a plant's own system would, and shows them."""

import errno
import hashlib
import hmac
import json
import random
import socket
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIEnvironment

from config.demo.mes_page import SHOWN, page
from config.demo.mes_store import STATES, Event, Held, Outcome, Store

TOLERANCE = 300
"""Seconds a signature's time may differ from ours."""

LARGEST = 256 * 1024

_STYLE = Path(__file__).with_name("mes.css")
_TYPE = "com.loupe.disposition.v1"
_REASONS = {200: "OK", 201: "Created", 204: "No Content", 400: "Bad Request", 401: "Unauthorized"}
_REASONS |= {404: "Not Found", 405: "Method Not Allowed", 409: "Conflict"}
_REASONS |= {413: "Content Too Large", 422: "Unprocessable Content", 429: "Too Many Requests"}
_REASONS |= {500: "Internal Server Error", 503: "Service Unavailable"}


@dataclass(frozen=True)
class Reply:
    """What goes back over the wire."""

    status: int
    body: bytes
    media_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class Refused(Exception):
    """The request is answered with this status and sentence."""

    def __init__(self, status: int, detail: str, *headers: tuple[str, str]) -> None:
        super().__init__(detail)
        self.reply = _json(status, {"detail": detail}, *headers)


@dataclass(frozen=True)
class Fault:
    """How the MES misbehaves, for which share of the dispositions, and for how long."""

    mode: str = "ok"
    share: float = 1.0
    seconds: float = 5.0


FAULTS = (
    *("ok", "500", "500_after_apply", "timeout", "reset_after_apply", "late", "429", "reject"),
)


def sign(secret: str, body: bytes, *, at: int) -> str:
    """The X-Loupe-Signature of a body at a Unix time."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


class Mes:
    """The WSGI application."""

    def __init__(
        self,
        *,
        store: Store,
        secret: str,
        allow_faults: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._secret = secret
        self._allow_faults = allow_faults
        self._clock = clock
        self._fault = Fault()
        self._dice = random.Random(1)  # noqa: S311  # only picks who meets the fault

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            reply = self._answer(environ)
        except Refused as refused:
            reply = refused.reply
        headers = [
            ("Content-Type", reply.media_type),
            ("Content-Length", str(len(reply.body))),
            ("Cache-Control", "no-store"),
            ("Content-Security-Policy", "default-src 'none'; style-src 'self'"),
            ("X-Content-Type-Options", "nosniff"),
            *reply.headers,
        ]
        start_response(f"{reply.status} {_REASONS[reply.status]}", headers)
        return [reply.body]

    def _answer(self, environ: WSGIEnvironment) -> Reply:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if path == "/dispositions":
            _only(method, "POST")
            return self._receive(environ)
        if path == "/faults" and self._allow_faults:
            _only(method, "POST")
            return self._set_fault(_body(environ))
        _only(method, "GET")
        if path.startswith("/dispositions/"):
            return self._read_back(path.removeprefix("/dispositions/"))
        return self._show(path, parse_qs(environ.get("QUERY_STRING", "")))

    def _page(self, query: dict[str, list[str]]) -> Reply:
        wanted = query.get("disposition", [""])[0]
        chosen = wanted if wanted in STATES else None
        shown = page(
            self._store.units(limit=SHOWN, disposition=chosen),
            self._store.counts(),
            self._store.deliveries(),
            chosen=chosen,
            at=self._clock(),
        )
        return Reply(200, shown.encode(), "text/html; charset=utf-8")

    def _show(self, path: str, query: dict[str, list[str]]) -> Reply:
        if path == "/":
            return self._page(query)
        if path == "/mes.css":
            return Reply(200, _STYLE.read_bytes(), "text/css; charset=utf-8")
        if path == "/units.json":
            return _json(200, {"units": [_unit(held) for held in self._store.units()]})
        if path == "/health":
            return _json(200, {"status": "ok", "deliveries": self._store.deliveries()})
        raise Refused(404, f"There is nothing at {path}.")

    def _receive(self, environ: WSGIEnvironment) -> Reply:
        body = _body(environ)
        self._check_signature(environ.get("HTTP_X_LOUPE_SIGNATURE", ""), body)
        event = _event(environ.get("HTTP_IDEMPOTENCY_KEY", ""), body)
        fault = self._fault
        if fault.mode != "ok" and self._dice.random() < fault.share:
            return self._misbehave(fault, environ, event)
        return self._apply(event)

    def _check_signature(self, header: str, body: bytes) -> None:
        pairs = dict(part.strip().partition("=")[::2] for part in header.split(","))
        stamp = pairs.get("t", "")
        if not (stamp.isascii() and stamp.isdecimal() and len(stamp) < 13):
            raise Refused(401, "X-Loupe-Signature is missing or not t=<unix>,v1=<hex>.")
        if abs(self._clock().timestamp() - int(stamp)) > TOLERANCE:
            raise Refused(401, f"The signature's time is more than {TOLERANCE} s off; set clocks.")
        expected = sign(self._secret, body, at=int(stamp)).partition("v1=")[2]
        if not hmac.compare_digest(expected.encode(), pairs.get("v1", "").encode()):
            raise Refused(401, "The signature does not fit the body; check the shared secret.")

    def _apply(self, event: Event) -> Reply:
        receipt = self._store.apply(event, at=self._clock())
        if receipt.outcome is Outcome.KEY_CONFLICT:
            raise Refused(409, f"{event.id} was used before with another body.")
        if receipt.held is None:
            raise Refused(
                409, f"Revision {event.revision} of {event.serial} is held under another id."
            )
        answer: dict[str, Any] = {"reference": receipt.held.reference}
        if receipt.held.stale:
            answer["stale"] = True
        if receipt.outcome is Outcome.REPEATED:
            return _json(200, answer, ("X-Duplicate", "1"))
        return _json(200 if receipt.held.stale else 201, answer)

    def _read_back(self, event_id: str) -> Reply:
        held = self._store.find(event_id)
        if held is None:
            raise Refused(404, f"No disposition {event_id} is held.")
        return _json(200, _unit(held) | {"stale": held.stale})

    def _set_fault(self, body: bytes) -> Reply:
        wanted = _object(body)
        mode = wanted.get("mode")
        share, seconds = wanted.get("share", 1.0), wanted.get("seconds", 5.0)
        if mode not in FAULTS:
            raise Refused(422, f"mode must be one of {', '.join(FAULTS)}.")
        if not isinstance(share, int | float) or not 0 <= share <= 1:
            raise Refused(422, "share must be a number from 0 to 1.")
        if not isinstance(seconds, int | float) or not 0 <= seconds <= 600:
            raise Refused(422, "seconds must be a number from 0 to 600.")
        self._fault = Fault(mode=mode, share=share, seconds=seconds)
        self._dice.seed(1)
        return _json(200, {"mode": mode, "share": share, "seconds": seconds})

    def _misbehave(self, fault: Fault, environ: WSGIEnvironment, event: Event) -> Reply:
        if fault.mode in ("500_after_apply", "reset_after_apply"):
            self._apply(event)
        if fault.mode == "reset_after_apply":
            _reset(environ)
        if fault.mode in ("timeout", "late"):
            time.sleep(fault.seconds)
        if fault.mode == "late":
            return self._apply(event)
        if fault.mode == "429":
            retry = ("Retry-After", str(max(1, round(fault.seconds))))
            raise Refused(429, "Too many dispositions at once.", retry)
        if fault.mode == "reject":
            raise Refused(422, f"{event.serial} is not in production at this plant.")
        raise Refused(503 if fault.mode == "timeout" else 500, "The MES cannot answer now.")


def _only(method: str, allowed: str) -> None:
    if method != allowed:
        raise Refused(405, f"Only {allowed} is understood here.", ("Allow", allowed))


def _reset(environ: WSGIEnvironment) -> None:
    """Cut the connection with a reset, as a crashing peer does, instead of answering."""
    connection: socket.socket = environ["gunicorn.socket"]
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise ConnectionResetError(errno.ECONNRESET, "reset on request")


def _body(environ: WSGIEnvironment) -> bytes:
    body: bytes = environ["wsgi.input"].read(LARGEST + 1)
    if len(body) > LARGEST:
        raise Refused(413, f"The body is larger than {LARGEST} bytes.")
    return body


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body.decode())
    except ValueError as error:
        raise Refused(400, "The body is not JSON in UTF-8.") from error
    if not isinstance(value, dict):
        raise Refused(400, "The body is not a JSON object.")
    return value


def _event(key: str, body: bytes) -> Event:
    """The event in a body, held against the contract as far as an MES must."""
    value = _object(body)
    if not key:
        raise Refused(400, "The header Idempotency-Key is missing.")
    if value.get("id") != key:
        raise Refused(400, "Idempotency-Key is not the id of the event.")
    if value.get("type") != _TYPE:
        raise Refused(422, f"The event's type must be {_TYPE}.")
    serial, site = _text(value, "unit", "serial"), _text(value, "station", "site")
    data = value["data"]
    revision, disposition = data.get("revision"), data.get("disposition")
    if type(revision) is not int or not 1 <= revision < 2**31:
        raise Refused(422, "data.revision must be a whole number from 1.")
    if disposition not in STATES:
        raise Refused(
            422, f"data.disposition {disposition!r} is unknown; use one of {', '.join(STATES)}."
        )
    return Event(key, site, serial, revision, disposition, body)


def _text(value: dict[str, Any], part: str, name: str) -> str:
    data = value.get("data")
    inner = data.get(part) if isinstance(data, dict) else None
    text = inner.get(name) if isinstance(inner, dict) else None
    if not isinstance(text, str) or not text:
        raise Refused(422, f"data.{part}.{name} is missing.")
    return text


def _unit(held: Held) -> dict[str, Any]:
    return {
        "reference": held.reference,
        "id": held.event_id,
        "site": held.site,
        "serial": held.serial,
        "state": held.state,
        "disposition": held.disposition,
        "revision": held.revision,
        "received_at": held.received_at.isoformat(),
    }


def _json(status: int, value: object, *headers: tuple[str, str]) -> Reply:
    return Reply(status, json.dumps(value).encode(), headers=headers)
