"""One call over HTTP, and what it says when there is no answer or none that helps."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import httpx
from django.utils.translation import gettext as _

from mes_integration.adapters.protocol import Refused, TryLater
from mes_integration.models.outbox import DEFAULT_TARGET

LARGEST_ANSWER: Final = 64 * 1024
_NOT_YET_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_NOT_LET_IN: Final = frozenset({401, 403})


class Unanswered(Exception):
    """No answer that can be read; `sent` says whether any of the request may have left."""

    def __init__(self, sentence: str, *, sent: bool) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came."""

    status: int
    body: bytes


def url_fault(url: str) -> str:
    """What is wrong with the address of a target over HTTP; empty when nothing is."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    return "" if sound else _("Its url is not http://host[:port] or https://host[:port].")


class Line:
    """The wire to one address."""

    def __init__(self, *, url: str, timeout_s: float, name: str = DEFAULT_TARGET) -> None:
        self._url = url.rstrip("/")
        self._name = name
        self._timeout_s = timeout_s
        # A connection kept open that the MES closes just then would turn an ordinary disposition
        # into an uncertain one; so each call has its own. The system's certificates, because a
        # plant has its own authority.
        self._client = httpx.Client(
            limits=httpx.Limits(max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,
            verify=ssl.create_default_context(),
        )

    def close(self) -> None:
        """Give the sockets back."""
        self._client.close()

    def call(
        self, method: str, path: str, *, headers: Mapping[str, str], body: bytes, ends: float
    ) -> Reply:
        """The answer, or Unanswered; over by `ends` of the monotonic clock."""
        if not all(value.isascii() and value.isprintable() for value in headers.values()):
            raise Unanswered(
                _("%(setting)s cannot be written into a header: use plain characters.")
                % {"setting": self.setting("secret")},
                sent=False,
            )
        left = ends - time.monotonic()
        if left <= 0:
            raise Unanswered(_("The MES did not answer in time."), sent=False)
        timeout_s = min(self._timeout_s, left)
        deadline = time.monotonic() + min(2 * self._timeout_s, left)
        try:
            with self._client.stream(
                method,
                self._url + path,
                content=_in_time(body, ends) if body else None,
                headers={**headers, "Content-Length": str(len(body))} if body else headers,
                timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, 5.0)),
            ) as response:
                return Reply(response.status_code, _read(response, deadline))
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise Unanswered(
                _("%(setting)s is not an http:// or https:// address; correct it.")
                % {"setting": self.setting("url")},
                sent=False,
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

    def not_taken(
        self, reply: Reply, *, said: str, later: frozenset[int] = frozenset({425, 429})
    ) -> Refused | TryLater:
        """What an answer means that does not say that it was applied."""
        status = reply.status
        if 300 <= status < 400:
            return TryLater(
                _("The MES answered %(status)s: elsewhere. Set %(setting)s to its final address.")
                % {"status": status, "setting": self.setting("url")},
                status,
            )
        if status in _NOT_LET_IN:
            # It is about Loupe, not about the disposition: all of them wait until it is mended.
            return TryLater(
                _(
                    "The MES answered %(status)s and did not let Loupe in. Check that "
                    "%(setting)s is the secret the MES knows. It said: %(said)s"
                )
                % {"status": status, "setting": self.setting("secret"), "said": said},
                status,
            )
        sentence = _("The MES answered %(status)s: %(said)s") % {"status": status, "said": said}
        if status >= 500 or status == 408:
            return TryLater(sentence, status, may_have_arrived=True)
        if status in later:
            return TryLater(sentence, status)
        return Refused(status, sentence)

    def setting(self, field: str) -> str:
        """Where the operator finds it."""
        if self._name == DEFAULT_TARGET:
            return f"LOUPE_MES_{field.upper()}"
        return _("The “%(field)s” of %(target)s in LOUPE_MES_TARGETS") % {
            "field": field,
            "target": self._name,
        }


def _host(url: str) -> str:
    """Host and port alone: what else the address holds is not for everybody who reads the error."""
    return httpx.URL(url).netloc.decode("ascii")[:200]


def _in_time(body: bytes, ends: float) -> Iterator[bytes]:
    """The body, at the last moment: a process that stood still meanwhile does not send it late."""
    if time.monotonic() > ends:
        raise Unanswered(_("The MES did not answer in time."), sent=False)
    yield body


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
