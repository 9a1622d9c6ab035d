"""What is done with a unit: recorded as its next revision and put on its way to the MES."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.utils.translation import gettext as _

from governance.audit import Trail
from mes_integration import outbox
from traceability.inserts import insert_all
from traceability.models import (
    DeciderKind,
    Disposition,
    DispositionKind,
    DispositionWithdrawal,
    Inspection,
    ModelVersion,
    Unit,
)
from traceability.nameplates import Nameplate
from traceability.statements import prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A disposition before it has its revision; with a nameplate the outbox need not look it up."""

    inspection: Inspection
    kind: DispositionKind
    decider_kind: DeciderKind
    decider: str
    policy_version: int
    model_version: ModelVersion | None = None
    nonconformities: Sequence[dict[str, Any]] = field(default_factory=tuple)
    reason: str = ""
    nameplate: Nameplate | None = None


# What a unit may not become: a scrapped one stays scrapped, and none is released while a person is
# still asked about it elsewhere. The unit is locked by an earlier statement, so that this one sees
# what was decided until then.
_BECOMES: Final = """CASE
    WHEN u.disposition = 'SCRAP' THEN 'SCRAP'
    WHEN d.kind = 'ACCEPT' AND EXISTS (
        SELECT 1 FROM review_reviewtask t
        WHERE t.unit_id = u.id AND t.state IN ('QUEUED', 'LEASED') AND t.kind <> 'AUDIT'
    ) THEN 'HOLD'
    ELSE d.kind END"""
LOCK: Final = "SELECT id FROM traceability_unit WHERE id = ANY(%s) ORDER BY id FOR UPDATE"
ADVANCE_ONE: Final = f"""
UPDATE traceability_unit u
SET disposition = {_BECOMES}, disposition_revision = u.disposition_revision + 1
FROM (SELECT %s::text AS kind) d
WHERE u.id = %s RETURNING u.id, u.site_id, u.serial, u.disposition_revision, u.disposition
"""  # noqa: S608  # constants only
# One that is drafted twice rises by two; the last draft of a unit is the one in force.
_ADVANCE: Final = f"""
WITH d AS (
    SELECT unit_id, count(*) AS times, (array_agg(kind ORDER BY nth DESC))[1] AS kind
    FROM unnest(%s::text[], %s::bigint[]) WITH ORDINALITY AS drafted(kind, unit_id, nth)
    GROUP BY unit_id
)
UPDATE traceability_unit u
SET disposition = {_BECOMES}, disposition_revision = u.disposition_revision + d.times
FROM d WHERE u.id = d.unit_id
RETURNING u.id, u.site_id, u.serial, u.disposition_revision, u.disposition
"""  # noqa: S608  # constants only


def dispose_all(
    *, trail: Trail, drafts: Sequence[Draft], due_at: datetime, units_are_locked: bool = False
) -> list[Disposition]:
    """Give each draft its unit's next revision and enqueue its write-back, sent from `due_at` on.

    A scrapped unit stays scrapped, and an ACCEPT is a HOLD while another question about the unit
    is open. Locks the units in order of their id, unless the caller did in an earlier statement.
    The statements do not depend on the number of drafts.
    """
    if not drafts:
        return []
    units = _advance(drafts, units_are_locked=units_are_locked)
    left = Counter(draft.inspection.unit_id for draft in drafts)
    dispositions = []
    for draft in drafts:
        _pk, site_id, serial, last, becomes = units[draft.inspection.unit_id]
        left[draft.inspection.unit_id] -= 1
        revision = last - left[draft.inspection.unit_id]
        kind, reason = _kept(draft, DispositionKind(becomes))
        dispositions.append(
            _disposition(
                draft, kind=kind, reason=reason, site_id=site_id, revision=revision, at=trail.at
            )
        )
        trail.add(
            "unit.dispose",
            subject_kind="unit",
            subject=serial,
            site_id=site_id,
            detail={"disposition": kind, "revision": revision, "by": draft.decider},
            reason=reason,
        )
    insert_all(dispositions)
    outbox.enqueue_all(
        trail=trail,
        dispositions=dispositions,
        due_at=due_at,
        nameplates={d.inspection.pk: d.nameplate for d in drafts if d.nameplate is not None},
    )
    return dispositions


def _advance(
    drafts: Sequence[Draft], *, units_are_locked: bool
) -> dict[int, tuple[int, int, str, int, str]]:
    """Each unit's (id, site, serial, last revision, disposition) after all its drafts."""
    kinds = [str(draft.kind) for draft in drafts]
    units = [draft.inspection.unit_id for draft in drafts]
    with prepared() as cursor:
        if not units_are_locked:
            cursor.execute(LOCK, [units])
        if len(drafts) == 1:
            cursor.execute(ADVANCE_ONE, [kinds[0], units[0]])
        else:
            cursor.execute(_ADVANCE, [kinds, units])
        return {row[0]: row for row in cursor.fetchall()}


def _kept(draft: Draft, becomes: DispositionKind) -> tuple[DispositionKind, str]:
    """What the draft comes to when its unit becomes this, and why."""
    if becomes is DispositionKind.SCRAP and draft.kind is not DispositionKind.SCRAP:
        return DispositionKind.SCRAP, _("Scrapped before; a scrapped unit stays scrapped.")
    if draft.kind is DispositionKind.ACCEPT and becomes is DispositionKind.HOLD:
        return DispositionKind.HOLD, _("Held until the other question about this unit is answered.")
    return draft.kind, draft.reason


def withdraw(*, trail: Trail, disposition: Disposition) -> Disposition | None:
    """Take back a disposition nobody outside has heard of; returns the one that stands instead.

    Raises Conflict when the write-back has already left.
    """
    unit = Unit.objects.select_for_update().get(pk=disposition.unit_id)
    outbox.withdraw(trail=trail, disposition=disposition)
    DispositionWithdrawal.objects.create(
        site_id=disposition.site_id, disposition=disposition, at=trail.at
    )
    before = (
        Disposition.objects.filter(unit=unit, withdrawal__isnull=True).order_by("-revision").first()
    )
    unit.disposition = before.kind if before else ""
    unit.save(update_fields=["disposition"])
    trail.add(
        "unit.withdraw_disposition",
        subject_kind="unit",
        subject=unit.serial,
        site_id=unit.site_id,
        detail={"revision": disposition.revision, "disposition": unit.disposition},
    )
    return before


def _disposition(
    draft: Draft,
    *,
    kind: DispositionKind,
    reason: str,
    site_id: int,
    revision: int,
    at: datetime,
) -> Disposition:
    return Disposition(
        site_id=site_id,
        unit_id=draft.inspection.unit_id,
        inspection=draft.inspection,
        revision=revision,
        kind=kind,
        nonconformities=list(draft.nonconformities),
        reason=reason,
        decider_kind=draft.decider_kind,
        decider=draft.decider,
        decided_at=at,
        policy_version=draft.policy_version,
        model_version=draft.model_version,
    )
