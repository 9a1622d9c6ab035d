"""Coming to a tablet with badge and PIN, coming back with the badge, and leaving."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q, Value
from django.db.models.functions import Least
from django.utils.translation import gettext as _

from governance import audit, pins, sign_in
from governance.models import Attendance, Device, Grant, Pin, User
from governance.standing import AT_LINE, clamped, standing, standing_at, tablet_itself
from traceability.refusals import Conflict, NotAllowed


def arrive(*, device: Device, badge: str, pin: str | None, at: datetime) -> Attendance:
    """Who has this badge is at the tablet now; who was before can come back with his badge alone.

    Raises NotAllowed with code pin_needed, pin_wrong, pin_locked, badge_unknown or wait.
    """
    badge = badge.strip()[:64]
    if pin is None:
        return _come_back(device, _owner(device, badge), at=at)
    name, where = f"badge:{badge}", str(device.uuid)
    rest = sign_in.begin(username=name, address=where, at=at)
    if rest:
        raise NotAllowed(
            _("Too many tries with this badge. Wait %(seconds)s seconds, then try again.")
            % {"seconds": round(rest.total_seconds()) + 1},
            code="wait",
        )
    try:
        person = _owner(device, badge, typed=pin)
        by = tablet_itself(device)
        proven = pins.check(person, pin, by=by, site_id=device.site_id, at=at)
        begun = _begin(device, person, proven, at=at)
    except NotAllowed:
        sign_in.fail(username=name, address=where, at=at)
        raise
    sign_in.clear(username=name, address=where)
    return begun


def leave(*, device: Device, at: datetime) -> None:
    """Who is at the tablet goes; to come back he needs his PIN."""
    here = Attendance.objects.filter(device=device, is_current=True).select_related("user").first()
    if here is None:
        return
    with audit.recorded(actor=clamped(here.user, device), at=at) as trail:
        _lock(device)
        mine = Attendance.objects.filter(pk=here.pk, ended_at__isnull=True)
        if mine.update(ended_at=min(at, here.until), is_current=False):
            _note(trail, "person.leave", here)
        else:
            trail.nothing_changed()


def colleagues(device: Device, *, at: datetime) -> list[Attendance]:
    """Who can come back to this tablet with the badge alone, with their people."""
    return [a for a in standing(device, at=at) if not a.is_current]


def end_fallen(user: User, *, at: datetime) -> None:
    """What a person may no longer do at tablets ends, and does not begin again by itself; call in
    the transaction that took it from him."""
    open_still = Attendance.objects.filter(user=user, ended_at__isnull=True)
    places = open_still.values_list("device", flat=True)
    stand = {a.pk for a in standing_at(list(places), at=at) if a.user_id == user.pk}
    open_still.exclude(pk__in=stand).update(ended_at=Least(Value(at), F("until")), is_current=False)


def _owner(device: Device, badge: str, *, typed: str | None = None) -> User:
    """The one active person with this badge who may judge at the tablet's line."""
    grants = Grant.objects.filter(
        Q(line__isnull=True) | Q(line=device.station.line_id),
        user=OuterRef("pk"),
        role__in=AT_LINE,
        site=device.site_id,
    )
    known = Q() if settings.LOUPE.demo else Q(is_demo=False)
    found = User.objects.filter(known, Exists(grants), badge=badge, is_active=True)
    people = list(found.order_by("pk")[:2]) if badge else []
    if len(people) > 1:
        raise Conflict(
            _(
                "Two people have the badge %(badge)s. A lead gives one of them another on the page"
                " Tablets."
            )
            % {"badge": badge},
            code="badge_twice",
        )
    if not people:
        if typed is not None:
            pins.take_as_long(typed)
        raise NotAllowed(_("Nobody at this line has this badge."), code="badge_unknown")
    return people[0]


def _come_back(device: Device, person: User, *, at: datetime) -> Attendance:
    with audit.recorded(actor=clamped(person, device), at=at) as trail:
        _lock(device)
        his = next((a for a in standing(device, at=at) if a.user_id == person.pk), None)
        kept = pins.kept(person)
        if pins.is_locked(kept):
            raise NotAllowed(pins.locked_sentence(), code="pin_locked")
        if his is None:
            raise NotAllowed(_("Type your PIN."), code="pin_needed")
        if his.is_current:
            trail.nothing_changed()
            return his
        _step_aside(device)
        his.is_current = True
        his.save(update_fields=["is_current"])
        _note(trail, "person.arrive", his, by="badge")
    return his


def _begin(device: Device, person: User, proven: Pin, *, at: datetime) -> Attendance:
    with audit.recorded(actor=clamped(person, device), at=at) as trail:
        _lock(device)
        pins.settle(proven)
        for earlier in Attendance.objects.filter(device=device, user=person, ended_at__isnull=True):
            earlier.ended_at, earlier.is_current = min(at, earlier.until), False
            earlier.save(update_fields=["ended_at", "is_current"])
        _step_aside(device)
        begun = Attendance.objects.create(
            site_id=device.site_id,
            device=device,
            user=person,
            began_at=at,
            until=at + timedelta(hours=settings.LOUPE.operator_hours),
            is_current=True,
        )
        _note(trail, "person.arrive", begun, by="pin")
    return begun


def _step_aside(device: Device) -> None:
    Attendance.objects.filter(device=device, is_current=True).update(is_current=False)


def _lock(device: Device) -> None:
    """One at a time comes to a tablet or leaves it, and nobody to one just revoked."""
    now = Device.objects.select_for_update().get(pk=device.pk)
    if now.revoked_at is not None or now.token_sha256 != device.token_sha256:
        raise NotAllowed(_("This tablet is no longer registered."), code="device_revoked")


def _note(trail: audit.Trail, action: str, attendance: Attendance, **detail: object) -> None:
    device = attendance.device
    trail.add(
        action,
        subject_kind="person",
        subject=attendance.user.username,
        site_id=attendance.site_id,
        detail={"device": device.name, "station": device.station.code, **detail},
    )
