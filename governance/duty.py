"""Who answers for what a site holds: whoever took over last, and if not he, the next in order.

The order never ends while anybody is left who could answer, so that no hold is without an owner.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connection

from governance.models import User
from governance.roles import Capability, Role, roles_with

ANSWERABLE: Final = (Role.LEAD, Role.QUALITY_ENGINEER, Role.ADMIN)
_USER: Final = tuple(field.attname for field in User._meta.concrete_fields)  # noqa: SLF001
# The latest duty whose person may still have it; else leads, quality engineers, leads of single
# lines, admins. One row a site.
_OWNERS: Final = f"""
WITH able AS (
    SELECT g.id, g.site_id, g.user_id, g.role, g.line_id
    FROM governance_grant g JOIN governance_user u ON u.id = g.user_id
    WHERE g.site_id = ANY(%(sites)s) AND g.role = ANY(%(roles)s)
        AND u.is_active AND (%(demo)s OR NOT u.is_demo)
)
SELECT s.id, chosen.began_at, {", ".join(f"u.{name}" for name in _USER)}
FROM unnest(%(sites)s::bigint[]) s(id)
CROSS JOIN LATERAL (
    (SELECT d.user_id, d.began_at, 0 AS place, 0 AS nth FROM governance_duty d
    WHERE d.site_id = s.id AND d.began_at <= %(at)s AND EXISTS (
        SELECT 1 FROM able a WHERE a.site_id = s.id AND a.user_id = d.user_id
            AND a.line_id IS NULL AND a.role = ANY(%(signing)s))
    ORDER BY d.id DESC LIMIT 1)
    UNION ALL
    SELECT a.user_id, NULL, CASE
        WHEN a.role = 'lead' AND a.line_id IS NULL THEN 1
        WHEN a.role = 'quality_engineer' THEN 2
        WHEN a.role = 'lead' THEN 3
        ELSE 4 END, a.id
    FROM able a WHERE a.site_id = s.id
    ORDER BY place, nth LIMIT 1
) chosen
JOIN governance_user u ON u.id = chosen.user_id
"""  # noqa: S608  # the model's own column names


@dataclass(frozen=True, slots=True)
class Owner:
    """Who answers for a site's holds; `since` he took over, None where he is only next in order."""

    user: User
    since: datetime | None


def owners_of(site_ids: Collection[int], *, at: datetime) -> dict[int, Owner]:
    """The owner of each site's holds, in one statement; without the sites that have nobody."""
    values: dict[str, Any] = {
        "sites": sorted(site_ids),
        "roles": [role.value for role in ANSWERABLE],
        "signing": [role.value for role in roles_with(Capability.SIGN_HANDOVERS)],
        "demo": settings.LOUPE.demo,
        "at": at,
    }
    with connection.cursor() as cursor:
        cursor.execute(_OWNERS, values)
        rows = cursor.fetchall()
    return {
        site_id: Owner(User.from_db(DEFAULT_DB_ALIAS, _USER, row), since)
        for site_id, since, *row in rows
    }


def owner_of(*, site_id: int, at: datetime) -> User | None:
    """Who answers for this site's holds; None only where nobody is left who could."""
    owner = owners_of([site_id], at=at).get(site_id)
    return owner.user if owner else None
