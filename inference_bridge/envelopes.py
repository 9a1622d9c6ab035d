"""What a prediction event may arrive in, taken off layer by layer; pure."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_plus

DEEPEST: Final = 3
LARGEST: Final = 1024 * 1024
SIDECAR: Final = ".prediction.json"

Document = dict[str, Any]


class Unreadable(Exception):
    """A message that cannot be taken: a code for a program, a sentence for who has to mend it."""

    def __init__(self, code: str, sentence: str, *, site: str = "") -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.site = site


@dataclass(frozen=True, slots=True)
class Address:
    """Where a sidecar object lies."""

    bucket: str
    key: str


@dataclass(frozen=True, slots=True)
class Sidecars:
    """Objects to fetch: each holds one event."""

    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Nothing:
    """A message to acknowledge and forget: what S3 sends when a notification is set up."""


@dataclass(frozen=True, slots=True)
class Bare:
    """A CloudEvent without its envelopes; `task_token` from a Step Functions callback."""

    event: Document
    task_token: str = ""


def load(text: str, *, most: int = LARGEST) -> Any:
    """JSON as PostgreSQL can keep it, or Unreadable: no NUL, no lone surrogate, finite numbers."""
    if len(text) > most:
        raise Unreadable("too_large", "The message is larger than 1 MiB; images go to the store.")
    if "\x00" in text:
        raise Unreadable("nul", "The message holds a NUL character; send it without.")
    try:
        document = json.loads(text, parse_float=_finite, parse_constant=_no_constant)
        written = json.dumps(document, ensure_ascii=False)
        written.encode()
    except UnicodeEncodeError:
        raise Unreadable(
            "not_text",
            "The message holds half a UTF-16 pair (\\ud800 to \\udfff); send whole characters.",
        ) from None
    except RecursionError:
        raise Unreadable("too_deep", "The message is nested too deeply to be read.") from None
    except ValueError as error:
        raise Unreadable(*_why_not_json(text, error)) from None
    if "\\u0000" in written and any("\x00" in string for string in _strings(document)):
        raise Unreadable("nul", "The message holds a NUL character (\\u0000); send it without.")
    return document


def unwrap(document: Any) -> Bare | Sidecars | Nothing:
    """Take off at most DEEPEST envelopes."""
    task_token = ""
    for _depth in range(DEEPEST + 1):
        if isinstance(document, str):
            document = load(document)
        if not isinstance(document, dict):
            raise Unreadable("not_an_event", "The message is not a JSON object.")
        if "specversion" in document:
            return Bare(document, task_token)
        if document.get("Event") == "s3:TestEvent":
            return Nothing()
        if (found := _sidecars(document)) is not None:
            return found
        task_token = _text(document.get("taskToken")) or task_token
        document = _inner(document)
    raise Unreadable(
        "too_deep", f"The event lies in more than {DEEPEST} envelopes; send it with fewer."
    )


def _inner(document: Document) -> Any:
    """What the outermost envelope holds."""
    if _is_celery(document):
        raise Unreadable("celery_message", _CELERY)
    if document.get("Type") == "Notification" and "Message" in document:
        return document["Message"]
    if "detail-type" in document and "detail" in document:
        return document["detail"]
    if "responsePayload" in document:
        return document["responsePayload"]
    if "taskToken" in document and "event" in document:
        return document["event"]
    raise Unreadable(
        "not_an_event",
        "The message is neither a CloudEvent (it has no specversion) nor an envelope Loupe knows.",
    )


def _sidecars(document: Document) -> Sidecars | None:
    """The objects an S3 notification names, direct or through EventBridge; None for others."""
    if document.get("source") == "aws.s3" and isinstance(document.get("detail"), dict):
        # EventBridge names the key as it is; S3 itself percent-encodes it.
        named = [_place(document["detail"])]
    elif isinstance(document.get("Records"), list):
        named = [
            Address(place.bucket, unquote_plus(place.key))
            for place in (
                _place(record.get("s3")) for record in document["Records"] if _is_s3(record)
            )
        ]
    else:
        return None
    sidecars = tuple(place for place in named if place.key.endswith(SIDECAR))
    if not sidecars:
        raise Unreadable(
            "not_a_sidecar",
            f"The notification names no *{SIDECAR} object; limit it to that suffix.",
        )
    return Sidecars(sidecars)


def _is_s3(record: Any) -> bool:
    return isinstance(record, dict) and record.get("eventSource") == "aws:s3"


def _place(part: Any) -> Address:
    try:
        bucket, key = part["bucket"]["name"], part["object"]["key"]
    except (KeyError, TypeError):
        bucket = key = None
    if not isinstance(bucket, str) or not isinstance(key, str):
        raise Unreadable("not_an_event", "The notification names no bucket and key.")
    return Address(bucket, key)


_CELERY = (
    "This is a Celery task message: Celery's broker uses the prediction queue. "
    "Give CELERY_BROKER_URL and LOUPE_PREDICTION_QUEUE different queues."
)


def _is_celery(document: Any) -> bool:
    if not isinstance(document, dict):
        return False
    headers = document.get("headers")
    return isinstance(headers, dict) and "task" in headers


def _why_not_json(text: str, error: ValueError) -> tuple[str, str]:
    try:
        decoded = json.loads(base64.b64decode(text, validate=True))
    except (ValueError, RecursionError, binascii.Error):
        return "not_json", f"The message is not JSON: {error}."[:500]
    if _is_celery(decoded):
        return "celery_message", _CELERY
    return "not_json", "The message is JSON in base64; send it as it is."


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:40]} is out of range")
    return number


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _strings(value: Any) -> Iterator[str]:
    """Every string in a document, keys too."""
    left = [value]
    while left:
        here = left.pop()
        if isinstance(here, str):
            yield here
        elif isinstance(here, dict):
            left.extend(here.keys())
            left.extend(here.values())
        elif isinstance(here, list):
            left.extend(here)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
