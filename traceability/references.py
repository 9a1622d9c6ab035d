"""The reference image of a part revision in one view: what a good part looks like."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db.models import Max
from django.utils.translation import gettext as _

from traceability.models import Capture, Reference
from traceability.refusals import Conflict


def set_reference(*, capture: Capture, by: str, at: datetime) -> Reference:
    """Hold the part revision against this capture from now on, in the capture's own view.

    Raises Conflict when nobody can see the image, or the unit's part revision is not known.
    """
    if capture.preview != Capture.Preview.READY:
        raise Conflict(
            capture.preview_refusal
            or _("The image is still being made ready. Try again in a moment."),
            code="image_not_ready",
        )
    revision = capture.inspection.unit.part_revision_id
    if revision is None:
        raise Conflict(
            _("The unit has no part number. A reference image stands for one part revision."),
            code="part_unknown",
        )
    return Reference.objects.create(
        site_id=capture.site_id,
        part_revision_id=revision,
        view=capture.view,
        capture=capture,
        set_by=by,
        set_at=at,
    )


def in_force(*, part_revision_id: int | None) -> Collection[int]:
    """The captures that are the reference of some view of this part revision."""
    if part_revision_id is None:
        return set()
    latest = (
        Reference.objects.filter(part_revision_id=part_revision_id)
        .values("view")
        .annotate(latest=Max("id"))
        .values("latest")
    )
    return set(Reference.objects.filter(pk__in=latest).values_list("capture_id", flat=True))
