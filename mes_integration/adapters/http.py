"""Dispositions over HTTP: signed, with an idempotency key, read back where in doubt."""

from __future__ import annotations

import hashlib
import hmac
import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

import httpx
from django.conf import settings
from django.utils.translation import gettext as _

from mes_integration.adapters.protocol import (
    Answer,
    Applied,
    MesAdapter,
    Refused,
    TryLater,
    Uncertain,
)

LARGEST_ANSWER: Final = 64 * 1024
LONGEST_REFERENCE: Final = 200
LONGEST_SENTENCE: Final = 300
_NOT_YET_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_NO_READ_BACK: Final = frozenset({404, 405, 410, 501})
_LATER: Final = frozenset({408, 425, 429})
_NOT_LET_IN: Final = frozenset({401, 403})


class Unanswered(Exception):
    """No answer that can be read; `sent` says whether any of the request may have left."""

    def __init__(self, sentence: str, *, sent: bool) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.sent = sent


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    body: bytes

    @property
    def fields(self) -> dict[str, Any]:
        """The JSON object of the body; empty for anything else."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def reference(self) -> str:
        """The MES's reference; empty when there is none that can be kept."""
        value = self.fields.get("reference")
        if not isinstance(value, str) or not value.isprintable():
            return ""
        return value.strip() if len(value) <= LONGEST_REFERENCE else ""

    @property
    def said(self) -> str:
        """What the MES wrote, as one short line a page and a table can take."""
        detail = self.fields.get("detail")
        text = detail if isinstance(detail, str) else self.body[:1000].decode(errors="replace")
        printable = "".join(c if c.isprintable() else " " for c in text)
        return " ".join(printable.split())[:LONGEST_SENTENCE]


def signature(secret: str, body: bytes, *, at: int) -> str:
    """The X-Loupe-Signature of a body at a Unix time."""
    digest = hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def encoded(payload: Mapping[str, Any]) -> bytes:
    """The payload as it is sent: the same bytes on every attempt."""
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


class HttpMes:
    """An MES behind `<url>/dispositions`."""

    def __init__(
        self,
        *,
        url: str,
        secret: str,
        timeout_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._url = url.rstrip("/")
        self._secret = secret
        self._timeout_s = timeout_s
        self._clock = clock
        # A connection kept open that the MES closes just then would turn an ordinary disposition
        # into an uncertain one; so each call has its own. The system's certificates, because a
        # plant has its own authority.
        self._client = httpx.Client(
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, 5.0)),
            limits=httpx.Limits(max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,
            verify=ssl.create_default_context(),
        )

    def close(self) -> None:
        """Give the sockets back."""
        self._client.close()

    def post(self, payload: Mapping[str, Any], key: str) -> Answer:
        """POST <url>/dispositions."""
        try:
            reply = self._call("POST", "/dispositions", encoded(payload), key)
        except Unanswered as silence:
            return Uncertain(silence.sentence) if silence.sent else TryLater(silence.sentence)
        return _after_post(reply)

    def read_back(self, key: str) -> Answer | None:
        """GET <url>/dispositions/<key>. Reading changes nothing, so silence is only "later"."""
        try:
            reply = self._call("GET", f"/dispositions/{quote(key, safe='')}", b"", key)
        except Unanswered as silence:
            return TryLater(silence.sentence)
        return _after_read_back(reply)

    def _call(self, method: str, path: str, body: bytes, key: str) -> _Reply:
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "Loupe",
            "X-Loupe-Signature": signature(self._secret, body, at=int(self._clock())),
        }
        if method == "POST":
            headers |= {"Content-Type": "application/json", "Idempotency-Key": key}
        deadline = time.monotonic() + 2 * self._timeout_s
        try:
            with self._client.stream(
                method, self._url + path, content=body or None, headers=headers
            ) as response:
                return _Reply(response.status_code, _read(response, deadline))
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise Unanswered(
                _("LOUPE_MES_URL is not an http:// or https:// address; correct it."), sent=False
            ) from error
        except _NOT_YET_SENT as error:
            raise Unanswered(
                _("The MES at %(host)s cannot be reached.") % {"host": _host(self._url)}, sent=False
            ) from error
        except httpx.TimeoutException as error:
            raise Unanswered(_("The MES did not answer in time."), sent=True) from error
        except httpx.HTTPError as error:
            raise Unanswered(
                _("The connection to the MES broke before it answered."), sent=True
            ) from error


def _host(url: str) -> str:
    """Host and port alone: what else the address holds is not for everybody who reads the error."""
    return httpx.URL(url).netloc.decode("ascii")[:200]


def _read(response: httpx.Response, deadline: float) -> bytes:
    """At most LARGEST_ANSWER bytes, as they are on the wire."""
    body = b""
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise Unanswered(_("The MES answered with more than can be read."), sent=True)
        if time.monotonic() > deadline:
            raise Unanswered(_("The MES did not answer in time."), sent=True)
    return body


def _after_post(reply: _Reply) -> Answer:
    status, reference = reply.status, reply.reference
    if status in {200, 201, 202, 409} and reference:
        return Applied(reference, status)
    if 200 <= status < 300:
        return Uncertain(
            _("The MES answered %(status)s without a reference.") % {"status": status}, status
        )
    return _not_taken(reply)


def _after_read_back(reply: _Reply) -> Answer | None:
    if reply.status in _NO_READ_BACK:
        return None
    if 200 <= reply.status < 300:
        if reply.reference:
            return Applied(reply.reference, reply.status)
        return Uncertain(
            _("Asked for it, the MES answered %(status)s without a reference.")
            % {"status": reply.status},
            reply.status,
        )
    return _not_taken(reply)


def _not_taken(reply: _Reply) -> Refused | TryLater:
    status = reply.status
    if 300 <= status < 400:
        return TryLater(
            _("The MES answered %(status)s: elsewhere. Set LOUPE_MES_URL to its final address.")
            % {"status": status},
            status,
        )
    if status in _NOT_LET_IN:
        # It is about Loupe, not about the disposition: all of them wait until it is mended.
        return TryLater(
            _(
                "The MES answered %(status)s and did not let Loupe in. Check that "
                "LOUPE_MES_SECRET is the secret the MES knows. It said: %(said)s"
            )
            % {"status": status, "said": reply.said},
            status,
        )
    sentence = _("The MES answered %(status)s: %(said)s") % {"status": status, "said": reply.said}
    if status >= 500 or status == 408:
        return TryLater(sentence, status, may_have_arrived=True)
    if status in _LATER:
        return TryLater(sentence, status)
    return Refused(status, sentence)


@lru_cache(maxsize=4)
def _adapter(url: str, secret: str, timeout_s: float) -> HttpMes:
    return HttpMes(url=url, secret=secret, timeout_s=timeout_s)


def configured() -> MesAdapter | None:
    """The MES of the settings; None while there is none."""
    loupe = settings.LOUPE
    if not loupe.mes_url:
        return None
    return _adapter(loupe.mes_url, loupe.mes_secret.get_secret_value(), loupe.mes_timeout_s)
