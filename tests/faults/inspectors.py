"""Inspectors who go on whatever happens to the server, and remember every answer."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

VERDICTS = (
    {"answer": "FALSE_CALL", "disposition": "ACCEPT"},
    {"answer": "CONFIRMED", "disposition": "REWORK"},
    {"answer": "CONFIRMED", "disposition": "SCRAP"},
    {"answer": "INCONCLUSIVE", "disposition": "HOLD"},
)
UNDO_SHARE = 0.15


@dataclass(frozen=True)
class Said:
    """One verdict under one key, and the last answer to it."""

    key: str
    task: str
    body: Mapping[str, Any]
    status: int
    answer: Mapping[str, Any]


@dataclass
class Inspector:
    """One person with a session; `cut` counts the requests that got no answer."""

    port: int
    headers: Mapping[str, str]
    dice: random.Random
    is_over: Callable[[], bool]
    said: list[Said] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    cut: int = 0
    fault: BaseException | None = None

    def work(self) -> None:
        """Claim, decide, sometimes take it back, until everything is decided."""
        try:
            address = f"http://127.0.0.1:{self.port}/api/v1/review"
            with httpx.Client(base_url=address, headers=dict(self.headers), timeout=60) as client:
                while not self.is_over():
                    self._round(client)
        except BaseException as fault:
            self.fault = fault
            raise

    def _round(self, client: httpx.Client) -> None:
        tasks = self._post(client, "/claims", {"count": 1}).json()["tasks"]
        for task in tasks:
            decided = self._decide(client, task)
            if decided is not None and self.dice.random() < UNDO_SHARE:
                taken_back = self._post(client, f"/decisions/{decided}/undo", {})
                if taken_back.status_code == 200:
                    self.undone.append(decided)
                    self._decide(client, taken_back.json()["task"])

    def _decide(self, client: httpx.Client, task: Mapping[str, Any]) -> str | None:
        key = str(uuid.UUID(int=self.dice.getrandbits(128)))
        body = {"fence": task["fence"], **self.dice.choice(VERDICTS)}
        path = f"/tasks/{task['id']}/decision"
        answered = self._post(client, path, body, key=key)
        answer = answered.json()
        self.said.append(Said(key, task["id"], body, answered.status_code, answer))
        found: str | None = answer.get("decision")
        return found

    def _post(
        self, client: httpx.Client, path: str, body: Mapping[str, Any], *, key: str = ""
    ) -> httpx.Response:
        """The answer, asked for again, with the same key, until there is one."""
        headers = {"Idempotency-Key": key} if key else {}
        pause = threading.Event()
        for _try in range(2000):
            try:
                answered = client.post(path, json=body, headers=headers)
            except httpx.TransportError:
                self.cut += 1
                pause.wait(0.02)
                continue
            assert answered.status_code < 500, f"{path}: {answered.status_code} {answered.text}"
            return answered
        raise AssertionError(f"{path} was never answered")
