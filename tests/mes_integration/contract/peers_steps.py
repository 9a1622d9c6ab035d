"""A QMS without keys: it takes a reference twice, and an inspection is made first, then processed.

It has the shapes of Tryton, so that further calls and reading back are held to the contract where
no Tryton is installed.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydantic import SecretStr

from config.settings.environment import MesTarget
from tests.mes_integration.contract.http_server import HttpPeer, Reply, Request
from tests.mes_integration.contract.peer import TARGET, Effect

KEY = "application-key"
_MODEL = "/plant/rest/model/quality.inspection"
_ONE = re.compile(rf"{re.escape(_MODEL)}/(\d+)(/process)?")
_NO_CODES = "an inspection there has no place for defect codes"


class StepsPeer(HttpPeer):
    """Keeps inspections as they were made: one made twice is two."""

    kind = "http, in steps"
    cannot = {  # noqa: RUF012  # a class constant, as in its base
        "many_defects_are_all_told": _NO_CODES,
        "a_defect_is_told_in_the_peers_code": _NO_CODES,
        "a_refused_one_sent_again_speaks_by_the_new_mapping": _NO_CODES,
    }

    def __init__(self) -> None:
        super().__init__()
        self._rows: dict[int, dict[str, Any]] = {}

    def target(self) -> MesTarget:
        return MesTarget(
            name=TARGET,
            adapter="http",
            url=self.url + "/plant",
            secret=SecretStr(KEY),
            profile="tryton",
            timeout_s=30,
            options={"company": 1, "control": 4},
        )

    def key_of(self, request: Request) -> str | None:
        if request.method != "POST" or urlsplit(request.path).path != _MODEL:
            return None
        return _key(request.fields["reference"])

    def let_in(self, request: Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {KEY}"

    def take(self, request: Request, *, named: bool) -> Reply:
        place = urlsplit(request.path)
        if place.path == _MODEL:
            return (
                self._search(place.query) if request.method == "GET" else self._make(request, named)
            )
        one = _ONE.fullmatch(place.path)
        row = self._rows.get(int(one[1])) if one else None
        if one is None or row is None:
            return 404, {"message": "Not found"}
        if row["state"] != "pending":
            return 400, {"message": "It is processed."}
        if one[2]:
            row["state"] = "passed" if row["points"]["loupe"] else "failed"
        else:
            row |= request.fields
        return 200, {"id": row["id"]}

    def _make(self, request: Request, named: bool) -> Reply:
        number = len(self._rows) + 1
        self._rows[number] = {"id": number, "state": "pending", **request.fields}
        return 200, self._rows[number] if named else {}

    def _search(self, query: str) -> Reply:
        ((_field, _is, reference),) = json.loads(base64.urlsafe_b64decode(parse_qs(query)["d"][0]))
        return 200, [row for row in self._rows.values() if row["reference"] == reference]

    def refusal(self, sentence: str) -> Reply:
        return 400, {"message": sentence}

    def effects(self) -> list[Effect]:
        with self._lock:
            return [
                Effect(
                    _key(row["reference"]), row["reference"].rsplit(" ", 2)[0], row["state"], None
                )
                for row in self._rows.values()
            ]

    def check(self, body: bytes) -> None:
        said = json.loads(body)
        assert set(said) == {"reference", "company", "control", "points"}

    def forget(self, key: str) -> None:
        with self._lock:
            for number, row in list(self._rows.items()):
                if _key(row["reference"]) == key:
                    del self._rows[number]


def _key(reference: str) -> str:
    """The last word of what an inspection is called."""
    return reference.rpartition(" ")[2]
