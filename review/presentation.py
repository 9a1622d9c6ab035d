"""A claimed task as the bench shows it: everything in two queries whatever the number of tasks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from review.models import ReviewTask, TaskKind
from traceability import images
from traceability.models import Disposition, Prediction


def tasks_as_json(
    tasks: Sequence[ReviewTask], *, lease_s: float, at: datetime
) -> list[dict[str, Any]]:
    """The Task objects of the API, in the order given. `at` dates the image addresses."""
    predictions = _predictions(tasks)
    history = _history(tasks)
    return [
        _task(task, predictions[task.inspection_id], history[task.unit_id], lease_s=lease_s, at=at)
        for task in tasks
    ]


def _predictions(tasks: Sequence[ReviewTask]) -> dict[int, list[Prediction]]:
    """The latest prediction of each capture, by inspection."""
    found: dict[int, dict[int, Prediction]] = defaultdict(dict)
    rows = (
        Prediction.objects.filter(capture__inspection__in=[t.inspection_id for t in tasks])
        .select_related("capture", "model_version")
        .order_by("capture__view", "capture__captured_at", "id")
    )
    for prediction in rows:
        found[prediction.capture.inspection_id][prediction.capture_id] = prediction
    return defaultdict(list, {key: list(value.values()) for key, value in found.items()})


def _history(tasks: Sequence[ReviewTask]) -> dict[int, list[Disposition]]:
    """Earlier dispositions of the tasks' units, latest first; no query when there are none."""
    units = [task.unit_id for task in tasks if task.unit.disposition_revision]
    found: dict[int, list[Disposition]] = defaultdict(list)
    if units:
        for disposition in Disposition.objects.filter(
            unit__in=units, withdrawal__isnull=True
        ).order_by("-revision"):
            found[disposition.unit_id].append(disposition)
    return found


def _task(
    task: ReviewTask,
    predictions: Sequence[Prediction],
    history: Sequence[Disposition],
    *,
    lease_s: float,
    at: datetime,
) -> dict[str, Any]:
    unit, station = task.unit, task.inspection.station
    worst = max(predictions, key=lambda p: p.score, default=None)
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
            "serial": unit.serial,
            "part_number": unit.part_revision.part_number.number if unit.part_revision else None,
            "part_revision": unit.part_revision.revision if unit.part_revision else None,
            "lot": unit.lot.code if unit.lot else None,
            "supplier": unit.supplier.code if unit.supplier else None,
        },
        "station": {
            "site": task.site.code,
            "line": task.line.code,
            "station": station.code if station else None,
        },
        "score": task.score,
        "policy": {
            "version": task.policy_version,
            "review_from": task.review_from,
            "contain_from": task.contain_from,
        },
        "defect_class": task.defect_class or None,
        "model": {
            "name": worst.model_version.name if worst else None,
            "version": worst.model_version.version if worst else None,
        },
        "views": [_view(prediction, at=at) for prediction in predictions],
        "history": [
            {"at": d.decided_at.isoformat(), "by": d.decider, "what": d.get_kind_display()}
            for d in history
        ],
    }


def question(task: ReviewTask) -> str:
    """What the inspector is asked, in words."""
    if task.kind == TaskKind.CAPTURE_CHECK:
        return _("The image is not fit to judge. Can you judge the part all the same?")
    if task.kind == TaskKind.AUDIT:
        return _("Audit sample: is this part good?")
    name = task.defect_class.replace("_", " ")
    if task.kind == TaskKind.CONTAIN:
        return _("The model is sure: %(defect)s. Is it?") % {"defect": name or _("a defect")}
    return _("Is this %(defect)s?") % {"defect": name} if name else _("Is this part defective?")


def _view(prediction: Prediction, *, at: datetime) -> dict[str, Any]:
    capture = prediction.capture
    return {
        "capture": str(capture.uuid),
        "view": capture.view,
        "width": capture.width,
        "height": capture.height,
        "image_url": images.address(capture, at=at),
        "score": prediction.score,
        "captured_at": capture.captured_at.isoformat(),
        "quality": capture.quality,
        "regions": [
            {
                "id": detection.get("id") or str(number),
                "label": detection["label"],
                "score": detection["score"],
                "box": detection.get("box"),
                "polygon": detection.get("polygon"),
            }
            for number, detection in enumerate(prediction.detections)
        ],
    }
