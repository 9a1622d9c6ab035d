"""An MES that takes the disposition event at `/dispositions`, as the contract describes it."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from pathlib import Path

import fastjsonschema
from pydantic import SecretStr

from config.settings.environment import ROOT, MesTarget
from tests.mes_integration.contract.http_server import HttpPeer, Reply, Request
from tests.mes_integration.contract.peer import TARGET, Effect

SECRET = "known-to-both"
_SCHEMA = Path(ROOT, "mes_integration/schemas/disposition.v1.schema.json")
_VALID = fastjsonschema.compile(json.loads(_SCHEMA.read_text()))


class GenericPeer(HttpPeer):
    """Applies a key once, can be asked for it, and checks the signature and its time."""

    kind = "http, generic"

    def __init__(self) -> None:
        super().__init__()
        self._held: dict[str, str] = {}

    def target(self) -> MesTarget:
        return MesTarget(
            name=TARGET, adapter="http", url=self.url, secret=SecretStr(SECRET), timeout_s=30
        )

    def key_of(self, request: Request) -> str | None:
        if (request.method, request.path) != ("POST", "/dispositions"):
            return None
        return request.headers["Idempotency-Key"]

    def let_in(self, request: Request) -> bool:
        given = re.fullmatch(
            r"t=(\d+),v1=([0-9a-f]{64})", request.headers.get("X-Loupe-Signature", "")
        )
        if given is None or abs(time.time() - int(given[1])) > 300:
            return False
        signed = given[1].encode() + b"." + request.body
        wanted = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        return hmac.compare_digest(wanted, given[2])

    def take(self, request: Request, *, named: bool) -> Reply:
        key = self.key_of(request) or request.path.rpartition("/")[2]
        if request.method == "GET":
            found = self._held.get(key)
            return (200, {"reference": found}) if found else (404, {"detail": "Unknown."})
        known = key in self._held
        if not known:
            event = request.fields
            data = event["data"]
            self._held[key] = f"MES-{len(self._held) + 1}"
            self._effects.append(
                Effect(event["id"], data["unit"]["serial"], data["disposition"], data["revision"])
            )
        answer = {"reference": self._held[key]} if named else {"taken": True}
        return 200 if known else 201, answer

    def refusal(self, sentence: str) -> Reply:
        return 422, {"detail": sentence}

    def check(self, body: bytes) -> None:
        _VALID(json.loads(body))

    def forget(self, key: str) -> None:
        with self._lock:
            del self._held[key]
            self._effects = [effect for effect in self._effects if effect.key != key]
