"""Rows for tests, built the way the product builds them wherever a domain function exists."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone
from PIL import Image

from governance import attendances, audit, devices, pins
from governance.access import Actor, actor_of, system
from governance.models import Attendance, Device, Grant, User
from governance.roles import Role
from labeling.models import DefectClass
from review import dispositions, queue
from review.models import ReviewTask, TaskKind
from traceability import heat_maps
from traceability.gateways import object_store
from traceability.models import (
    Capture,
    DeciderKind,
    Disposition,
    DispositionKind,
    Inspection,
    Line,
    Lot,
    ModelVersion,
    PartNumber,
    PartRevision,
    Prediction,
    Route,
    Site,
    Station,
    Supplier,
    Unit,
)

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
PASSWORD = "correct-horse-battery"
PIN = "2580"
_number = itertools.count(1)


def site(code: str = "plant-1") -> Site:
    """A site; the same one for the same code."""
    return Site.objects.get_or_create(code=code, defaults={"name": code})[0]


def line(of: Site | None = None, code: str = "line-1") -> Line:
    """A line of a site."""
    return Line.objects.get_or_create(site=of or site(), code=code)[0]


def station(of: Line | None = None, code: str = "st-1") -> Station:
    """A station of a line."""
    where = of or line()
    return Station.objects.get_or_create(site=where.site, line=where, code=code)[0]


def user(
    role: Role | None = Role.INSPECTOR,
    *,
    at: Site | None = None,
    on: Line | None = None,
    name: str = "",
) -> User:
    """A person who holds one role at a site (or one line of it); role None holds nothing."""
    username = name or f"{role or 'nobody'}-{next(_number)}"
    person = User.objects.create_user(username, password=PASSWORD, badge=f"B-{username}")
    if role is not None:
        where = on.site if on else (at or site())
        Grant.objects.create(user=person, role=role, site=where, line=on)
    return person


def actor(role: Role = Role.INSPECTOR, *, at: Site | None = None, on: Line | None = None) -> Actor:
    """The actor of a new user with this role."""
    return actor_of(user(role, at=at, on=on))


def tablet(on: Station | None = None, *, at: datetime | None = None) -> tuple[Device, str]:
    """A registered tablet of a station, nobody at it, and the token it shows."""
    where, now = on or station(), at or timezone.now()
    lead = actor(Role.LEAD, at=where.site)
    name = f"Tablet {next(_number)}"
    made, _code = devices.make(actor=lead, station=where, name=name, ahead=20, at=now)
    return devices.register_here(actor=lead, device=made.uuid, at=now)


def arrive(at_it: Device, person: User, *, at: datetime | None = None) -> Attendance:
    """This person comes to the tablet with badge and PIN; he is given one where he has none."""
    now = at or timezone.now()
    if not hasattr(person, "pin"):
        lead = actor(Role.LEAD, at=at_it.site)
        pins.set_pin(actor=lead, person=person.username, pin=PIN, at=now)
        person.refresh_from_db()
    return attendances.arrive(device=at_it, badge=person.badge, pin=PIN, at=now)


def defect_class(code: str = "scratch", *, at: Site | None = None, **fields: Any) -> DefectClass:
    """A catalogue entry."""
    defaults = {"name": code.title(), "default_disposition": "REWORK", **fields}
    return DefectClass.objects.get_or_create(site=at or site(), code=code, defaults=defaults)[0]


def unit(serial: str = "", *, at: Site | None = None, lot: str = "", supplier: str = "") -> Unit:
    """A unit with part revision, and lot and supplier where named."""
    where = at or site()
    part = PartNumber.objects.get_or_create(site=where, number="P-4711")[0]
    return Unit.objects.create(
        site=where,
        serial=serial or f"SN-{next(_number):06d}",
        part_revision=PartRevision.objects.get_or_create(
            site=where, part_number=part, revision="C"
        )[0],
        lot=Lot.objects.get_or_create(site=where, code=lot)[0] if lot else None,
        supplier=Supplier.objects.get_or_create(site=where, code=supplier)[0] if supplier else None,
        first_seen_at=NOW,
    )


def inspection(of: Unit | None = None, *, on: Line | None = None, views: int = 1) -> Inspection:
    """An inspection of a unit at a station."""
    part = of or unit(at=on.site if on else None)
    where = on or line(part.site)
    return Inspection.objects.create(
        site=part.site,
        line=where,
        station=station(where),
        unit=part,
        external_id=f"{part.serial}/st-1/{next(_number)}",
        views_expected=views,
        opened_at=NOW,
    )


def capture(of: Inspection | None = None, *, view: str = "main", **fields: Any) -> Capture:
    """A capture of 480 x 360 pixels, without an image behind it unless the test stores one."""
    parent = of or inspection()
    number = next(_number)
    values = {
        "captured_at": NOW,
        "bucket": "loupe-images",
        "key": f"{parent.site.code}/{number}.jpg",
        "sha256": f"{number:064x}",
        "media_type": "image/jpeg",
        "width": 480,
        "height": 360,
        **fields,
    }
    return Capture.objects.create(site=parent.site, inspection=parent, view=view, **values)


def model_version(at: Site | None = None, version: str = "1") -> ModelVersion:
    """A model version of a site."""
    return ModelVersion.objects.get_or_create(
        site=at or site(), name="casting", version=version, defaults={"first_seen_at": NOW}
    )[0]


def prediction(of: Capture | None = None, *, score: float = 0.6, **fields: Any) -> Prediction:
    """A prediction routed to REVIEW unless said otherwise."""
    seen = of or capture()
    values = {
        "source": "urn:test",
        "event_id": f"e-{next(_number)}",
        "body_sha256": "0" * 64,
        "event_at": NOW,
        "received_at": NOW,
        "model_version": model_version(seen.site),
        "defect_class": "scratch",
        "detections": [{"id": "1", "label": "scratch", "score": score, "box": [10, 20, 30, 40]}],
        "route": Route.REVIEW,
        "policy_version": 1,
        "inclusion_probability": 1.0,
        **fields,
    }
    return Prediction.objects.create(site=seen.site, capture=seen, score=score, **values)


def heat_map(of: Capture) -> Prediction:
    """The capture's latest prediction, with a heat map that was stored and made."""
    said = of.predictions.order_by("-id")[0]
    made = io.BytesIO()
    Image.linear_gradient("L").save(made, "PNG")
    object_store.images().put(f"{said.uuid}.png", made.getvalue())
    latest = prediction(
        of, score=said.score, heatmap_uri=f"s3://{object_store.images().bucket}/{said.uuid}.png"
    )
    heat_maps.make(prediction_id=latest.pk, at=NOW)
    return latest


