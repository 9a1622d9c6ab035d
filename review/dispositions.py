"""What is done with a unit: recorded as its next revision and put on its way to the MES."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
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
    """A disposition before it has its revision; with a nameplate the outbox need not look it up.
    `is_free`: the unit, locked, was seen to be neither held nor in rework."""

    inspection: Inspection
    kind: DispositionKind
    decider_kind: DeciderKind
    decider: str
    policy_version: int
    model_version: ModelVersion | None = None
    nonconformities: Sequence[dict[str, Any]] = field(default_factory=tuple)
    reason: str = ""
    nameplate: Nameplate | None = None
    concession: dict[str, Any] | None = None
    is_free: bool = False


# What a unit may not become: a scrapped one stays scrapped, and none is released while a person is
# still asked about it elsewhere. The unit is locked by an earlier statement, so that this one sees
# what was decided until then.
_BECOMES: Final = """CASE
    WHEN u.disposition = 'SCRAP' THEN 'SCRAP'
    {kept}
    WHEN d.kind = 'ACCEPT' AND EXISTS (
        SELECT 1 FROM review_reviewtask t
        WHERE t.unit_id = u.id AND t.state IN ('QUEUED', 'LEASED') AND t.kind <> 'AUDIT'
        AND t.purpose IN ('FIRST', 'ADJUDICATION')
    ) THEN 'HOLD'
    ELSE d.kind END"""
# Nor is one released that is in rework still, or that a second person is asked about. A unit that
# is neither held nor in rework can be neither: who has it locked may leave this out.
_KEPT: Final = """WHEN o.too_old THEN u.disposition
    WHEN d.kind = 'ACCEPT' AND EXISTS (
        SELECT 1 FROM review_approval a WHERE a.unit_id = u.id AND a.state = 'OPEN'
    ) THEN 'HOLD'"""
# Whether a unit in rework would be released by images from before its rework: of another inspection
# than the one that sent it there, whose verdict may be overruled. Looked up for such a unit alone.
_TOO_OLD: Final = """CASE WHEN u.rework_since IS NULL OR d.kind <> 'ACCEPT' THEN false ELSE
    d.inspection_id IS DISTINCT FROM (
        SELECT x.inspection_id FROM traceability_disposition x
        WHERE x.unit_id = u.id AND x.kind = 'REWORK' AND NOT EXISTS (
            SELECT 1 FROM traceability_dispositionwithdrawal w WHERE w.disposition_id = x.id)
        ORDER BY x.revision DESC LIMIT 1)
    AND NOT EXISTS (
        SELECT 1 FROM traceability_capture c WHERE c.inspection_id = d.inspection_id
        HAVING min(c.captured_at) > u.rework_since) END"""
# When and where a hold begins; a hold that stays is as old as it was. A rework ends with what a
# later inspection comes to, not with a hold.
_ADVANCE_TO: Final = """
UPDATE traceability_unit SET disposition = b.becomes,
    disposition_revision = disposition_revision + b.times,
    rework_since = CASE WHEN b.too_old OR b.becomes = 'HOLD' THEN rework_since
        WHEN b.becomes = 'REWORK' THEN b.since END,
    held_since = CASE WHEN b.becomes = 'HOLD' THEN coalesce(held_since, b.since) END,
    held_at_station_id = CASE WHEN b.becomes <> 'HOLD' THEN NULL
        WHEN held_since IS NULL THEN b.station_id ELSE held_at_station_id END
