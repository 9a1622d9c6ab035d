"""Events and envelopes as senders write them."""

from __future__ import annotations

import itertools
import json
from datetime import datetime, timedelta
from typing import Any

_number = itertools.count(1)


def event(at: datetime, *, score: float = 0.6, **changes: Any) -> dict[str, Any]:
    """A whole event of plant-1/line-1; `changes` reach into it by `__`: data__site__line="x"."""
    number = next(_number)
    document: dict[str, Any] = {
        "specversion": "1.0",
        "id": f"e-{number:08d}",
        "source": "urn:loupe:edge:plant-1:st-1",
        "type": "com.loupe.prediction.v1",
        "time": (at - timedelta(seconds=1)).isoformat(),
        "subject": "plant-1/line-1",
        "data": {
            "image": {
                "uri": f"s3://loupe-images/objects/{number}.jpg",
                "sha256": f"{number:064x}",
                "media_type": "image/jpeg",
                "width": 480,
                "height": 360,
            },
            "site": {"site": "plant-1", "line": "line-1", "station": "st-1", "camera": "cam-1"},
            "capture": {
                "captured_at": (at - timedelta(seconds=2)).isoformat(),
                "serial": f"SN-{number:08d}",
                "part_number": "P-4711",
                "part_revision": "C",
                "lot": "L9",
                "supplier": "S4",
                "tooling": "T1",
                "calibration_version": "cal-17",
                "shift": "early",
                "quality": {"sharpness": 0.9, "verdict": "ok"},
            },
            "model": {"name": "casting", "version": "17"},
            "outcome": {
                "score": score,
                "label": "porosity",
                "route": "pass",
                "detections": [
                    {"id": "d1", "label": "porosity", "score": 0.5, "box": [1, 2, 3, 4]}
                ],
            },
        },
    }
    for path, value in changes.items():
        *parents, last = path.split("__")
        part = document
        for name in parents:
            part = part[name]
        if value is None:
            part.pop(last, None)
        else:
            part[last] = value
    return document


def view(
    at: datetime, *, of: str, name: str, score: float, expected: int = 2, **changes: Any
) -> dict[str, Any]:
    """One of several views of unit `of`."""
    return event(
        at,
        score=score,
        data__capture__serial=of,
        data__capture__inspection_id=f"{of}/st-1/1",
        data__capture__view=name,
        data__capture__views_expected=expected,
        **changes,
    )


def sns(body: Any) -> dict[str, Any]:
    return {
        "Type": "Notification",
        "TopicArn": "arn:aws:sns:eu-central-1:1:t",
        "Message": text(body),
    }


def eventbridge(body: Any) -> dict[str, Any]:
    return {"version": "0", "detail-type": "x", "source": "loupe.inference", "detail": body}


def destination(body: Any) -> dict[str, Any]:
    return {"requestContext": {}, "requestPayload": {}, "responsePayload": body}


def callback(body: Any) -> dict[str, Any]:
    return {"taskToken": "t-1", "event": body}


def s3(bucket: str, key: str) -> dict[str, Any]:
    return {
        "Records": [
            {
                "eventSource": "aws:s3",
                "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": bucket}, "object": {"key": key}},
            }
        ]
    }


def s3_by_eventbridge(bucket: str, key: str) -> dict[str, Any]:
    return {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {"bucket": {"name": bucket}, "object": {"key": key}},
    }


def text(body: Any) -> str:
    return body if isinstance(body, str) else json.dumps(body)
