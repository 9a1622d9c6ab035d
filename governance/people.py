"""People and machines: who gets which role where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from knox.models import AuthToken

from governance import audit
from governance.access import Actor
from governance.models import Grant, User
from governance.roles import Role
from traceability.models import Line, Site
from traceability.refusals import Conflict, Invalid


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
) -> User:
    """Create a person with these rights. Raises Conflict when the name is taken."""
    _check_free(username)
    user = User(username=username, badge=badge)
    user.first_name, _space, user.last_name = full_name.partition(" ")
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Invalid(" ".join(error.messages)) from error
    user.set_password(password)
    with audit.recorded(actor=actor, at=at) as trail:
        user.save()
        _grant(trail, user, rights)
    return user


def add_machine(
    *, actor: Actor, username: str, sites: Sequence[Site], at: datetime
) -> tuple[User, str]:
    """Create a machine that may send predictions for `sites`; returns it with its only token."""
    _check_free(username)
    user = User(username=username)
    user.set_unusable_password()
    with audit.recorded(actor=actor, at=at) as trail:
        user.save()
        _grant(trail, user, [Right(Role.MACHINE, site) for site in sites])
        _instance, token = AuthToken.objects.create(user=user)
        trail.add("person.token", subject_kind="person", subject=username, site_id=None)
    return user, token


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
