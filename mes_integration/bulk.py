"""Many write-backs sent again in one press: some by hand, or all that wait for the same reason."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Max, QuerySet
from django.utils.translation import gettext as _

from governance import unseen
from governance.access import Actor
from governance.audit import recorded
from governance.roles import Capability
from mes_integration import resolution, rests
from mes_integration.models import DeliveryAttempt, WriteBack
from mes_integration.resolution import LINE
from mes_integration.transitions import RESOLVABLE, Outcome, State
from traceability.models import Site, Unit
from traceability.refusals import Invalid

MOST: Final = 2000
"""Sent again by one press; what is left is sent by the next."""
_BATCH: Final = 200
OVERTAKABLE: Final = frozenset({State.REJECTED, State.NEEDS_PERSON})


@dataclass(frozen=True, slots=True)
class Reason:
    """What a group of write-backs has in common."""

    site: str
    target: str
    state: str
    last_error: str


def alike(*, actor: Actor, reason: Reason) -> QuerySet[WriteBack]:
    """The actor's write-backs that wait for this reason, as far as he is told that they do."""
    return (
        _own(actor)
        .filter(
            site__code=reason.site,
            target=reason.target,
            state=reason.state,
            last_error=reason.last_error,
            settled_at__isnull=True,
        )
        .exclude(unseen.about(actor))
    )


def blocked(*, actor: Actor, site: Site, target: str) -> QuerySet[WriteBack]:
    """Those that the mapping had no word for; nothing of them has left."""
    return _own(actor).filter(
        site=site,
        target=target,
        state=State.NEEDS_PERSON,
        message__isnull=True,
        delivery_attempts__outcome=Outcome.BLOCKED,
    )


def chosen(*, actor: Actor, uuids: Collection[str]) -> QuerySet[WriteBack]:
    """The actor's write-backs of these ids."""
    try:
        wanted = [UUID(text) for text in uuids]
    except ValueError as error:
        raise Invalid(_("A write-back is named by its id.")) from error
    if not wanted:
        raise Invalid(_("Tick the write-backs to send again first."))
    return _own(actor).filter(uuid__in=wanted)


def _own(actor: Actor) -> QuerySet[WriteBack]:
    return WriteBack.objects.filter(actor.within(Capability.RESOLVE_WRITE_BACKS, line=LINE))


def resend(*, actor: Actor, rows: QuerySet[WriteBack], at: datetime) -> int:
    """Send them again, each batch whole or not at all; how many, those left alone not counted.

    Left alone is what left by itself meanwhile, and what a later revision has overtaken.
    """
    found = list(rows.order_by("pk").values_list("pk", "unit_id").distinct()[:MOST])
    batches = [found[start : start + _BATCH] for start in range(0, len(found), _BATCH)]
    return sum(_resend_batch(actor, batch, at=at) for batch in batches)


def _resend_batch(actor: Actor, found: Sequence[tuple[int, int]], *, at: datetime) -> int:
    with recorded(actor=actor, at=at) as trail:
        trail.nothing_changed()
        units = sorted({unit for _pk, unit in found})
        # New revisions lock the unit: none can come between the look and the write.
        list(Unit.objects.select_for_update(no_key=True).filter(pk__in=units).order_by("pk"))
        rows = list(
            WriteBack.objects.select_for_update(of=("self",))
            .select_related("unit")
            # Not what waits to leave: the relay locks that before the older ones of its unit.
            .filter(pk__in=[pk for pk, _unit in found], state__in=RESOLVABLE)
            .order_by("pk")
        )
        newest = newest_revisions(units)
        again = [row for row in rows if _may(row, newest)]
        resting = rests.resting(again, at=at)
        before = [resolution.make_due(trail, row, rests=row.pk in resting) for row in again]
        if again:
            WriteBack.objects.bulk_update(again, ["state", "due_at"])
            # Those that are said anew have lost their message; JSON is not carried row by row.
            anew = [row.pk for row in again if row.message is None]
            WriteBack.objects.filter(pk__in=anew).update(
                message=None, profile_version=None, profile_name=None
            )
            DeliveryAttempt.objects.bulk_create(_looked_there(again, before, at=at))
    return len(again)


def newest_revisions(units: Sequence[int]) -> dict[tuple[int, str], int]:
    """The last revision of each unit that goes to each target."""
    rows = (
        WriteBack.objects.filter(unit__in=units)
        .exclude(state=State.WITHDRAWN)
        .values_list("unit_id", "target")
        .annotate(newest=Max("revision"))
        .order_by()
    )
    return {(unit, target): newest for unit, target, newest in rows}


def _may(row: WriteBack, newest: dict[tuple[int, str], int]) -> bool:
    """As `resolution.why_not_resend` has it."""
    if row.state not in RESOLVABLE:
        return False
    return row.state not in OVERTAKABLE or newest[row.unit_id, row.target] <= row.revision


def _looked_there(
    rows: Sequence[WriteBack], before: Sequence[State], *, at: datetime
) -> Iterator[DeliveryAttempt]:
    """A note for each that leaves on a person's word, because its target cannot be asked."""
    asked: dict[tuple[int, str, int | None, str | None], bool] = {}
    for row, state in zip(rows, before, strict=True):
        if state is not State.NEEDS_PERSON:
            continue
        key = (row.site_id, row.target, row.profile_version, row.profile_name)
        if key not in asked:
            asked[key] = resolution.can_be_asked(row)
        if not asked[key]:
            yield resolution.looked_there(row, at=at)
