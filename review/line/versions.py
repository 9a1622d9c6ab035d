"""Whether anything has changed at a station: one number for each, made by one statement.

What a tablet shows is made of what is read here; what is not in here changes no tablet.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from django.db import connection

# Tasks beyond so many change nothing one would see on the screen.
COUNTED: Final = 200
_VERSIONS: Final = f"""
SELECT s.id, md5(concat_ws('|', s.hold_place,
    (SELECT concat_ws(',', i.id, u.disposition_revision, u.disposition)
        FROM traceability_inspection i JOIN traceability_unit u ON u.id = i.unit_id
        WHERE i.station_id = s.id ORDER BY i.id DESC LIMIT 1),
    (SELECT concat_ws(',', count(*), sum(u.id), max(u.held_since))
        FROM traceability_unit u WHERE u.held_at_station_id = s.id),
    (SELECT concat_ws(',', count(*), max(h.id)) FROM review_holdacknowledgement h
        JOIN traceability_unit u ON u.id = h.unit_id AND u.held_since = h.held_since
        WHERE u.held_at_station_id = s.id),
    (SELECT string_agg(concat_ws(',', c.id, c.answered_at, c.escalated_at), ';' ORDER BY c.id)
        FROM review_andoncall c WHERE c.station_id = s.id AND c.closed_at IS NULL),
    (SELECT concat_ws(',', c.id, c.unfit, c.fit, c.done_at)
        FROM review_capturecheck c WHERE c.station_id = s.id AND c.closed_at IS NULL),
    (SELECT concat_ws(',', count(*), sum(t.id), sum(t.fence), count(*) FILTER (
            WHERE t.state = 'LEASED'), count(t.operators_until))
        FROM (SELECT * FROM review_reviewtask o WHERE o.station_id = s.id
            AND o.state IN ('QUEUED', 'LEASED') LIMIT {COUNTED}) t),
    (SELECT string_agg(concat_ws(',', d.id, d.token_sha256, d.px_per_mm, d.ahead, d.name), ';'
            ORDER BY d.id) FROM governance_device d WHERE d.station_id = s.id),
    (SELECT concat_ws(',', count(*), max(a.id), sum(a.id) FILTER (WHERE a.is_current))
        FROM governance_attendance a JOIN governance_device d ON d.id = a.device_id
        WHERE d.station_id = s.id AND a.ended_at IS NULL),
    (SELECT count(*) FROM review_secondopinion o
        WHERE o.station_id = s.id AND o.seen_at IS NULL)
))
FROM traceability_station s WHERE s.id = ANY(%s)
"""  # noqa: S608  # constants only


def versions_of(station_ids: Collection[int]) -> dict[int, str]:
    """Each station's version: another one as soon as its board may look different."""
    with connection.cursor() as cursor:
        cursor.execute(_VERSIONS, [list(station_ids)])
        return dict(cursor.fetchall())
