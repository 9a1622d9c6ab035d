"""The demo line: photographs a unit, asks the model in force, sends the event, and so on."""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from config.demo.source import Shot
from inference_bridge.gateways.sqs import PredictionQueue
from review.models import ReviewTask, TaskState
from traceability.gateways.object_store import store
from traceability.identifiers import new_id

SITE, LINE, STATION = "demo-plant", "line-1", "st-1"
BUCKET = "loupe-images"
logger = logging.getLogger(__name__)


class ModelSilent(RuntimeError):
    """The model server gives no answer just now."""


@dataclass(frozen=True)
class Answer:
    """What the model in force said of one image."""

    outcome: dict[str, Any]
    name: str
    version: str


def ask(client: httpx.Client, url: str, shot: Shot) -> Answer:
    """The model's outcome for one image. Raises ModelSilent when the server is away."""
    try:
        response = client.post(
            f"{url}/invocations",
            content=shot.image,
            headers={"Content-Type": shot.media_type},
        )
        response.raise_for_status()
    except httpx.HTTPError as error:
        raise ModelSilent(str(error)) from error
    return Answer(
        outcome=response.json(),
        name=response.headers["X-Loupe-Model-Name"],
        version=response.headers["X-Loupe-Model-Version"],
    )


def event(*, shot: Shot, key: str, answer: Answer, event_id: UUID, at: datetime) -> dict[str, Any]:
    """The CloudEvent a line sends for one image, by the prediction contract."""
    moment = at.astimezone(UTC).isoformat()
    capture = {
        "captured_at": moment,
        "inspection_id": f"{shot.serial}/{STATION}/1",
        "serial": shot.serial,
        "lot": shot.lot,
        "supplier": shot.supplier,
        "part_number": shot.part_number,
        "part_revision": shot.part_revision,
        "quality": shot.quality,
    }
    return {
        "specversion": "1.0",
        "id": str(event_id),
        "source": f"urn:loupe:edge:{SITE}:{STATION}",
        "type": "com.loupe.prediction.v1",
        "time": moment,
        "subject": f"{SITE}/{LINE}/{shot.serial}",
        "data": {
            "image": {
                "uri": f"s3://{BUCKET}/{key}",
                "sha256": shot.sha256,
                "media_type": shot.media_type,
                "width": shot.width,
                "height": shot.height,
            },
            "site": {"site": SITE, "line": LINE, "station": STATION, "camera": "cam-1"},
            "capture": {name: value for name, value in capture.items() if value is not None},
            "model": {"name": answer.name, "version": answer.version},
            "outcome": answer.outcome,
        },
    }


class Counter:
    """The number of the unit that comes next, kept over restarts."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> int:
        """1 on a new line."""
        return int(self._path.read_text(encoding="ascii")) if self._path.exists() else 1

    def write(self, number: int) -> None:
        """Replace the file whole, so that a crash leaves one number or the other."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".new")
        draft.write_text(str(number), encoding="ascii")
        draft.replace(self._path)


def send(*, shot: Shot, answer: Answer, queue: PredictionQueue, at: datetime) -> None:
    """Store the image, then send its event."""
    key = f"{SITE}/{LINE}/{at:%Y/%m/%d}/{shot.serial}"
    store(BUCKET).put_if_absent(key, shot.image, content_type=shot.media_type)
    body = event(shot=shot, key=key, answer=answer, event_id=new_id(), at=at)
    queue.send(json.dumps(body))


def wait_for_room(stop: threading.Event, *, buffer: int) -> None:
    """Stand still while `buffer` units wait for a verdict, as a line with a full buffer would."""
    said = False
    while not stop.is_set():
        waiting = ReviewTask.objects.filter(
            site__code=SITE, state__in=[TaskState.QUEUED, TaskState.LEASED], held_at__isnull=True
        )[: buffer + 1]
        if len(waiting) < buffer:
            return
        if not said:
            logger.info("The line waits: %d units want a verdict.", buffer)
            said = True
        stop.wait(1)
