"""A task closed by its verdict, in one statement with all that the verdict is recorded with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS

from governance.access import Actor
from governance.roles import Capability
from review import rulings
from review.models import TaskPurpose
from review.queue import Lease
from review.rulings import Ground
from traceability import nameplates
from traceability.models import Inspection, ModelVersion
from traceability.nameplates import Nameplate
from traceability.statements import prepared

# Closes the task if, and only if, the fence and the holder are still the ones claimed, and brings
# what the verdict is recorded with. A lease that has run out still counts while nobody else has
# taken the task; so does a tablet's whose task went back to the queue of its own station. The unit
# is locked: its disposition follows in the next statement.
TAKE: Final = f"""
WITH taken AS (
    UPDATE review_reviewtask t SET state = 'DECIDED', holder_id = NULL, lease_expires_at = NULL
    WHERE t.uuid = %(task)s AND t.fence = %(fence)s
      AND (t.state = 'LEASED' AND t.holder_id = %(holder)s
          OR %(at_line)s AND t.state = 'QUEUED' AND NOT t.is_escalated AND t.station_id =
              (SELECT d.station_id FROM governance_device d WHERE d.account_id = %(holder)s))
      AND (NOT %(at_line)s OR t.operators_until IS NOT NULL)
      AND (t.site_id = ANY(%(sites)s) OR (t.site_id, t.line_id) IN
          (SELECT * FROM unnest(%(line_sites)s::bigint[], %(lines)s::bigint[])))
    RETURNING t.*
)
SELECT t.id, t.uuid, t.fence, t.defect_class, t.policy_version, t.inclusion_probability,
    i.id, i.uuid, i.site_id, i.line_id, i.station_id, i.unit_id, i.external_id,
    i.views_expected, i.opened_at, i.settled_at,
    m.id, m.site_id, m.name, m.version, m.package_arn, m.first_seen_at,
    {nameplates.COLUMNS},
    t.purpose, t.wants_second, t.is_blind, t.second_for_scrap, t.second_for_concession,
    u.disposition <> 'HOLD' AND u.rework_since IS NULL,
    {rulings.COLUMNS}
FROM taken t
JOIN traceability_inspection i ON i.id = t.inspection_id
JOIN traceability_unit u ON u.id = t.unit_id
LEFT JOIN LATERAL (
    SELECT p.model_version_id FROM traceability_capture c
    JOIN traceability_prediction p ON p.capture_id = c.id
    WHERE c.inspection_id = t.inspection_id ORDER BY p.score DESC, p.id DESC LIMIT 1
) worst ON true
LEFT JOIN traceability_modelversion m ON m.id = worst.model_version_id
FOR UPDATE OF u
"""  # noqa: S608  # constants only
_INSPECTION: Final = (
    *("id", "uuid", "site_id", "line_id", "station_id", "unit_id", "external_id"),
    *("views_expected", "opened_at", "settled_at"),
)
_MODEL: Final = ("id", "site_id", "name", "version", "package_arn", "first_seen_at")


@dataclass(frozen=True, slots=True)
class Taken:
    """The task just closed and what its verdict is recorded with; `is_free`: its unit, locked, is
    neither held nor in rework."""

    pk: int
    uuid: UUID
    fence: int
    defect_class: str
    policy_version: int
    inclusion_probability: float
    inspection: Inspection
    model_version: ModelVersion | None
    nameplate: Nameplate
    purpose: TaskPurpose
    wants_second: bool
    is_blind: bool
    second_for_scrap: bool
    second_for_concession: bool
    is_free: bool
    ground: Ground


def take(actor: Actor, held: Lease) -> Taken | None:
    """Close the task for this holder and claim; None when it is not his, or not by this claim.

    At a tablet only what operators may judge.
    """
    at_line = held.tablet is not None
    scopes = actor.scopes_for(Capability.JUDGE_AT_LINE if at_line else Capability.REVIEW)
    values: dict[str, Any] = {
        "task": held.task,
        "fence": held.fence,
        "holder": held.tablet if at_line else actor.user_id,
        "at_line": at_line,
        "sites": [s.site_id for s in scopes if s.line_id is None],
        "line_sites": [s.site_id for s in scopes if s.line_id is not None],
        "lines": [s.line_id for s in scopes if s.line_id is not None],
    }
    with prepared() as cursor:
        cursor.execute(TAKE, values)
        row = cursor.fetchone()
    if row is None:
        return None
    inspection, model, plate = row[6:16], row[16:22], row[22:]
    purpose, wants_second, is_blind, for_scrap, for_concession, is_free = row[
        22 + nameplates.WIDTH : -rulings.WIDTH
    ]
    pk, uuid, fence, code, policy_version, chance = row[:6]
    return Taken(
        pk=pk,
        uuid=uuid,
        fence=fence,
        defect_class=code,
        policy_version=policy_version,
        inclusion_probability=chance,
        inspection=Inspection.from_db(DEFAULT_DB_ALIAS, _INSPECTION, inspection),
        model_version=(
            ModelVersion.from_db(DEFAULT_DB_ALIAS, _MODEL, model) if model[0] is not None else None
        ),
        nameplate=Nameplate.read(plate),
        purpose=TaskPurpose(purpose),
        wants_second=wants_second,
        is_blind=is_blind,
        second_for_scrap=for_scrap,
        second_for_concession=for_concession,
        is_free=is_free,
        ground=Ground.read(row[-rulings.WIDTH :]),
    )
