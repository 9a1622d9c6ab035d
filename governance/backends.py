"""Who a session belongs to: the person and the grants, in one statement a request."""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.db import DEFAULT_DB_ALIAS

from governance.access import Granted, Scope
from governance.models import User
from governance.roles import Role
from traceability.models import Site
from traceability.statements import prepared

_USER: Final = tuple(field.attname for field in User._meta.concrete_fields)  # noqa: SLF001
_SITE: Final = tuple(field.attname for field in Site._meta.concrete_fields)  # noqa: SLF001
LOOK_UP: Final = f"""
SELECT {", ".join(f"u.{name}" for name in _USER)}, g.role, g.line_id,
    {", ".join(f"s.{name}" for name in _SITE)}
FROM governance_user u
LEFT JOIN governance_grant g ON g.user_id = u.id
LEFT JOIN traceability_site s ON s.id = g.site_id
WHERE u.id = %s AND u.is_active ORDER BY g.id
"""  # noqa: S608  # the models' own column names


class GrantedUserBackend(ModelBackend):
    """Passwords as usual; the user of a session comes with what he was granted.

    Asked anew at every request: a role that is revoked is gone with the next one.
    """

    def user_can_authenticate(self, user: Any) -> bool:
        """Active; and the demo's people, whose password is no secret, in the demo only."""
        allowed: bool = super().user_can_authenticate(user)
        return allowed and (settings.LOUPE.demo or not user.is_demo)

    def get_user(self, user_id: int) -> Any:
        """The active user of this id with his grants, or None."""
        with prepared() as cursor:
            cursor.execute(LOOK_UP, [user_id])
            rows = cursor.fetchall()
        if not rows:
            return None
        width = len(_USER)
        user = User.from_db(DEFAULT_DB_ALIAS, _USER, rows[0][:width])
        scopes, sites = [], {}
        for role, line_id, *place in (row[width:] for row in rows if row[width] is not None):
            site = Site.from_db(DEFAULT_DB_ALIAS, _SITE, place)
            sites[site.pk] = site
            scopes.append(Scope(role=Role(role), site_id=site.pk, line_id=line_id))
        if not self.user_can_authenticate(user):
            return None
        user.granted = Granted(tuple(scopes), tuple(sites.values()))  # type: ignore[attr-defined]  # read by actor_of
        return user
