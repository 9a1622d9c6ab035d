"""A client of the plant who asks until he is answered."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from benchmarks.ledger_notes import Notes

PATIENCE_S: Final = 120.0
BENCH: Final = "/api/v1/review"
_AWAY: Final = 503
_JSON: Final = {"Content-Type": "application/json"}
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}


class NeverAnswered(Exception):
    """A request that got no answer in all that time."""


@dataclass(frozen=True)
class Told:
    """An answer, and how often it was asked for; `to`: the page it leads to."""

    status: int
    answer: dict[str, Any]
    tries: int
    to: str = ""


class Line:
    """One kept connection; what breaks or answers 5xx is asked again, the same way."""

    def __init__(self, port: int, headers: Mapping[str, str], notes: Notes) -> None:
        self._port = port
        self._headers = headers
        self._notes = notes
        self._http: http.client.HTTPConnection | None = None

    def post(self, path: str, body: object, *, key: str = "") -> tuple[int, dict[str, Any]]:
        """Status and JSON of the bench's answer."""
        headers = {"Idempotency-Key": key} if key else {}
        told = self.ask("POST", BENCH + path, json.dumps(body), {**_JSON, **headers})
        return told.status, told.answer

    def send(self, path: str, body: object) -> Told:
        """A message of a machine."""
        return self.ask("POST", path, json.dumps(body), _JSON)

    def get(self, path: str) -> dict[str, Any]:
        """The bench's answer to a question; one that is refused is a fault of the programme."""
        told = self.ask("GET", BENCH + path, None, {})
        if told.status != 200:
            raise AssertionError(f"{path} was answered {told.status}: {told.answer}")
        return told.answer

    def press(self, path: str, form: Mapping[str, str]) -> Told:
        """A page's button."""
        return self.ask("POST", path, urlencode(form), _FORM)

    def ask(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> Told:
        """Until there is an answer that is not a fault of the server."""
        ends = time.monotonic() + PATIENCE_S
        tries = 0
        while time.monotonic() < ends:
            tries += 1
            try:
                status, text, to = self._once(method, path, body, headers)
            except (OSError, http.client.HTTPException):
                self.close()
                self._notes.cut += 1
                time.sleep(0.03)
                continue
            if status < 500:
                return Told(status, json.loads(text) if text else {}, tries, to)
            if status == _AWAY:
                self._notes.away += 1
            else:
                self._notes.broken.append(f"{method} {path} was answered {status}")
            time.sleep(0.1)
        raise NeverAnswered(path)

    def close(self) -> None:
        """Hang up."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def _once(
        self, method: str, path: str, body: str | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes, str]:
        if self._http is None:
            self._http = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        self._http.request(method, path, body, {**self._headers, **headers})
        response = self._http.getresponse()
        return response.status, response.read(), response.headers.get("Location", "")
