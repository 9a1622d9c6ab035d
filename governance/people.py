"""People and machines: who gets which role where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from knox.models import AuthToken

from governance import audit, places
from governance.access import Actor
from governance.models import Grant, User
from governance.roles import MACHINES, Role
from traceability.models import Line, Site
from traceability.refusals import Conflict, Invalid, Unknown


@dataclass(frozen=True, slots=True)
class Right:
    """A role at a site, or at one line of it."""

    role: Role
    site: Site
    line: Line | None = None


def add_person(
    *,
    actor: Actor,
    username: str,
    password: str,
    rights: Sequence[Right],
    at: datetime,
    full_name: str = "",
    badge: str = "",
    is_demo: bool = False,
) -> User:
    """Create a person with these rights. Raises Conflict when the name is taken."""
    user = User(username=username, badge=badge, is_demo=is_demo)
    user.first_name, _space, user.last_name = full_name.partition(" ")
    _admit(user, password)
    with audit.recorded(actor=actor, at=at) as trail:
        user.save()
        _grant(trail, user, rights)
    return user


def add_admin(
    *,
    actor: Actor,
    username: str,
    password: str,
    site_code: str,
    roles: Sequence[Role],
    at: datetime,
) -> User:
    """Create a person for the whole of a site, and with him the site when it is new."""
    user = User(username=username)
    _admit(user, password)
    with audit.recorded(actor=actor, at=at) as trail:
        site = places.found_site(trail, site_code)
        user.save()
        _grant(trail, user, [Right(role, site) for role in roles])
    return user


def add_machine(
    *,
    actor: Actor,
    username: str,
    sites: Sequence[Site],
    at: datetime,
    role: Role = Role.MACHINE,
) -> tuple[User, str]:
    """Create a machine of one of the roles for them, at `sites`; with its only token."""
    _check_free(username)
    user = User(username=username)
    user.set_unusable_password()
    with audit.recorded(actor=actor, at=at) as trail:
        user.save()
        _grant(trail, user, [Right(role, site) for site in sites])
        _instance, token = AuthToken.objects.create(user=user)
        trail.add("person.token", subject_kind="person", subject=username, site_id=None)
    return user, token


def revoke_machine(*, actor: Actor, username: str, at: datetime) -> int:
    """Take every token from a machine; how many. Raises Unknown, or Conflict when it has none."""
    with audit.recorded(actor=actor, at=at) as trail:
        grants = Grant.objects.filter(user__username=username, role__in=MACHINES)
        sites = list(grants.order_by("site").values_list("site", flat=True))
        if not sites:
            raise Unknown(_("There is no machine %(name)s.") % {"name": username[:150]})
        tokens = AuthToken.objects.filter(user__username=username)
        count: int = tokens.count()
        if not count:
            raise Conflict(_("%(name)s has no token.") % {"name": username})
        tokens.delete()
        for site_id in sites:
            trail.add(
                "person.token_revoke",
                subject_kind="person",
                subject=username,
                site_id=site_id,
                detail={"tokens": count},
            )
    return count


def _admit(user: User, password: str) -> None:
    """Give the new user this password, once name and password have been looked at."""
    _check_free(user.username)
    try:
        User.username_validator(user.username)
        validate_password(password, user)
    except ValidationError as error:
        raise Invalid(" ".join(error.messages)) from error
    user.set_password(password)


def _check_free(username: str) -> None:
    if User.objects.filter(username=username).exists():
        raise Conflict(_("There is a user %(name)s already.") % {"name": username})


def _grant(trail: audit.Trail, user: User, rights: Sequence[Right]) -> None:
    for right in rights:
        Grant.objects.create(user=user, role=right.role, site=right.site, line=right.line)
        trail.add(
            "person.grant",
            subject_kind="person",
            subject=user.username,
            site_id=right.site.pk,
            detail={"role": right.role, "line": right.line.code if right.line else None},
        )
    trail.add("person.add", subject_kind="person", subject=user.username, site_id=None)
