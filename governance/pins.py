"""PINs: set by a lead, kept as a hash, locked after a few wrong tries."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import Final, cast

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from governance import audit
from governance.access import Actor
from governance.models import Grant, Pin, User
from governance.roles import Capability
from governance.standing import AT_LINE
from traceability.refusals import Conflict, Invalid, NotAllowed, Unknown

SHORTEST: Final = 4
LONGEST: Final = 8


def fault_of(pin: str, *, badge: str) -> str:
    """Why this cannot be a PIN, as a sentence; empty when it can."""
    if not (pin.isascii() and pin.isdecimal() and SHORTEST <= len(pin) <= LONGEST):
        return _("A PIN has 4 to 8 digits.")
    steps = {int(b) - int(a) for a, b in pairwise(pin)}
    if steps in ({0}, {1}, {-1}):
        return _("This PIN is guessed at once. Take one that is no row of digits.")
    if pin == "".join(c for c in badge if c.isdecimal()):
        return _("The PIN must not be the number on the badge.")
    return ""


def people_of(actor: Actor, capability: Capability) -> QuerySet[User]:
    """Active people who may judge at a line for which the actor holds `capability`."""
    grants = Grant.objects.filter(actor.within(capability), user=OuterRef("pk"), role__in=AT_LINE)
    known = Q() if settings.LOUPE.demo else Q(is_demo=False)
    return User.objects.filter(known, Exists(grants), is_active=True)


def set_pin(*, actor: Actor, person: str, pin: str, at: datetime) -> Pin:
    """Give a person a new PIN. A lock ends, and so does what his badge alone could do before."""
    user = person_of(actor, person)
    fault = fault_of(pin, badge=user.badge)
    if fault:
        raise Invalid(fault)
    secret = make_password(pin)
    with audit.recorded(actor=actor, at=at) as trail:
        made, is_new = Pin.objects.select_for_update().update_or_create(
            user=user,
            defaults={
                "secret": secret,
                "set_by_id": cast(int, actor.user_id),
                "set_at": at,
                "failures": 0,
                "locked_at": None,
            },
        )
        _note(trail, "person.pin", user, _site_of(actor, user), first=is_new)
    return made


def set_badge(*, actor: Actor, person: str, badge: str, at: datetime) -> User:
    """Give a person a badge. Conflict when somebody he works with has it."""
    user = person_of(actor, person)
    badge = badge.strip()
    if not badge or len(badge) > 64 or not badge.isprintable():
        raise Invalid(_("Scan or type the number of the badge."))
    sites = Grant.objects.filter(user=user).values("site")
    others = User.objects.filter(badge=badge, is_active=True, grants__site__in=sites)
    with audit.recorded(actor=actor, at=at) as trail:
        if others.exclude(pk=user.pk).exists():
            raise Conflict(_("Somebody else has this badge. Take another one."))
        before = user.badge
        User.objects.filter(pk=user.pk).update(badge=badge)
        _note(trail, "person.badge", user, _site_of(actor, user), before=before, after=badge)
    user.badge = badge
    return user


def kept(user: User, *, rows: QuerySet[Pin] | None = None) -> Pin:
    """The person's PIN; NotAllowed when no lead has set one."""
    pin = (Pin.objects.all() if rows is None else rows).filter(user=user).first()
    if pin is None:
        raise NotAllowed(_("No PIN has been set for you. Ask a lead for one."), code="pin_locked")
    return pin


def is_locked(pin: Pin) -> bool:
    """Whether nobody comes in with it any more; also while the last try is being looked at."""
    return pin.locked_at is not None or pin.failures >= settings.LOUPE.pin_tries


def check(user: User, typed: str, *, by: Actor, site_id: int, at: datetime) -> Pin:
    """The PIN this is; raises NotAllowed, with a lock once too many were wrong."""
    tried = _count(user)
    if check_password(typed, tried.secret):
        return tried
    if tried.failures >= settings.LOUPE.pin_tries:
        _lock(tried, user, by=by, site_id=site_id, at=at)
        raise NotAllowed(locked_sentence(), code="pin_locked")
    raise NotAllowed(_("This PIN does not fit the badge."), code="pin_wrong")


def take_as_long(typed: str) -> None:
    """Hash what was typed for nobody, so that a badge nobody has answers no sooner."""
    make_password(typed)


def settle(proven: Pin) -> None:
    """The tries are forgotten; call in the transaction that lets the person in.

    Raises NotAllowed when the PIN was changed or locked since it was checked.
    """
    now = Pin.objects.select_for_update().get(pk=proven.pk)
    if now.set_at != proven.set_at or now.locked_at is not None:
        raise NotAllowed(locked_sentence(), code="pin_locked")
    now.failures = 0
    now.save(update_fields=["failures"])


def locked_sentence() -> str:
    """What a person with a locked PIN is told."""
    return _("This PIN is locked. Ask a lead for a new one.")


def _count(user: User) -> Pin:
    """Count a try before it is looked at, so that many at once do not get a try each."""
    with transaction.atomic():
        pin = kept(user, rows=Pin.objects.select_for_update())
        if is_locked(pin):
            raise NotAllowed(locked_sentence(), code="pin_locked")
        pin.failures += 1
        pin.save(update_fields=["failures"])
    return pin


def _lock(pin: Pin, user: User, *, by: Actor, site_id: int, at: datetime) -> None:
    open_still = Pin.objects.filter(
        pk=pin.pk,
        set_at=pin.set_at,
        failures__gte=settings.LOUPE.pin_tries,
        locked_at__isnull=True,
    )
    with audit.recorded(actor=by, at=at) as trail:
        if open_still.update(locked_at=at):
            _note(trail, "person.pin_lock", user, site_id, tries=pin.failures)
        else:
            trail.nothing_changed()


def person_of(actor: Actor, person: str) -> User:
    """Somebody whose badge and PIN the actor may set; Unknown otherwise."""
    user = people_of(actor, Capability.REGISTER_TABLETS).filter(username=person).first()
    if user is None:
        raise Unknown(_("There is no such person at your lines."))
    return user


def _site_of(actor: Actor, user: User) -> int | None:
    """The site the actor speaks for."""
    grants = Grant.objects.filter(
        actor.within(Capability.REGISTER_TABLETS), user=user, role__in=AT_LINE
    )
    return grants.order_by("site_id").values_list("site_id", flat=True).first()


def _note(
    trail: audit.Trail, action: str, user: User, site_id: int | None, **detail: object
) -> None:
    trail.add(action, subject_kind="person", subject=user.username, site_id=site_id, detail=detail)
