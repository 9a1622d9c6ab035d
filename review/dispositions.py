"""What is done with a unit: recorded as its next revision and put on its way to the MES."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

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


ADVANCE_ONE: Final = """
UPDATE traceability_unit SET disposition = %s, disposition_revision = disposition_revision + 1
WHERE id = %s RETURNING id, site_id, serial, disposition_revision
"""
# The units are locked in the order of their ids, so that two batches cannot wait for each other.
# One that is drafted twice rises by two; the last draft of a unit is the one in force.
_ADVANCE: Final = """
WITH drafted AS (
    SELECT unit_id, count(*) AS times, (array_agg(kind ORDER BY nth DESC))[1] AS kind
    FROM unnest(%s::text[], %s::bigint[]) WITH ORDINALITY AS d(kind, unit_id, nth)
    GROUP BY unit_id
), locked AS MATERIALIZED (
    SELECT id FROM traceability_unit WHERE id IN (SELECT unit_id FROM drafted)
    ORDER BY id FOR UPDATE
)
UPDATE traceability_unit u
SET disposition = d.kind, disposition_revision = u.disposition_revision + d.times
FROM locked JOIN drafted d ON d.unit_id = locked.id WHERE u.id = locked.id
RETURNING u.id, u.site_id, u.serial, u.disposition_revision
"""


def dispose_all(*, trail: Trail, drafts: Sequence[Draft], due_at: datetime) -> list[Disposition]:
    """Give each draft its unit's next revision and enqueue its write-back, sent from `due_at` on.

    Locks the units in order of their id. The statements do not depend on the number of drafts.
    """
    if not drafts:
        return []
    units = _advance(drafts)
    left = Counter(draft.inspection.unit_id for draft in drafts)
    dispositions = []
    for draft in drafts:
        _pk, site_id, serial, last = units[draft.inspection.unit_id]
        left[draft.inspection.unit_id] -= 1
        revision = last - left[draft.inspection.unit_id]
        dispositions.append(_disposition(draft, site_id=site_id, revision=revision, at=trail.at))
        trail.add(
            "unit.dispose",
            subject_kind="unit",
            subject=serial,
            site_id=site_id,
            detail={"disposition": draft.kind, "revision": revision, "by": draft.decider},
            reason=draft.reason,
        )
    insert_all(dispositions)
    outbox.enqueue_all(
        trail=trail,
        dispositions=dispositions,
        due_at=due_at,
        nameplates={d.inspection.pk: d.nameplate for d in drafts if d.nameplate is not None},
    )
    return dispositions


def _advance(drafts: Sequence[Draft]) -> dict[int, tuple[int, int, str, int]]:
    """Each unit's (id, site, serial, last revision) after all its drafts."""
    kinds = [str(draft.kind) for draft in drafts]
    units = [draft.inspection.unit_id for draft in drafts]
    with prepared() as cursor:
        if len(drafts) == 1:
            cursor.execute(ADVANCE_ONE, [kinds[0], units[0]])
        else:
            cursor.execute(_ADVANCE, [kinds, units])
        return {row[0]: row for row in cursor.fetchall()}


def withdraw(*, trail: Trail, disposition: Disposition) -> None:
    """Take back a disposition nobody outside has heard of; the unit's previous one holds again.

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


def _disposition(draft: Draft, *, site_id: int, revision: int, at: datetime) -> Disposition:
    return Disposition(
        site_id=site_id,
        unit_id=draft.inspection.unit_id,
        inspection=draft.inspection,
        revision=revision,
        kind=draft.kind,
        nonconformities=list(draft.nonconformities),
        reason=draft.reason,
        decider_kind=draft.decider_kind,
        decider=draft.decider,
        decided_at=at,
        policy_version=draft.policy_version,
        model_version=draft.model_version,
    )
