"""Rights given and taken, and people who leave: never the last who answers for held units."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime

from django.utils.translation import gettext as _

from governance import attendances, audit, duty
from governance.access import Actor
from governance.models import Grant, User
from governance.people import Right
from governance.roles import MACHINES
from traceability.models import Site
from traceability.refusals import Conflict, Invalid, Unknown


def give(*, actor: Actor, username: str, right: Right, at: datetime) -> Grant:
    """Give a person one more right. Raises Unknown, or Conflict where he has it already."""
    if right.role in MACHINES:
        raise Invalid(_("Machines get their right when they are created."))
    with audit.recorded(actor=actor, at=at) as trail:
        user = _person(username)
        grant, is_new = Grant.objects.get_or_create(
            user=user, role=right.role, site=right.site, line=right.line
        )
        if not is_new:
            raise Conflict(_("%(name)s has this role there already.") % {"name": user})
        _note(trail, "person.grant", user, right)
    return grant


def take(*, actor: Actor, username: str, right: Right, at: datetime) -> None:
    """Take one right from a person. Raises Conflict when nobody would be left for held units."""
    with audit.recorded(actor=actor, at=at) as trail, _somebody_stays([right.site.pk], at=at):
        user = _person(username)
        gone, _what = Grant.objects.filter(
            user=user, role=right.role, site=right.site, line=right.line
        ).delete()
        if not gone:
            raise Unknown(_("%(name)s does not have this role there.") % {"name": user})
        _note(trail, "person.revoke", user, right)
        attendances.end_fallen(user, at=at)


def deactivate(*, actor: Actor, username: str, at: datetime) -> User:
    """Shut a person out; what he did stays on record under his name.

    Raises Conflict when nobody would be left who answers for held units at one of his sites.
    """
    sites = set(Grant.objects.filter(user__username=username).values_list("site", flat=True))
    with audit.recorded(actor=actor, at=at) as trail, _somebody_stays(sites, at=at):
        user = _person(username)
        if not user.is_active:
            raise Conflict(_("%(name)s is shut out already.") % {"name": user})
        _set_active(trail, user, is_active=False)
    return user


def reactivate(*, actor: Actor, username: str, at: datetime) -> User:
    """Let a person in again, with the rights he had."""
    with audit.recorded(actor=actor, at=at) as trail:
        user = _person(username)
        if user.is_active:
            raise Conflict(_("%(name)s is not shut out.") % {"name": user})
        _set_active(trail, user, is_active=True)
    return user


@contextmanager
def _somebody_stays(site_ids: Collection[int], *, at: datetime) -> Iterator[None]:
    """Refuse what would leave one of these sites without anybody who answers for held units."""
    # One after the other: two who are the last two are not taken away at the same time.
    sites = Site.objects.filter(pk__in=site_ids).order_by("pk")
    codes = {site.pk: site.code for site in sites.select_for_update(no_key=True)}
    before = duty.owners_of(codes, at=at)
    yield
    after = duty.owners_of(codes, at=at)
    for site_id in sorted(before.keys() - after.keys()):
        raise Conflict(
            _(
                "%(name)s is the last who answers for held units at %(site)s; "
                "name another first (add_person or give_right)."
            )
            % {"name": before[site_id].user, "site": codes[site_id]},
            code="last_owner",
        )


def _person(username: str) -> User:
    user = User.objects.select_for_update(no_key=True).filter(username=username).first()
    if user is None:
        raise Unknown(_("There is no person %(name)s.") % {"name": username[:150]})
    return user


def _set_active(trail: audit.Trail, user: User, *, is_active: bool) -> None:
    user.is_active = is_active
    user.save(update_fields=["is_active"])
    attendances.end_fallen(user, at=trail.at)
    trail.add(
        "person.reactivate" if is_active else "person.deactivate",
        subject_kind="person",
        subject=user.username,
        site_id=None,
    )


def _note(trail: audit.Trail, action: str, user: User, right: Right) -> None:
    trail.add(
        action,
        subject_kind="person",
        subject=user.username,
        site_id=right.site.pk,
        detail={"role": right.role, "line": right.line.code if right.line else None},
    )
