"""Who made which image the reference of a part revision, with its audit entry."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.utils.translation import gettext as _

from governance.access import Actor
from governance.audit import recorded
from governance.roles import Capability
from traceability import references
from traceability.models import Capture, Reference
from traceability.refusals import Unknown


def make_reference(*, actor: Actor, capture: UUID, at: datetime) -> Capture:
    """Make this capture the reference image of its part revision and view. Raises Unknown."""
    allowed = actor.within(Capability.SET_REFERENCES, line="inspection__line_id")
    chosen = (
        Capture.objects.filter(allowed, uuid=capture)
        .select_related("inspection__unit__part_revision__part_number", "site")
        .first()
    )
    if chosen is None:
        raise Unknown(_("There is no such image for you."))
    with recorded(actor=actor, at=at) as trail:
        before = _before(chosen)
        made = references.set_reference(capture=chosen, by=actor.name, at=at)
        trail.add(
            "reference.set",
            subject_kind="capture",
            subject=chosen.uuid,
            site_id=chosen.site_id,
            detail={
                "part": str(made.part_revision),
                "view": made.view,
                "before": str(before.capture.uuid) if before else None,
            },
        )
    return chosen


def _before(capture: Capture) -> Reference | None:
    return (
        Reference.objects.filter(
            part_revision=capture.inspection.unit.part_revision_id, view=capture.view
        )
        .select_related("capture")
        .order_by("-id")
        .first()
    )
