"""Tryton as the contract's peer, behind a server that lets the wire misbehave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from config.settings.environment import MesTarget
from tests.mes_integration.contract.http_server import HttpPeer, Reply, Request
from tests.mes_integration.contract.peer import TARGET, Effect
from tests.peers.tryton.server import KEY, Tryton

_CREATE = "/plant/rest/model/quality.inspection"
_NO_CODES = "an inspection in Tryton has no place for defect codes"


class TrytonPeer(HttpPeer):
    """What is applied is read from Tryton itself, by its own interface."""

    kind = "http, Tryton"
    cannot = {  # noqa: RUF012  # a class constant, as in its base
        "many_defects_are_all_told": _NO_CODES,
        "a_defect_is_told_in_the_peers_code": _NO_CODES,
        "a_refused_one_sent_again_speaks_by_the_new_mapping": _NO_CODES,
    }

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.tryton = Tryton(folder)
        self._stands = False

    def start(self) -> None:
        if not self._stands:
            self.tryton.start()
            self._stands = True
        super().start()

    def end(self) -> None:
        """Tryton, too."""
        self.stop()
        self.tryton.kill()

    def restart(self) -> None:
        self.stop()
        self.tryton.kill()
        self._stands = False
        self.start()

    def target(self) -> MesTarget:
        return MesTarget(
            name=TARGET,
            adapter="http",
            url=self.url + "/plant",
            secret=SecretStr(KEY),
            profile="tryton",
            timeout_s=20,
            options=dict(self.tryton.options),
        )

    def key_of(self, request: Request) -> str | None:
        if request.method != "POST" or request.path.partition("?")[0] != _CREATE:
            return None
        return _key(request.fields["reference"])

    def let_in(self, request: Request) -> bool:
        """Tryton looks itself."""
        return True

    def take(self, request: Request, *, named: bool) -> Reply:
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() in {"authorization", "content-type", "accept"}
        }
        with httpx.Client(timeout=30) as client:
            answer = client.request(
                request.method,
                self.tryton.url.removesuffix("/plant") + request.path,
                headers=headers,
                content=request.body,
            )
        return answer.status_code, _json(answer) if named else {}

    def refusal(self, sentence: str) -> Reply:
        return 400, {"status": 400, "message": sentence, "description": ""}

    def effects(self) -> list[Effect]:
        return [
            Effect(_key(row["reference"]), row["reference"].rsplit(" ", 2)[0], row["state"], None)
            for row in self.tryton.inspections()
        ]

    def check(self, body: bytes) -> None:
        said = json.loads(body)
        assert set(said) == {"reference", "company", "control", "points"}
        assert set(said["points"]) == {"loupe"}

    def forget(self, key: str) -> None:
        for row in self.tryton.inspections():
            if _key(row["reference"]) == key:
                self.tryton.delete(row["id"])


def _key(reference: str) -> str:
    """The last word of what an inspection is called."""
    return reference.rpartition(" ")[2]


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return {"message": answer.text[:300]}
