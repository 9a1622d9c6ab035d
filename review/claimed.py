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
from traceability.statements import prepared

# {source} is the table of tasks, or the rows an UPDATE has just returned. Of each capture only
# the latest prediction is shown; what was taken back is no part of a unit's history.
SELECT: Final = f"""
SELECT t.id, t.uuid, t.site_id, t.fence, t.state, t.holder_id, t.kind, t.score, t.defect_class,
    t.policy_version, t.review_from, t.contain_from, t.opened_at, t.deadline, t.is_escalated,
    (SELECT json_agg(json_build_object('capture', v.uuid, 'view', v.view, 'width', v.width,
            'height', v.height, 'captured_at', v.captured_at, 'quality', v.quality,
            'score', v.score, 'detections', v.detections, 'model', v.name, 'version', v.version,
            'preview', v.preview, 'tiles', v.tiles, 'depth', v.depth, 'levels', v.tile_levels,
            'low', v.window_low, 'high', v.window_high, 'heat_map', v.heat_map, 'golden', v.golden)
            ORDER BY v.view, v.captured_at, v.id)
        FROM (SELECT DISTINCT ON (c.id) c.id, c.uuid, c.view, c.width, c.height, c.captured_at,
                c.quality, p.score, p.detections, m.name, m.version, c.preview, c.tiles, c.depth,
                c.tile_levels, c.window_low, c.window_high,
                CASE WHEN h.state = 'READY' THEN p.uuid END AS heat_map,
                CASE WHEN g.id <> c.id THEN json_build_object('capture', g.uuid, 'width', g.width,
                    'height', g.height, 'tiles', g.tiles, 'depth', g.depth,
                    'levels', g.tile_levels, 'low', g.window_low, 'high', g.window_high)
                    END AS golden
            FROM traceability_capture c JOIN traceability_prediction p ON p.capture_id = c.id
            JOIN traceability_modelversion m ON m.id = p.model_version_id
            LEFT JOIN traceability_heatmap h ON h.prediction_id = p.id
            LEFT JOIN LATERAL (SELECT rc.* FROM traceability_reference r
                JOIN traceability_capture rc ON rc.id = r.capture_id
                WHERE r.part_revision_id = u.part_revision_id AND r.view = c.view
                ORDER BY r.id DESC LIMIT 1) g ON true
            WHERE c.inspection_id = t.inspection_id ORDER BY c.id, p.id DESC) v),
    CASE WHEN u.disposition_revision > 0 THEN
        (SELECT json_agg(json_build_object('at', d.decided_at, 'by', d.decider, 'kind', d.kind,
                'decider', d.decider_kind, 'inspection', d.inspection_id)
                ORDER BY d.revision DESC)
            FROM traceability_disposition d
            WHERE d.unit_id = t.unit_id AND NOT EXISTS (SELECT 1
                FROM traceability_dispositionwithdrawal w WHERE w.disposition_id = d.id)) END,
    {nameplates.COLUMNS},
    t.purpose, t.is_blind, t.inspection_id, i.opened_at,
    CASE WHEN NOT t.is_blind AND t.purpose <> 'CONTROL' THEN
        (SELECT json_agg(json_build_object('id', k.uuid, 'at', k.at,
                'text', k.text, 'by',
                coalesce(nullif(trim(concat(a.first_name, ' ', a.last_name)), ''), a.username))
                ORDER BY k.id DESC)
            FROM traceability_inspection o JOIN review_comment k ON k.inspection_id = o.id
            JOIN governance_user a ON a.id = k.author_id
            WHERE o.unit_id = t.unit_id) END,
    i.views_expected,
    (SELECT max(a.version) FROM labeling_acceptancecriteria a WHERE a.site_id = t.site_id),
    t.control_rate
FROM {{source}} t
JOIN traceability_inspection i ON i.id = t.inspection_id
JOIN traceability_unit u ON u.id = t.unit_id
"""  # noqa: S608  # constants only
_SEVERAL: Final = SELECT.format(source="review_reviewtask") + " WHERE t.id = ANY(%s)"
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
    purpose: str
    is_blind: bool
    inspection_id: int
    inspected_at: datetime
    comments: Sequence[dict[str, Any]] | None
    views_expected: int
    criteria_version: int | None
    control_rate: float


def all_shown(*, task_ids: Sequence[int]) -> list[ClaimedTask]:
    """Several tasks with all the bench shows of them, in the order given, in one query."""
    with prepared() as cursor:
        cursor.execute(_SEVERAL, [list(task_ids)])
        found = {task.pk: task for task in map(read, cursor.fetchall())}
    return [found[pk] for pk in task_ids]


def read(row: Sequence[Any]) -> ClaimedTask:
    """The task of one row of SELECT."""
    views, history = row[_PLAIN : _PLAIN + 2]
    after = _PLAIN + 2 + nameplates.WIDTH
    plate = Nameplate.read(row[_PLAIN + 2 : after])
    return ClaimedTask(*(*row[:_PLAIN], views or (), history or (), plate, *row[after:]))
