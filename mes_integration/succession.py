"""A unit's next word at a target: whether what is held or may be there already lets it follow."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext as _

from governance.audit import Trail
from mes_integration import journal, transitions
from mes_integration.mapping import Capabilities
from mes_integration.models import DeliveryAttempt, MesChange, WriteBack
from mes_integration.transitions import MAY_HAVE_ARRIVED, Outcome, State


def may_follow(trail: Trail, row: WriteBack, can: Capabilities) -> bool:
    """Whether what the target holds of the unit lets this one leave now; else the row says why."""
    if row.revision > 1 and not _follows_what_is_held(trail, row, can):
        return False
    if row.attempts and _may_be_overtaken(row):
        sentence = _("Not sent: a later revision of this unit may be there already.")
        journal.set_aside(trail, row, State.SUPERSEDED, Outcome.BLOCKED, sentence)
        return False
    return True


def _follows_what_is_held(trail: Trail, row: WriteBack, can: Capabilities) -> bool:
    held = (
        WriteBack.objects.filter(
            unit=row.unit_id,
            target=row.target,
            revision__lt=row.revision,
            state=State.ACKNOWLEDGED,
        )
        .select_related("disposition", "unit")
        .order_by("-revision")
        .first()
    )
    if held is None:
        return True
    if _verdict(held) in can.terminal_verdicts and not _was_changed_there(held):
        _after_the_last(trail, row, held)
        return False
    free_at = (held.settled_at or trail.at) + timedelta(seconds=can.max_processing_s)
    if not can.ordered and free_at > trail.at:
        WriteBack.objects.filter(pk=row.pk).update(due_at=free_at)
        return False
    return True


def _was_changed_there(held: WriteBack) -> bool:
    """Whether the target has said since that it was not so final; a person has answered that."""
    return MesChange.objects.filter(
        unit=held.unit_id,
        target=held.target,
        about=MesChange.About.DISPOSITION,
        state__in=[MesChange.State.OURS_STANDS, MesChange.State.THEIRS_STANDS],
        resolved_at__gte=held.settled_at,
    ).exists()


def _may_be_overtaken(row: WriteBack) -> bool:
    """Whether a later revision may have left already: a restored backup has forgotten it."""
    arrived = DeliveryAttempt.objects.filter(
        write_back=OuterRef("pk"), outcome__in=MAY_HAVE_ARRIVED
    )
    later = WriteBack.objects.filter(unit=row.unit_id, target=row.target, revision__gt=row.revision)
    return later.filter(Q(state=State.ACKNOWLEDGED) | Q(Exists(arrived))).exists()


def _verdict(row: WriteBack) -> str:
    return "CONCESSION" if row.disposition.concession else row.disposition.kind


def _after_the_last(trail: Trail, row: WriteBack, held: WriteBack) -> None:
    """The target's word on the unit is final: the same again is held already, another is not."""
    if _verdict(row) == _verdict(held):
        sentence = _("The target holds the same verdict already, and it is final there.")
        journal.set_aside(
            trail, row, State.ACKNOWLEDGED, Outcome.APPLIED, sentence, reference=held.reference
        )
        return
    sentence = _(
        "The target holds %(verdict)s for this unit, which is final there. Have it changed there, "
        "then settle this one."
    ) % {"verdict": _verdict(held)}
    journal.set_aside(trail, row, State.NEEDS_PERSON, Outcome.BLOCKED, sentence)


def supersede(trail: Trail, earlier: Sequence[WriteBack], *, by: WriteBack) -> None:
    """Close the unit's earlier revisions that never left, which the caller has locked."""
    for before in earlier:
        transitions.check(State(before.state), State.SUPERSEDED)
        trail.add(
            "write_back.supersede",
            subject_kind="unit",
            subject=before.unit.serial,
            site_id=before.site_id,
            detail={
                "write_back": str(before.uuid),
                "revision": before.revision,
                "by": by.revision,
            },
        )
    if earlier:
        WriteBack.objects.filter(pk__in=[before.pk for before in earlier]).update(
            state=State.SUPERSEDED, settled_at=trail.at
        )
