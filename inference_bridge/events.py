"""The prediction event as Loupe reads it: checked against its schema and beyond; pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import fastjsonschema

from inference_bridge.envelopes import Bare, Document, Nothing, Sidecars, Unreadable, load, unwrap
from traceability.gateways.contract import KeyRefused, check_key

TYPE: Final = "com.loupe.prediction.v1"
FAMILY: Final = "com.loupe.prediction."
OLDEST: Final = timedelta(days=14)
FARTHEST_AHEAD: Final = timedelta(minutes=5)
SCHEMA: Final = Path(__file__).parent / "schemas" / "prediction.v1.schema.json"
LARGEST_INTEGER: Final = 2**31 - 1
KEPT: Final = "_unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """Where the image lies. Pixels are after EXIF transpose."""

    bucket: str
    key: str
    version_id: str
    sha256: str
    media_type: str
    width: int
    height: int
    heatmap_uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where on the plant; what the event leaves out is empty."""

    site: str
    area: str
    line: str
    station: str
    camera: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """What was photographed and how; what the event leaves out is empty."""

    captured_at: datetime
    inspection_id: str
    names_its_inspection: bool
    view: str
    views_expected: int
    serial: str
    part_number: str
    part_revision: str
    lot: str
    supplier: str
    tooling: str
    calibration_version: str
    shift: str
    quality: Document

    @property
    def is_fit(self) -> bool:
        """Whether the image can be judged at all."""
        return self.quality.get("verdict") != "unfit"


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionEvent:
    """One model prediction on one image. `body_sha256` is over the canonical bare event."""

    source: str
    event_id: str
    body_sha256: str
    time: datetime
    image: Image
    place: Place
    shot: Shot
    model_name: str
    model_version: str
    package_arn: str
    score: float
    defect_class: str
    sender_route: str
    detections: tuple[Document, ...]
    deadline: datetime | None
    reply: Document = field(default_factory=dict)
    ext: Document = field(default_factory=dict)


def read(
    text: str, *, buckets: Collection[str], at: datetime, received_at: datetime | None = None
) -> PredictionEvent | Sidecars | Nothing:
    """A message as it came; raises Unreadable. `received_at`: when it was first seen."""
    found = unwrap(load(text))
    if isinstance(found, Sidecars):
        for address in found.addresses:
            _check_object(address.bucket, address.key, buckets)
        return found
    if isinstance(found, Nothing):
        return found
    return parse(found, buckets=buckets, at=at, received_at=received_at or at)


def parse(
    bare: Bare, *, buckets: Collection[str], at: datetime, received_at: datetime
) -> PredictionEvent:
    """A bare CloudEvent as an event of ours; raises Unreadable that names the site if it can."""
    try:
        return _parsed(bare, buckets=buckets, at=at, received_at=received_at)
    except Unreadable as reason:
        raise Unreadable(
            reason.code, reason.sentence, site=_site_of(bare.event)
        ) from reason.__cause__


