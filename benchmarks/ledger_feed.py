"""What the fault programme sends to the plant, and what must come of each message."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

BATCH: Final = 10
POISON_SHARE, TWICE_SHARE, SIDECAR_SHARE, AGAIN_SHARE = 0.02, 0.03, 0.04, 0.25
SCORES: Final = (0.02, 0.1, 0.05, 0.2, 0.45, 0.6, 0.5, 0.7, 0.9, 0.55)
BUCKET: Final = "loupe-images"
LARGEST_OF_SQS: Final = 256 * 1024


@dataclass(frozen=True)
class Sent:
    """A message, the event in it (empty for what holds none), and when it was sent."""

    message: str
    event: str
    kind: str
    at: float

    @property
    def is_poison(self) -> bool:
        return self.kind.startswith("poison")


@dataclass
class Feed:
    """Sends so many messages, never far ahead of what the plant has done with them."""

    sqs: SQSClient
    url: str
    dice: random.Random
    buckets: Path
    prefix: str = "e"
    # The share of events that are of a unit seen before.
    again: float = AGAIN_SHARE
    # Of so many units seen last.
    window: int = 200
    sent: list[Sent] = field(default_factory=list)
    events: int = 0
    units: int = 0

    def send(self, count: int, is_ahead: Callable[[int], bool], stop: threading.Event) -> None:
        """Until so many are sent; `is_ahead` of the plant, it waits."""
        first = len(self.sent)
        while (sent := len(self.sent) - first) < count and not stop.is_set():
            if is_ahead(sent):
                stop.wait(0.1)
                continue
            self._send_batch([self._message() for _n in range(min(BATCH, count - sent))])

    def send_one(self, kind: str = "good") -> Sent:
        """One message now."""
        self._send_batch([self._good("good") if kind == "good" else self._poison(kind)])
        return self.sent[-1]

    def _send_batch(self, messages: list[tuple[str, str, str]]) -> None:
        # Some SQS takes a whole batch of at most 256 KB.
        for batch in _by_size(messages):
            entries: Any = [
                {"Id": str(n), "MessageBody": body} for n, (body, _e, _k) in enumerate(batch)
            ]
            answer = self._patiently(entries)
            ids = {done["Id"]: done["MessageId"] for done in answer["Successful"]}
            now = time.time()
            self.sent += [
                Sent(ids[str(n)], event, kind, now) for n, (_b, event, kind) in enumerate(batch)
            ]

    def _patiently(self, entries: Any) -> Any:
        for _try in range(50):
            try:
                return self.sqs.send_message_batch(QueueUrl=self.url, Entries=entries)
            except (BotoCoreError, ClientError):
                time.sleep(0.2)
        raise TimeoutError("the queue takes nothing")

    def _message(self) -> tuple[str, str, str]:
        chance = self.dice.random()
        if chance < POISON_SHARE:
            kinds = ("json", "large", "schema", "sidecar-missing", "sidecar-cut", "site")
            return self._poison(self.dice.choice(kinds))
        if chance < POISON_SHARE + TWICE_SHARE and (last := self._last_good()) is not None:
            return last
        if chance < POISON_SHARE + TWICE_SHARE + SIDECAR_SHARE:
            return self._good("sidecar")
        return self._good("good")

    _last: tuple[str, str, str] | None = None

    def _last_good(self) -> tuple[str, str, str] | None:
        return (self._last[0], self._last[1], "twice") if self._last else None

    def _good(self, kind: str) -> tuple[str, str, str]:
        event = self._event()
        body = json.dumps(event)
        if kind == "sidecar":
            body = self._beside(event["id"], body)
        self._last = (body, event["id"], kind)
        return self._last

    def _poison(self, kind: str) -> tuple[str, str, str]:
        name = f"poison-{kind}"
        if kind == "json":
            return "{" + "x" * self.dice.randint(1, 40), "", name
        if kind == "large":
            return json.dumps({"id": "x" * (LARGEST_OF_SQS - 1000)}), "", name
        event = self._event()
        if kind == "sidecar-missing":
            return self._notification(event["id"]), event["id"], name
        if kind == "sidecar-cut":
            return self._beside(event["id"], json.dumps(event)[:120]), event["id"], name
        if kind == "site":
            event["data"]["site"]["site"] = "nowhere"
        else:
            del event["data"]["image"]
        return json.dumps(event), event["id"], name

    def _beside(self, event: str, text: str) -> str:
        path = self.buckets / BUCKET / "sidecars" / f"{event}.prediction.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return self._notification(event)

    def _notification(self, event: str) -> str:
        key = f"sidecars/{event}.prediction.json"
        record = {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}
        return json.dumps(
            {"Records": [record | {"s3": {"bucket": {"name": BUCKET}, "object": {"key": key}}}]}
        )

    def _event(self) -> dict[str, Any]:
        self.events += 1
        if not self.units or self.dice.random() > self.again:
            self.units += 1
            unit = self.units
        else:
            unit = self.dice.randint(max(1, self.units - self.window), self.units)
        # A unit stays on its line; the second is the one where a scrap takes two people.
        where = 1 + unit % 2
        number = f"{self.prefix}{self.events:07d}"
        now = datetime.now(UTC).isoformat()
        image = {
            "uri": f"s3://{BUCKET}/objects/{number}.jpg",
            "sha256": f"{self.events:064x}",
            "media_type": "image/jpeg",
            "width": 640,
            "height": 480,
        }
        capture = {
            "captured_at": now,
            "serial": f"{self.prefix}-SN-{unit:06d}",
            "part_number": "P-1",
            "part_revision": "A",
            "lot": f"{self.prefix}-L{unit // 50}",
        }
        return {
            "specversion": "1.0",
            "id": number,
            "source": f"urn:loupe:edge:bench:st-{where}",
            "type": "com.loupe.prediction.v1",
            "time": now,
            "data": {
                "image": image,
                "site": {"site": "bench", "line": f"line-{where}", "station": f"st-{where}"},
                "capture": capture,
                "model": {"name": "bench", "version": "1"},
                "outcome": {"score": self.dice.choice(SCORES), "label": "scratch"},
            },
        }


def _by_size(messages: list[tuple[str, str, str]]) -> list[list[tuple[str, str, str]]]:
    large = [[m] for m in messages if len(m[0]) > LARGEST_OF_SQS // BATCH]
    small = [m for m in messages if len(m[0]) <= LARGEST_OF_SQS // BATCH]
    return [*large, small] if small else large