FROM (
    SELECT u.id, d.times, d.station_id, d.since, o.too_old, {becomes} AS becomes
    FROM ({drafted}) d JOIN traceability_unit u ON u.id = d.unit_id
    CROSS JOIN LATERAL (SELECT {too_old} AS too_old) o
) b
WHERE traceability_unit.id = b.id
RETURNING b.id, site_id, serial, disposition_revision, disposition, b.too_old
"""
LOCK: Final = "SELECT id FROM traceability_unit WHERE id = ANY(%s) ORDER BY id FOR UPDATE"
_GUARDED: Final = {"becomes": _BECOMES.format(kept=_KEPT), "too_old": _TOO_OLD}
_ONE: Final = (
    "SELECT %s::text AS kind, %s::bigint AS unit_id, %s::bigint AS station_id,"
    " %s::timestamptz AS since, %s::bigint AS inspection_id, 1 AS times"
)
_ADVANCE_GUARDED: Final = _ADVANCE_TO.format(drafted=_ONE, **_GUARDED)
ADVANCE_ONE: Final = _ADVANCE_TO.format(
    drafted=_ONE, becomes=_BECOMES.format(kept=""), too_old="false"
)
# One that is drafted twice rises by two; the last draft of a unit is the one in force.
_ADVANCE: Final = _ADVANCE_TO.format(
    drafted="""
    SELECT unit_id, count(*) AS times, (array_agg(kind ORDER BY nth DESC))[1] AS kind,
        (array_agg(station_id ORDER BY nth DESC))[1] AS station_id, %s::timestamptz AS since,
        (array_agg(inspection_id ORDER BY nth DESC))[1] AS inspection_id
    FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[])
        WITH ORDINALITY AS drafted(kind, unit_id, station_id, inspection_id, nth)
    GROUP BY unit_id""",
    **_GUARDED,
)
_FORESEE: Final = f"""
SELECT {_GUARDED["becomes"]}, o.too_old FROM ({_ONE}) d JOIN traceability_unit u ON u.id = d.unit_id
CROSS JOIN LATERAL (SELECT {_TOO_OLD} AS too_old) o
"""  # noqa: S608  # our own text


def dispose_all(
    *,
    trail: Trail,
    drafts: Sequence[Draft],
    due_at: datetime,
    units_are_locked: bool = False,
    without: Collection[str] = (),
) -> list[Disposition]:
    """Give each draft its unit's next revision and enqueue its write-back, sent from `due_at` on.

    A scrapped unit stays scrapped, one in rework is released by later images alone, and an ACCEPT
    is a HOLD while another question about the unit is open. Locks the units in order of their id,
    unless the caller did in an earlier statement.
    Targets in `without` are not told.
    The statements do not depend on the number of drafts.
    """
    if not drafts:
        return []
    units = _advance(drafts, units_are_locked=units_are_locked, at=trail.at)
    left = Counter(draft.inspection.unit_id for draft in drafts)
    dispositions = []
    for draft in drafts:
        _pk, site_id, serial, last, becomes, too_old = units[draft.inspection.unit_id]
        left[draft.inspection.unit_id] -= 1
        revision = last - left[draft.inspection.unit_id]
        kind, reason = _kept(draft, DispositionKind(becomes), is_too_old=too_old)
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
        without=without,
    )
    return dispositions


def _advance(
    drafts: Sequence[Draft], *, units_are_locked: bool, at: datetime
) -> dict[int, tuple[int, int, str, int, str, bool]]:
    """Each unit's (id, site, serial, last revision, disposition, whether images from before its
    rework would have released it) after all its drafts."""
    kinds = [str(draft.kind) for draft in drafts]
    units = [draft.inspection.unit_id for draft in drafts]
    stations = [draft.inspection.station_id for draft in drafts]
    inspections = [draft.inspection.pk for draft in drafts]
    with prepared() as cursor:
        if not units_are_locked:
            cursor.execute(LOCK, [units])
        if len(drafts) == 1:
            advance = ADVANCE_ONE if drafts[0].is_free else _ADVANCE_GUARDED
            cursor.execute(advance, [kinds[0], units[0], stations[0], at, inspections[0]])
        else:
            cursor.execute(_ADVANCE, [at, kinds, units, stations, inspections])
        return {row[0]: row for row in cursor.fetchall()}


def _kept(
    draft: Draft, becomes: DispositionKind, *, is_too_old: bool
) -> tuple[DispositionKind, str]:
    """What the draft comes to when its unit becomes this, and why."""
    if becomes is DispositionKind.SCRAP and draft.kind is not DispositionKind.SCRAP:
        return DispositionKind.SCRAP, _("Scrapped before; a scrapped unit stays scrapped.")
    if is_too_old:
        return becomes, _("In rework: only images taken after the rework was decided release it.")
    if draft.kind is DispositionKind.ACCEPT and becomes is DispositionKind.HOLD:
        return DispositionKind.HOLD, _("Held until the other question about this unit is answered.")
    return draft.kind, draft.reason


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a draft would come to, and why. `is_too_old`: its images are from before the rework."""

    kind: DispositionKind
    reason: str
    is_too_old: bool


def foreseen(draft: Draft, *, at: datetime) -> Foreseen:
    """What the draft would come to now; changes and locks nothing."""
    inspection = draft.inspection
    values: list[Any] = [
        str(draft.kind),
        inspection.unit_id,
        inspection.station_id,
        at,
        inspection.pk,
    ]
    with prepared() as cursor:
        cursor.execute(_FORESEE, values)
        [(becomes, too_old)] = cursor.fetchall()
    kind, reason = _kept(draft, DispositionKind(becomes), is_too_old=too_old)
    return Foreseen(kind, reason, too_old)


def withdraw(*, trail: Trail, disposition: Disposition) -> Disposition | None:
    """Take back a disposition nobody outside has heard of; returns the one that stands instead.

    Raises Conflict when the write-back has already left.
    """
    unit = Unit.objects.select_for_update().get(pk=disposition.unit_id)
    outbox.withdraw(trail=trail, disposition=disposition)
    DispositionWithdrawal.objects.create(
        site_id=disposition.site_id, disposition=disposition, at=trail.at
    )
    standing = list(
        Disposition.objects.filter(unit=unit, withdrawal__isnull=True)
        .select_related("inspection")
        .order_by("-revision")
    )
    before = standing[0] if standing else None
    unit.disposition = before.kind if before else ""
    unit.held_since, unit.held_at_station_id = _hold_of(standing)
    unit.rework_since = _rework_of(standing)
    unit.save(update_fields=["disposition", "held_since", "held_at_station", "rework_since"])
    trail.add(
        "unit.withdraw_disposition",
        subject_kind="unit",
        subject=unit.serial,
        site_id=unit.site_id,
        detail={"revision": disposition.revision, "disposition": unit.disposition},
    )
    return before


def _hold_of(standing: Sequence[Disposition]) -> tuple[datetime | None, int | None]:
    """Since when, and where from, a unit with these dispositions is held; the newest come first."""
    holds = list(takewhile(lambda each: each.kind == DispositionKind.HOLD, standing))
    return (holds[-1].decided_at, holds[-1].inspection.station_id) if holds else (None, None)


def _rework_of(standing: Sequence[Disposition]) -> datetime | None:
    """Since when a unit with these dispositions is in rework; the newest come first."""
    last = next((each for each in standing if each.kind != DispositionKind.HOLD), None)
    return last.decided_at if last and last.kind == DispositionKind.REWORK else None


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
        concession=draft.concession if kind is DispositionKind.ACCEPT else None,
    )