def canonical(document: Any) -> bytes:
    """The same bytes for the same content, whatever the order of keys and the white space."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _parsed(
    bare: Bare, *, buckets: Collection[str], at: datetime, received_at: datetime
) -> PredictionEvent:
    event = bare.event
    _check_type(event.get("type"))
    try:
        _validator()(event)
    except fastjsonschema.JsonSchemaValueException as error:
        raise Unreadable("schema", _schema_sentence(error)) from None
    data = event["data"]
    time = _moment(event["time"], "time")
    _check_window(time, at=at, received_at=received_at)
    outcome = data["outcome"]
    reply = dict(data.get("reply", {}))
    if bare.task_token:
        reply["task_token"] = bare.task_token
    return PredictionEvent(
        source=event["source"],
        event_id=event["id"],
        body_sha256=hashlib.sha256(canonical(event)).hexdigest(),
        time=time,
        image=_image(data["image"], buckets),
        place=Place(**{name: data["site"].get(name, "") for name in Place.__dataclass_fields__}),
        shot=_shot(data["capture"], event_id=event["id"]),
        model_name=data["model"]["name"],
        model_version=data["model"]["version"],
        package_arn=_at_most(300, data["model"].get("package_arn", ""), "data.model.package_arn"),
        score=float(outcome["score"]),
        defect_class=outcome.get("label", ""),
        sender_route=outcome.get("route", ""),
        detections=tuple(outcome.get("detections", ())),
        deadline=_moment(data["deadline"], "data.deadline") if "deadline" in data else None,
        reply=reply,
        ext=_kept(event, data.get("ext", {})),
    )


def _check_type(kind: Any) -> None:
    if kind == TYPE:
        return
    if isinstance(kind, str) and kind.startswith(FAMILY):
        raise Unreadable("unknown_version", f"Loupe reads {TYPE}, not {kind[:80]}.")
    raise Unreadable("unknown_type", f"The event's type is {str(kind)[:80]!r}, not {TYPE}.")


def _check_window(time: datetime, *, at: datetime, received_at: datetime) -> None:
    if time < received_at - OLDEST:
        raise Unreadable(
            "too_old", f"The event's time, {time.isoformat()}, is more than 14 days old."
        )
    if time > at + FARTHEST_AHEAD:
        raise Unreadable(
            "from_the_future",
            f"The event's time, {time.isoformat()}, is more than 5 minutes ahead; "
            "check the sender's clock.",
        )


def _image(image: Document, buckets: Collection[str]) -> Image:
    bucket, _slash, key = image["uri"].removeprefix("s3://").partition("/")
    _check_object(bucket, key, buckets)
    heatmap = _at_most(1100, image.get("heatmap_uri", ""), "data.image.heatmap_uri")
    if heatmap:
        _check_bucket(heatmap.removeprefix("s3://").partition("/")[0], buckets)
    return Image(
        bucket=bucket,
        key=key,
        version_id=_at_most(1024, image.get("version_id", ""), "data.image.version_id"),
        sha256=image["sha256"],
        media_type=image["media_type"],
        width=_integer(image["width"], "data.image.width"),
        height=_integer(image["height"], "data.image.height"),
        heatmap_uri=heatmap,
    )


def _check_object(bucket: str, key: str, buckets: Collection[str]) -> None:
    _check_bucket(bucket, buckets)
    try:
        check_key(key)
    except KeyRefused as refusal:
        raise Unreadable("key_refused", str(refusal.sentence)) from None


def _check_bucket(bucket: str, buckets: Collection[str]) -> None:
    if bucket not in buckets:
        raise Unreadable(
            "bucket_not_allowed",
            f"The bucket {bucket[:80]!r} is not on the list; add it to LOUPE_IMAGE_BUCKETS "
            "when its images may be shown.",
        )


def _shot(capture: Document, *, event_id: str) -> Shot:
    named = capture.get("inspection_id", "")
    inspection_id = named or event_id
    return Shot(
        captured_at=_moment(capture["captured_at"], "data.capture.captured_at"),
        inspection_id=inspection_id,
        names_its_inspection=bool(named),
        view=capture.get("view") or "main",
        views_expected=int(capture.get("views_expected", 1)) if named else 1,
        serial=capture.get("serial") or inspection_id,
        part_number=capture.get("part_number", ""),
        part_revision=capture.get("part_revision", ""),
        lot=capture.get("lot", ""),
        supplier=capture.get("supplier", ""),
        tooling=capture.get("tooling", ""),
        calibration_version=capture.get("calibration_version", ""),
        shift=capture.get("shift", ""),
        quality=capture.get("quality", {}),
    )


def _moment(text: str, where: str) -> datetime:
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unreadable("schema", f"{where} is no date and time: {text[:60]!r}.") from None


def _integer(number: float, where: str) -> int:
    if number > LARGEST_INTEGER:
        raise Unreadable("schema", f"{where} must be at most {LARGEST_INTEGER}.")
    return int(number)


def _at_most(length: int, text: str, where: str) -> str:
    if len(text) > length:
        raise Unreadable("schema", f"{where} must be at most {length} characters long.")
    return text


@cache
def _schema() -> Document:
    found: Document = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return found


@cache
def _validator() -> Callable[[Any], Any]:
    # Defaults stay out: the hash and what is kept are over what was sent.
    compiled: Callable[[Any], Any] = fastjsonschema.compile(_schema(), use_default=False)
    return compiled


def _schema_sentence(error: Any) -> str:
    path = ".".join(str(part) for part in error.path[1:]) or "the event"
    rule = str(error.message).removeprefix(str(error.name)).strip()
    return f"{path} {rule}."[:500]


def _kept(event: Document, ext: Document) -> Document:
    """The event's own `ext`, and beside it every key the schema does not know."""
    unknown = _unknown(event, _schema())
    return {**ext, KEPT: unknown} if unknown else dict(ext)


def _unknown(part: Document, schema: Document) -> Document:
    known = schema.get("properties")
    if known is None:
        return {}
    found: Document = {}
    for name, value in part.items():
        if name not in known:
            found[name] = value
        elif isinstance(value, dict) and (inner := _unknown(value, known[name])):
            found[name] = inner
    return found


def _site_of(event: Document) -> str:
    """The site an event names, as far as it can be made out of a broken one."""
    part: Any = event
    for name in ("data", "site", "site"):
        part = part.get(name) if isinstance(part, dict) else None
    return part if isinstance(part, str) and len(part) <= 64 else ""
