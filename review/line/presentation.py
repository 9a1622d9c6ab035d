"""A leased task as a tablet shows it: less than the bench does, and ready for a glove."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from labeling import catalogue
from labeling.models import DefectClass
from review.claimed import ClaimedTask
from review.presentation import tasks_as_json
from traceability.models import DispositionKind, Site


def tablet_tasks(
    tasks: Sequence[ClaimedTask], *, site: Site, lease_s: float, at: datetime
) -> list[dict[str, Any]]:
    """The tasks in the order given, with what a reject of each comes to."""
    classes = {found.code: found for found in catalogue.classes_of(site)} if tasks else {}
    return [
        _shown(whole, classes.get(task.defect_class))
        for task, whole in zip(tasks, tasks_as_json(tasks, lease_s=lease_s, at=at), strict=True)
    ]


def _shown(whole: dict[str, Any], defect: DefectClass | None) -> dict[str, Any]:
    disposition = DispositionKind(defect.default_disposition) if defect else DispositionKind.HOLD
    return {
        "id": whole["id"],
        "fence": whole["fence"],
        "lease_s": whole["lease_expires_in"],
        "question": whole["question"],
        "defect_class": whole["defect_class"],
        "defect_name": defect.name if defect else _("a defect"),
        "reject": {"disposition": disposition.value, "label": str(disposition.label)},
        "unit": {
            name: whole["unit"][name] for name in ("serial", "part_number", "part_revision", "lot")
        },
        "deadline": whole["deadline"],
        "opened_at": whole["opened_at"],
        "views_expected": whole["views_expected"],
        "views": [
            {
                name: view[name]
                for name in ("capture", "view", "width", "height", "image_url", "regions")
            }
            for view in whole["views"]
        ],
    }
