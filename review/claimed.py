"""A claimed task with all the bench shows of it, in one statement.

Models with their relations cost as much time as the whole rest of a claim; the rows are read by
hand instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from traceability import nameplates
from traceability.nameplates import Nameplate

# {source} is the table of tasks, or the rows an UPDATE has just returned. Of each capture only
# the latest prediction is shown; what was taken back is no part of a unit's history.
SELECT: Final = f"""
SELECT t.id, t.uuid, t.site_id, t.fence, t.state, t.holder_id, t.kind, t.score, t.defect_class,
    t.policy_version, t.review_from, t.contain_from, t.opened_at, t.deadline, t.is_escalated,
    (SELECT json_agg(json_build_object('capture', v.uuid, 'view', v.view, 'width', v.width,
            'height', v.height, 'captured_at', v.captured_at, 'quality', v.quality,
            'score', v.score, 'detections', v.detections, 'model', v.name, 'version', v.version)
            ORDER BY v.view, v.captured_at, v.id)
        FROM (SELECT DISTINCT ON (c.id) c.id, c.uuid, c.view, c.width, c.height, c.captured_at,
                c.quality, p.score, p.detections, m.name, m.version
            FROM traceability_capture c JOIN traceability_prediction p ON p.capture_id = c.id
            JOIN traceability_modelversion m ON m.id = p.model_version_id
            WHERE c.inspection_id = t.inspection_id ORDER BY c.id, p.id DESC) v),
    CASE WHEN u.disposition_revision > 0 THEN
        (SELECT json_agg(json_build_object('at', d.decided_at, 'by', d.decider, 'kind', d.kind)
                ORDER BY d.revision DESC)
            FROM traceability_disposition d
            WHERE d.unit_id = t.unit_id AND NOT EXISTS (SELECT 1
                FROM traceability_dispositionwithdrawal w WHERE w.disposition_id = d.id)) END,
    {nameplates.COLUMNS}
FROM {{source}} t
JOIN traceability_inspection i ON i.id = t.inspection_id
JOIN traceability_unit u ON u.id = t.unit_id
"""  # noqa: S608  # constants only
_PLAIN: Final = 15


@dataclass(frozen=True, slots=True)
class ClaimedTask:
    """A leased task. `views` and `history` as the statement builds them, JSON-ready."""

    pk: int
    uuid: UUID
    site_id: int
    fence: int
    state: str
    holder_id: int
    kind: str
    score: float
    defect_class: str
    policy_version: int
    review_from: float
    contain_from: float
    opened_at: datetime
    deadline: datetime
    is_escalated: bool
    views: Sequence[dict[str, Any]]
    history: Sequence[dict[str, Any]]
    nameplate: Nameplate


def read(row: Sequence[Any]) -> ClaimedTask:
    """The task of one row of SELECT."""
    views, history = row[_PLAIN : _PLAIN + 2]
    plate = Nameplate.read(row[_PLAIN + 2 :])
    return ClaimedTask(*(*row[:_PLAIN], views or (), history or (), plate))
