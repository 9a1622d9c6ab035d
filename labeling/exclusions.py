"""Inspections whose images stay out of every dataset version from now on."""

from __future__ import annotations

from governance.audit import Trail
from labeling.models import Exclusion
from traceability.models import Inspection


def exclude(*, trail: Trail, inspection: Inspection, reason: str) -> Exclusion:
    """Keep the inspection's images out of what is published later; versions of before stay."""
    excluded, is_new = Exclusion.objects.get_or_create(
        inspection=inspection,
        defaults={"site_id": inspection.site_id, "reason": reason[:300], "at": trail.at},
    )
    if is_new:
        trail.add(
            "label.exclude",
            subject_kind="inspection",
            subject=inspection.external_id,
            site_id=inspection.site_id,
            reason=reason,
        )
    return excluded
