"""What the plant goes by: from which score a person looks, who has to agree, how the MES is told.

Each is put in force from outside, as another version, while messages are on their way.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import psycopg

# On the second line a scrap waits for a second person, and did from the beginning.
CAREFUL: Final = "line-2"
_POLICY: Final = """
    WITH next AS (
        INSERT INTO inference_bridge_routingpolicy
            (site_id, version, in_force_from, author, approved_by, reason)
        SELECT site_id, max(version) + 1, now(), 'faults', '', 'mid-flight'
        FROM inference_bridge_routingpolicy GROUP BY site_id RETURNING id, site_id)
    INSERT INTO inference_bridge_policyrule
        (site_id, policy_id, line_id, defect_class, review_from, contain_from, audit_rate,
        review_within_s, second_for_scrap)
    SELECT site_id, id, NULL, '', %(low)s::float8, 0.8, 0.01, 900, false FROM next
    UNION ALL
    SELECT n.site_id, n.id, l.id, '', %(low)s::float8, 0.8, 0.01, 900, true
    FROM next n JOIN traceability_line l ON l.site_id = n.site_id AND l.code = %(careful)s
"""
_MAPPING: Final = """
    INSERT INTO mes_integration_mappingprofile
        (site_id, target, version, document, author, at, reason)
    SELECT s.id, %(target)s::text,
        coalesce((SELECT max(version) FROM mes_integration_mappingprofile m
            WHERE m.site_id = s.id AND m.target = %(target)s::text), 0) + 1,
        %(document)s, 'faults', now(), ''
    FROM traceability_site s
"""


def next_policy(url: str, *, low: float) -> None:
    """A person looks from this score on; a scrap of the careful line still takes two."""
    with psycopg.connect(url, autocommit=True) as hand:
        hand.execute(_POLICY.encode(), {"low": low, "careful": CAREFUL})


def next_mapping(url: str, tree: Path, targets: Iterable[str], *, longest_s: float) -> None:
    """One that can be asked, and that applies a key as often as it is sent; at most so late."""
    shipped = tree / "mes_integration" / "profiles" / "generic.json"
    document = json.loads(shipped.read_text())
    document["capabilities"] |= {"key": False, "max_processing_s": longest_s}
    with psycopg.connect(url, autocommit=True) as hand:
        for target in targets:
            said = {"target": target, "document": json.dumps(document)}
            hand.execute(_MAPPING.encode(), said)
