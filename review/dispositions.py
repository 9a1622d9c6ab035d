"""What is done with a unit: recorded as its next revision and put on its way to the MES."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from governance.audit import Trail
from mes_integration import outbox
from traceability.models import (
    DeciderKind,
    Disposition,
    DispositionKind,
    DispositionWithdrawal,
    Inspection,
    ModelVersion,
    Unit,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A disposition before it has its revision."""

    inspection: Inspection
    kind: DispositionKind
    decider_kind: DeciderKind
    decider: str
    policy_version: int
    model_version: ModelVersion | None = None
    nonconformities: Sequence[dict[str, Any]] = field(default_factory=tuple)
    reason: str = ""


def dispose_all(*, trail: Trail, drafts: Sequence[Draft], due_at: datetime) -> list[Disposition]:
    """Give each draft its unit's next revision and enqueue its write-back, sent from `due_at` on.

    Locks the units in order of their id. The statements do not depend on the number of drafts.
    """
    if not drafts:
        return []
    units = {
        unit.pk: unit
        for unit in Unit.objects.select_for_update()
        .filter(pk__in={draft.inspection.unit_id for draft in drafts})
        .order_by("pk")
    }
    dispositions = []
    for draft in drafts:
        unit = units[draft.inspection.unit_id]
        unit.disposition_revision += 1
        unit.disposition = draft.kind
        dispositions.append(_disposition(draft, unit, at=trail.at))
        trail.add(
            "unit.dispose",
            subject_kind="unit",
            subject=unit.serial,
            site_id=unit.site_id,
            detail={
                "disposition": draft.kind,
                "revision": unit.disposition_revision,
                "by": draft.decider,
            },
            reason=draft.reason,
        )
    _save_units(list(units.values()))
    Disposition.objects.bulk_create(dispositions)
    outbox.enqueue_all(trail=trail, dispositions=dispositions, due_at=due_at)
    return dispositions


def _save_units(units: list[Unit]) -> None:
    if len(units) == 1:
        units[0].save(update_fields=["disposition", "disposition_revision"])
    else:
        Unit.objects.bulk_update(units, ["disposition", "disposition_revision"])


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


def _disposition(draft: Draft, unit: Unit, *, at: datetime) -> Disposition:
    draft.inspection.unit = unit
    return Disposition(
        site_id=unit.site_id,
        unit=unit,
        inspection=draft.inspection,
        revision=unit.disposition_revision,
        kind=draft.kind,
        nonconformities=list(draft.nonconformities),
        reason=draft.reason,
        decider_kind=draft.decider_kind,
        decider=draft.decider,
        decided_at=at,
        policy_version=draft.policy_version,
        model_version=draft.model_version,
    )
