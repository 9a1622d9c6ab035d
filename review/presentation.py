"""A claimed task as the bench shows it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from review.claimed import ClaimedTask
from review.models import TaskKind
from traceability import images
from traceability.models import DispositionKind


def tasks_as_json(
    tasks: Sequence[ClaimedTask], *, lease_s: float, at: datetime
) -> list[dict[str, Any]]:
    """The Task objects of the API, in the order given. `at` dates the image addresses."""
    return [_task(task, lease_s=lease_s, at=at) for task in tasks]


def _task(task: ClaimedTask, *, lease_s: float, at: datetime) -> dict[str, Any]:
    plate = task.nameplate
    worst = max(task.views, key=lambda view: float(view["score"]), default={})
    return {
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
        "views": [_view(view, at=at) for view in task.views],
        "history": [
            {"at": past["at"], "by": past["by"], "what": str(DispositionKind(past["kind"]).label)}
            for past in task.history
        ],
    }


def question(task: ClaimedTask) -> str:
    """What the inspector is asked, in words."""
    if task.kind == TaskKind.CAPTURE_CHECK:
        return _("The image is not fit to judge. Can you judge the part all the same?")
    if task.kind == TaskKind.AUDIT:
        return _("Audit sample: is this part good?")
    name = task.defect_class.replace("_", " ")
    if task.kind == TaskKind.CONTAIN:
        return _("The model is sure: %(defect)s. Is it?") % {"defect": name or _("a defect")}
    return _("Is this %(defect)s?") % {"defect": name} if name else _("Is this part defective?")


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
