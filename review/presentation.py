"""A claimed task as the bench shows it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from labeling import criteria
from review import opinions
from review.claimed import ClaimedTask
from review.models import TaskKind
from traceability import heat_maps, images, pyramids
from traceability.models import Capture


def tasks_as_json(
    tasks: Sequence[ClaimedTask], *, lease_s: float, at: datetime
) -> list[dict[str, Any]]:
    """The Task objects of the API, in the order given. `at` dates the image addresses."""
    return [_task(task, lease_s=lease_s, at=at) for task in tasks]


def _task(task: ClaimedTask, *, lease_s: float, at: datetime) -> dict[str, Any]:
    plate = task.nameplate
    worst = max(task.views, key=lambda view: float(view["score"]), default={})
    shown = {
        "id": str(task.uuid),
        "fence": task.fence,
        "lease_expires_in": lease_s,
        "kind": task.kind,
        "question": question(task),
        "deadline": task.deadline.isoformat(),
        "opened_at": task.opened_at.isoformat(),
        "is_escalated": task.is_escalated,
        "unit": {
            "serial": plate.serial,
            "part_number": plate.part_number,
            "part_revision": plate.part_revision,
            "lot": plate.lot,
            "supplier": plate.supplier,
        },
        "station": {"site": plate.site, "line": plate.line, "station": plate.station},
        "score": task.score,
        "policy": {
            "version": task.policy_version,
            "review_from": task.review_from,
            "contain_from": task.contain_from,
        },
        "defect_class": task.defect_class or None,
        "model": {"name": worst.get("model"), "version": worst.get("version")},
        "views_expected": task.views_expected,
        "criteria": _criteria(task),
        "views": [
            {**_view(view, at=at), "zones": _zones(task, view["view"])} for view in task.views
        ],
        "comments": list(task.comments or ()),
    }
    return opinions.as_seen(task, shown)


def _held_to(task: ClaimedTask) -> criteria.Criteria:
    return criteria.version(site_id=task.site_id, number=task.criteria_version or 0)


def _criteria(task: ClaimedTask) -> dict[str, Any] | None:
    """The severity rules that may hold for the part; None where the site has no criteria."""
    held = _held_to(task)
    if held is criteria.NONE:
        return None
    rules = held.rules_for(part_number=task.nameplate.part_number or "")
    return {"version": held.version, "rules": [rule.as_json() for rule in rules]}


def _zones(task: ClaimedTask, view: str) -> list[dict[str, Any]]:
    """The part's zones in a view."""
    plate = task.nameplate
    zones = _held_to(task).zones_on(
        part_number=plate.part_number or "", part_revision=plate.part_revision or ""
    )
    return [
        {
            "name": zone.name,
            "severity": str(zone.severity),
            "polygon": [list(point) for point in zone.polygon],
        }
        for zone in zones
        if zone.view == view
    ]


def question(task: ClaimedTask) -> str:
    """What the inspector is asked, in words."""
    if task.kind == TaskKind.CAPTURE_CHECK and _is_unfit(task):
        return _("An image is not fit to judge, so the unit stays on hold. Do you see a defect?")
    if task.kind == TaskKind.AUDIT:
        return _("Audit sample: is this part good?")
    name = task.defect_class.replace("_", " ")
    if task.kind == TaskKind.CONTAIN:
        return _("The model is sure: %(defect)s. Is it?") % {"defect": name or _("a defect")}
    return _("Is this %(defect)s?") % {"defect": name} if name else _("Is this part defective?")


def _is_unfit(task: ClaimedTask) -> bool:
    """Whether the latest image of any view is not fit to judge."""
    latest = {view["view"]: view for view in task.views}
    return any(view["quality"].get("verdict") == "unfit" for view in latest.values())


def _view(view: dict[str, Any], *, at: datetime) -> dict[str, Any]:
    return {
        "capture": view["capture"],
        "view": view["view"],
        "width": view["width"],
        "height": view["height"],
        "image_url": images.address_of(UUID(view["capture"]), at=at),
        "score": view["score"],
        "captured_at": view["captured_at"],
        "quality": view["quality"],
        "preview": view["preview"],
        "tiles": _tiles(view, at=at),
        "tiles_state": view["tiles"],
        "golden": _golden(view["golden"], at=at),
        "heatmap_url": _heat_map(view["heat_map"], at=at),
        "regions": [
            {
                "id": detection.get("id") or str(number),
                "label": detection["label"],
                "score": detection["score"],
                "box": detection.get("box"),
                "polygon": detection.get("polygon"),
            }
            for number, detection in enumerate(view["detections"])
        ],
    }


def _tiles(picture: dict[str, Any], *, at: datetime) -> dict[str, Any] | None:
    """The tiles of a view or of its reference image, once they are made."""
    if picture["tiles"] != Capture.Tiles.READY:
        return None
    return pyramids.shown(
        UUID(picture["capture"]),
        depth=picture["depth"],
        levels=picture["levels"],
        low=picture["low"],
        high=picture["high"],
        at=at,
    )


def _golden(reference: dict[str, Any] | None, *, at: datetime) -> dict[str, Any] | None:
    """The image of a good part in the same view, to be shown beside."""
    if reference is None:
        return None
    return {
        "image_url": images.address_of(UUID(reference["capture"]), at=at),
        "width": reference["width"],
        "height": reference["height"],
        "tiles": _tiles(reference, at=at),
    }


def _heat_map(prediction: str | None, *, at: datetime) -> str | None:
    return heat_maps.address_of(UUID(prediction), at=at) if prediction else None
