"""Inspectors without think time: claim, decide, again. Runs in a process of its own."""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any, Protocol


class Person(Protocol):
    """How one inspector talks to the server under test."""

    def claim(self) -> dict[str, Any] | None:
        """The next task, or None."""

    def decide(self, task: dict[str, Any]) -> None:
        """Decide it."""


class Connection:
    """One kept connection; raises on any answer that is not the expected one."""

    def __init__(self, port: int, headers: dict[str, str]) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Content-Type": "application/json", **headers}

    def post(self, path: str, body: object, **headers: str) -> Any:
        """The JSON answer."""
        self._http.request("POST", path, json.dumps(body), {**self._headers, **headers})
        response = self._http.getresponse()
        text = response.read()
        if response.status not in {200, 201}:
            raise RuntimeError(f"{path}: {response.status} {text[:300]!r}")
        return json.loads(text)


class Loupe(Connection):
    """An inspector of Loupe with a browser session."""

    def claim(self) -> dict[str, Any] | None:
        """The next task, or None."""
        tasks = self.post("/api/v1/review/claims", {"count": 1})["tasks"]
        return tasks[0] if tasks else None

    def decide(self, task: dict[str, Any]) -> None:
        """A false call, accepted."""
        body = {"fence": task["fence"], "answer": "FALSE_CALL", "disposition": "ACCEPT"}
        key = {"Idempotency-Key": str(uuid.uuid4())}
        self.post(f"/api/v1/review/tasks/{task['id']}/decision", body, **key)


class ThinFloor(Connection):
    """The same against the thin floor."""

    def claim(self) -> dict[str, Any] | None:
        """The next task."""
        task: dict[str, Any] = self.post("/claim", {})["tasks"][0]
        return task

    def decide(self, task: dict[str, Any]) -> None:
        """Decide it."""
        self.post(f"/decide/{task['id']}", {"fence": task["fence"]})


class LiteralFloor(Connection):
    """The same against the floor of Loupe's own statements."""

    def claim(self) -> dict[str, Any] | None:
        """The next task."""
        task: dict[str, Any] = self.post("/literal/claim", {"count": 1})["tasks"][0]
        return task

    def decide(self, task: dict[str, Any]) -> None:
        """Decide it."""
        self.post(f"/literal/decide/{task['id']}", {"fence": task["fence"]})


KINDS: dict[str, type[Loupe | ThinFloor | LiteralFloor]] = {
    "loupe": Loupe,
    "thin": ThinFloor,
    "literal": LiteralFloor,
}


@dataclass
class Times:
    """Seconds of each call."""

    claims: list[float] = field(default_factory=list)
    decisions: list[float] = field(default_factory=list)


def work(person: Person, until: float, times: Times) -> None:
    """Loop until the clock says stop."""
    while time.perf_counter() < until:
        before = time.perf_counter()
        task = person.claim()
        claimed = time.perf_counter()
        if task is None:
            raise RuntimeError("the queue ran empty: fill it with more")
        person.decide(task)
        times.claims.append(claimed - before)
        times.decisions.append(time.perf_counter() - claimed)


def main() -> None:
    """Read the order on standard input, print the times as JSON."""
    order = json.load(sys.stdin)
    people = [KINDS[order["kind"]](order["port"], headers) for headers in order["people"]]
    for person in people:
        task = person.claim()
        if task is not None:
            person.decide(task)
    each = [Times() for _ in people]
    start = time.perf_counter()
    until = start + order["seconds"]
    threads = [
        threading.Thread(target=work, args=(person, until, times))
        for person, times in zip(people, each, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    json.dump(
        {
            "seconds": time.perf_counter() - start,
            "claims": [t for times in each for t in times.claims],
            "decisions": [t for times in each for t in times.decisions],
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
