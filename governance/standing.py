"""Who stands at a tablet, and what he may do there: never more than an operator of its line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS

from governance.access import Actor, Granted, Scope
from governance.models import Attendance, Device, User
from governance.roles import Capability, Role, roles_with
from traceability.statements import prepared

AT_LINE: Final = sorted(roles_with(Capability.JUDGE_AT_LINE))
_ATTENDANCE: Final = tuple(f.attname for f in Attendance._meta.concrete_fields)  # noqa: SLF001
_USER: Final = tuple(f.attname for f in User._meta.concrete_fields)  # noqa: SLF001
# A new PIN ends what was begun with the old one.
STANDING: Final = f"""
SELECT {", ".join(f"a.{name}" for name in _ATTENDANCE)}, {", ".join(f"u.{name}" for name in _USER)}
FROM governance_attendance a
JOIN governance_device d ON d.id = a.device_id AND d.revoked_at IS NULL
JOIN traceability_station s ON s.id = d.station_id
JOIN governance_user u ON u.id = a.user_id AND u.is_active AND (%(demo)s OR NOT u.is_demo)
JOIN governance_pin p ON p.user_id = u.id AND p.set_at <= a.began_at
WHERE a.device_id = ANY(%(devices)s) AND a.ended_at IS NULL AND a.until > %(at)s
    AND EXISTS (
        SELECT FROM governance_grant g
        WHERE g.user_id = u.id AND g.role = ANY(%(roles)s) AND g.site_id = d.site_id
            AND (g.line_id IS NULL OR g.line_id = s.line_id)
    )
ORDER BY a.is_current DESC, a.began_at
"""  # noqa: S608  # the models' own column names


def standing(device: Device, *, at: datetime) -> list[Attendance]:
    """Whose badge alone counts at this tablet now, with their people; who is at it comes first.

    Asked anew at every request: who is deactivated or has lost his role is gone with the next.
    """
    found = standing_at([device.pk], at=at)
    for attendance in found:
        attendance.device = device
    return found


def standing_at(devices: Sequence[int], *, at: datetime) -> list[Attendance]:
    """The same for several tablets at once."""
    given: dict[str, Any] = {
        "devices": list(devices),
        "at": at,
        "demo": settings.LOUPE.demo,
        "roles": AT_LINE,
    }
    with prepared() as cursor:
        cursor.execute(STANDING, given)
        rows = cursor.fetchall()
    found = []
    for row in rows:
        attendance = Attendance.from_db(DEFAULT_DB_ALIAS, _ATTENDANCE, row[: len(_ATTENDANCE)])
        attendance.user = User.from_db(DEFAULT_DB_ALIAS, _USER, row[len(_ATTENDANCE) :])
        found.append(attendance)
    return found


def current(device: Device, *, at: datetime) -> Attendance | None:
    """Who is at the tablet now; None when nobody is, or he may no longer be."""
    return next((a for a in standing(device, at=at) if a.is_current), None)


def granted_at(device: Device) -> Granted:
    """What anybody may do at this tablet, whatever else he may do elsewhere."""
    scope = Scope(role=Role.OPERATOR, site_id=device.site_id, line_id=device.station.line_id)
    return Granted(scopes=(scope,), sites=(device.site,))


def clamped(user: User, device: Device) -> Actor:
    """This person as an operator of the tablet's line, and nothing besides."""
    granted = granted_at(device)
    return Actor(
        kind="person",
        name=user.username,
        user_id=user.pk,
        badge=user.badge or user.username,
        address=device.address,
        scopes=granted.scopes,
        sites=granted.sites,
    )


def tablet_itself(device: Device) -> Actor:
    """The actor of what a tablet does while nobody is at it."""
    return Actor(
        kind="device",
        name=device.account.username,
        user_id=device.account_id,
        address=device.address,
    )


def actor_at(device: Device, *, at: datetime) -> Actor:
    """Who is at the tablet, or the tablet itself."""
    here = current(device, at=at)
    return clamped(here.user, device) if here else tablet_itself(device)