def task(
    of: Inspection | None = None,
    *,
    on: Line | None = None,
    score: float = 0.6,
    deadline: datetime | None = None,
    severity: int = 1,
    kind: TaskKind = TaskKind.REVIEW,
    at: datetime = NOW,
    operators_until: datetime | None = None,
) -> ReviewTask:
    """A queued task with one capture and one prediction behind it."""
    seen = of or inspection(on=on)
    if not seen.captures.exists():
        prediction(capture(seen), score=score)
    defect_class(at=seen.site)
    draft = queue.TaskDraft(
        inspection=seen,
        kind=kind,
        score=score,
        defect_class="scratch",
        policy_version=1,
        review_from=0.3,
        contain_from=0.8,
        inclusion_probability=1.0,
        deadline=deadline or at + timedelta(minutes=15),
        severity=severity,
        operators_until=operators_until,
    )
    with audit.recorded(actor=system("test"), at=at) as trail:
        queue.open_tasks(trail=trail, drafts=[draft])
    return ReviewTask.objects.get(inspection=seen)


def tasks(count: int, **fields: Any) -> Sequence[ReviewTask]:
    """Several queued tasks."""
    return [task(**fields) for _ in range(count)]


def hold(of: Inspection, *, at: datetime | None = None, by_model: bool = False) -> Disposition:
    """The inspection's unit, held by a rule or by the model."""
    return _dispose(of, DispositionKind.HOLD, at=at, by_model=by_model)


def release(of: Inspection, *, at: datetime | None = None) -> Disposition:
    """The inspection's unit, accepted."""
    return _dispose(of, DispositionKind.ACCEPT, at=at)


def withdraw(disposition: Disposition) -> None:
    """Take it back, as an undo does."""
    with audit.recorded(actor=system("test"), at=timezone.now()) as trail:
        dispositions.withdraw(trail=trail, disposition=disposition)


def _dispose(
    of: Inspection, kind: DispositionKind, *, at: datetime | None, by_model: bool = False
) -> Disposition:
    now = at or timezone.now()
    draft = dispositions.Draft(
        inspection=of,
        kind=kind,
        decider_kind=DeciderKind.MODEL if by_model else DeciderKind.RULE,
        decider="casting 1" if by_model else "deadline",
        policy_version=1,
        reason="No verdict before the deadline.",
    )
    with audit.recorded(actor=system("test"), at=now) as trail:
        soon = timezone.now() + timedelta(minutes=1)
        [made] = dispositions.dispose_all(trail=trail, drafts=[draft], due_at=soon)
    return made
