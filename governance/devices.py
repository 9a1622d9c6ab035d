"""Tablets: made by a lead, registered with a code typed once, revoked at once."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any, Final, cast
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, IntegrityError, transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Least
from django.http import HttpRequest
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from governance import audit, sign_in
from governance.access import Actor, check_covers
from governance.models import Attendance, Device, User
from governance.roles import Capability
from governance.standing import clamped, current, tablet_itself
from traceability.identifiers import new_id
from traceability.models import Line, Site, Station
from traceability.refusals import Conflict, Invalid, NotAllowed, Unknown
from traceability.statements import prepared

COOKIE: Final = "loupe_device"
COOKIE_AGE: Final = timedelta(days=400)
CODE_DIGITS: Final = 8
CODE_LASTS: Final = timedelta(minutes=15)
ROWS_LAST: Final = timedelta(days=7)
SEEN_EVERY: Final = timedelta(seconds=30)
AHEAD_MOST: Final = 240
SCALE: Final = (1.0, 30.0)
UNSENT_MOST: Final = 1_000_000
# Codes are guessed from an address, whatever is typed.
GUESSING: Final = "tablet code"

_MODELS: Final = ((Device, "d"), (Station, "t"), (Line, "l"), (Site, "s"))
_COLUMNS: Final = {
    model: tuple(f.attname for f in model._meta.concrete_fields)  # noqa: SLF001
    for model, _alias in _MODELS
}
BY_TOKEN: Final = f"""
SELECT {", ".join(f"{alias}.{name}" for model, alias in _MODELS for name in _COLUMNS[model])}
FROM governance_device d
JOIN traceability_station t ON t.id = d.station_id
JOIN traceability_line l ON l.id = t.line_id
JOIN traceability_site s ON s.id = d.site_id
WHERE d.token_sha256 = %s AND d.revoked_at IS NULL
"""  # noqa: S608  # the models' own column names


def device_of(request: HttpRequest) -> Device | None:
    """The registered tablet this request comes from."""
    found: Device | None = getattr(request, "device", None)
    return found


def by_token(token: str) -> Device | None:
    """The tablet that shows this token, with its station, line and site."""
    with prepared() as cursor:
        cursor.execute(BY_TOKEN, [_sha256(token)])
        row = cursor.fetchone()
    if row is None:
        return None
    made: dict[type, Any] = {}
    for model, _alias in _MODELS:
        width = len(_COLUMNS[model])
        made[model] = model.from_db(DEFAULT_DB_ALIAS, _COLUMNS[model], row[:width])
        row = row[width:]
    device: Device = made[Device]
    device.station, device.site = made[Station], made[Site]
    device.station.line, device.station.site = made[Line], made[Site]
    return device


def operator_of(device: Device, *, attendance: UUID | None, at: datetime) -> Actor:
    """The operator at the tablet, or the one of a named attendance of it.

    A named one may have ended up to a week ago: what he did while the network was gone is a fact,
    whoever stands there now.
    """
    if attendance is None:
        here = current(device, at=at)
        if here is None:
            raise NotAllowed(_("Nobody is signed in here. Scan your badge."), code="badge_needed")
        return clamped(here.user, device)
    named = (
        Attendance.objects.filter(uuid=attendance, device=device, device__revoked_at__isnull=True)
        .select_related("user")
        .first()
    )
    if named is None or (named.ended_at or named.until) < at - ROWS_LAST:
        raise NotAllowed(
            _("Who did this was not signed in at this tablet within the last 7 days."),
            code="badge_needed",
        )
    return clamped(named.user, device)


def make(
    *, actor: Actor, station: Station, name: str, ahead: int, at: datetime
) -> tuple[Device, str]:
    """A tablet at a station, and the code it is registered with. Conflict when the name is taken.

    Its account is a user without password and rights: tasks are leased to it.
    """
    _check_ours(actor, station)
    name = name.strip()
    if not name or len(name) > 64 or not name.isprintable():
        raise Invalid(_("Give the tablet a name of 1 to 64 characters."))
    _check_ahead(ahead)
    uuid = new_id()
    with audit.recorded(actor=actor, at=at) as trail:
        account = User(username=f"tablet-{uuid.hex[-12:]}", first_name=name)
        account.set_unusable_password()
        account.save()
        device = Device(
            uuid=uuid,
            site_id=station.site_id,
            station=station,
            name=name,
            account=account,
            ahead=ahead,
            made_by_id=cast(int, actor.user_id),
            made_at=at,
        )
        try:
            with transaction.atomic():
                device.save()
        except IntegrityError as error:
            raise Conflict(
                _("There is a tablet %(name)s at this station already. Take another name.")
                % {"name": name}
            ) from error
        code = _give_code(device, at=at)
        _note(trail, "device.make", device, station=station.code, ahead=ahead)
    return device, code


def renew_code(*, actor: Actor, device: UUID, at: datetime) -> tuple[Device, str]:
    """A new code for a tablet that was revoked, lost or wiped.

    Its present token holds until the code is used; its account, and what is leased to it, stays.
    """
    with audit.recorded(actor=actor, at=at) as trail:
        found = _locked(actor, device)
        code = _give_code(found, at=at)
        _note(trail, "device.code", found)
    return found, code


def register(*, code: str, address: str, at: datetime) -> tuple[Device, str]:
    """The tablet this code is for, and its new token. The code is used up, an older token dies."""
    rest = sign_in.begin(username=GUESSING, address=address, at=at)
    if rest:
        raise NotAllowed(
            _("Too many tries. Wait %(seconds)s seconds, then try again.")
            % {"seconds": round(rest.total_seconds()) + 1},
            code="wait",
        )
    digits = "".join(code.split())
    device = (
        Device.objects.filter(code_sha256=_code_sha256(digits), code_expires_at__gt=at)
        .select_related("account")
        .first()
    )
    if device is None:
        sign_in.fail(username=GUESSING, address=address, at=at)
        raise Unknown(_("This code is not valid, or no longer. Ask a lead for a new one."))
    device.address = address
    token = _register(tablet_itself(device), device, code=digits, at=at)
    sign_in.clear(username=GUESSING, address=address)
    return device, token


def register_here(*, actor: Actor, device: UUID, at: datetime) -> tuple[Device, str]:
    """The token for the very browser the lead sits at."""
    found = _ours(actor, device)
    return found, _register(actor, found, code=None, at=at)


def _register(actor: Actor, device: Device, *, code: str | None, at: datetime) -> str:
    token = secrets.token_urlsafe(32)
    with audit.recorded(actor=actor, at=at) as trail:
        waiting = Device.objects.filter(pk=device.pk)
        if code is not None:
            # Used twice at once, it registers one of the two.
            waiting = waiting.filter(code_sha256=_code_sha256(code))
        changed = waiting.update(
            token_sha256=_sha256(token),
            code_sha256=None,
            code_expires_at=None,
            registered_at=at,
            revoked_at=None,
            seen_at=at,
        )
        if not changed:
            raise Unknown(_("This code is not valid, or no longer. Ask a lead for a new one."))
        _note(trail, "device.register", device, attendances=_send_away(device, at=at))
    device.refresh_from_db()
    return token


def revoke(*, actor: Actor, device: UUID, at: datetime) -> Device:
    """The token counts no longer, and nobody is at the tablet. What is leased to it is not touched.

    Raises Conflict when it was revoked before.
    """
    with audit.recorded(actor=actor, at=at) as trail:
        found = _locked(actor, device)
        if found.revoked_at is not None:
            raise Conflict(_("%(name)s was revoked before.") % {"name": found.name})
        found.token_sha256 = found.code_sha256 = found.code_expires_at = None
        found.revoked_at = at
        found.save()
        _note(trail, "device.revoke", found, attendances=_send_away(found, at=at))
    return found


def _send_away(device: Device, *, at: datetime) -> int:
    """End every attendance of the tablet; who was at the old one is not at the new one unasked."""
    there = Attendance.objects.filter(device=device, ended_at__isnull=True)
    return there.update(ended_at=Least(Value(at), F("until")), is_current=False)


def set_ahead(*, actor: Actor, device: UUID, ahead: int, at: datetime) -> Device:
    """How many units it keeps ready for a time without network."""
    _check_ahead(ahead)
    with audit.recorded(actor=actor, at=at) as trail:
        found = _locked(actor, device)
        before, found.ahead = found.ahead, ahead
        found.save(update_fields=["ahead"])
        _note(trail, "device.ahead", found, before=before, after=ahead)
    return found


def set_hold_place(*, actor: Actor, station: int, place: str, at: datetime) -> Station:
    """Where held parts are put at this station; empty for the red rack."""
    place = place.strip()
    if len(place) > 64 or (place and not place.isprintable()):
        raise Invalid(_("Name the place with at most 64 characters."))
    with audit.recorded(actor=actor, at=at) as trail:
        within = actor.within(Capability.REGISTER_TABLETS)
        found = Station.objects.select_for_update().filter(within, pk=station).first()
        if found is None:
            raise Unknown(_("There is no such station for you."))
        before, found.hold_place = found.hold_place, place
        found.save(update_fields=["hold_place"])
        trail.add(
            "station.hold_place",
            subject_kind="station",
            subject=found.code,
            site_id=found.site_id,
            detail={"before": before, "after": place},
        )
    return found


def calibrate(*, actor: Actor, device: Device, px_per_mm: float, at: datetime) -> None:
    """How large a millimetre is on its screen."""
    least, most = SCALE
    if not least <= px_per_mm <= most:
        raise Invalid(
            _("That is no bank card: a millimetre is %(least)s to %(most)s pixels.")
            % {"least": round(least), "most": round(most)}
        )
    with audit.recorded(actor=actor, at=at) as trail:
        before = device.px_per_mm
        Device.objects.filter(pk=device.pk).update(px_per_mm=px_per_mm)
        device.px_per_mm = px_per_mm
        _note(trail, "device.calibrate", device, before=before, after=px_per_mm)


def note_unsent(device: Device, *, count: int, at: datetime) -> None:
    """What the tablet says it keeps; a report like a sign of life, and no entry of its own."""
    if not 0 <= count <= UNSENT_MOST:
        raise Invalid(_("The number of unsent rows is out of range."))
    Device.objects.filter(pk=device.pk).update(unsent=count, seen_at=at)


def touch(device: Device, *, at: datetime) -> None:
    """A sign of life, written at most every half minute."""
    if device.seen_at is not None and device.seen_at > at - SEEN_EVERY:
        return
    unseen = Q(seen_at__isnull=True) | Q(seen_at__lte=at - SEEN_EVERY)
    Device.objects.filter(unseen, pk=device.pk).update(seen_at=at)
    device.seen_at = at


def within(actor: Actor, capability: Capability) -> Q:
    """Filter for the tablets for which the actor holds this capability."""
    return actor.within(capability, line="station__line_id")


def _ours(actor: Actor, device: UUID) -> Device:
    allowed = within(actor, Capability.REGISTER_TABLETS)
    found = Device.objects.filter(allowed, uuid=device).select_related("account", "station").first()
    if found is None:
        raise Unknown(_("There is no such tablet for you."))
    return found


def _locked(actor: Actor, device: UUID) -> Device:
    found = _ours(actor, device)
    return Device.objects.select_for_update().get(pk=found.pk)


def _check_ours(actor: Actor, station: Station) -> None:
    check_covers(actor, Capability.REGISTER_TABLETS, site=station.site, line=station.line)


def _check_ahead(ahead: int) -> None:
    if not 1 <= ahead <= AHEAD_MOST:
        raise Invalid(_("A tablet keeps 1 to %(most)s units ready.") % {"most": AHEAD_MOST})


def _give_code(device: Device, *, at: datetime) -> str:
    """A code no other tablet waits with."""
    while True:
        code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"
        taken = Device.objects.filter(code_sha256=_code_sha256(code)).exclude(pk=device.pk)
        if not taken.exists():
            break
    device.code_sha256, device.code_expires_at = _code_sha256(code), at + CODE_LASTS
    device.save(update_fields=["code_sha256", "code_expires_at"])
    return code


def _note(trail: audit.Trail, action: str, device: Device, **detail: object) -> None:
    trail.add(
        action,
        subject_kind="device",
        subject=device.name,
        site_id=device.site_id,
        detail={"device": str(device.uuid), **detail},
    )


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _code_sha256(code: str) -> str:
    """Keyed: eight digits alone could be tried out against a stolen copy of the table."""
    return salted_hmac("governance.devices.code", code, algorithm="sha256").hexdigest()
