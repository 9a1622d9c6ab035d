"""What the page Tablets shows: every tablet by line and station, and who has a PIN."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from django.conf import settings
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from governance import pins
from governance.access import Actor
from governance.devices import within
from governance.models import Device, Pin, User
from governance.roles import Capability
from governance.standing import standing_at
from traceability.models import Line, Station

QUIET_AFTER: Final = timedelta(minutes=10)
PEOPLE_SHOWN: Final = 200
DEMO_FILE: Final = "badges.txt"


@dataclass(frozen=True, slots=True)
class TabletRow:
    """One tablet; `warning` says what a lead should see to."""

    device: Device
    operator: User | None
    word: str
    tone: str
    warning: str


@dataclass(frozen=True, slots=True)
class StationRows:
    """A station and its tablets."""

    station: Station
    tablets: Sequence[TabletRow]


@dataclass(frozen=True, slots=True)
class LineRows:
    """A line and its stations."""

    line: Line
    stations: Sequence[StationRows]


@dataclass(frozen=True, slots=True)
class PersonRow:
    """Somebody who may judge at a line, and how his PIN stands."""

    user: User
    word: str
    tone: str
    pin: Pin | None


def lines(actor: Actor, *, at: datetime) -> list[LineRows]:
    """Every line the actor sees tablets of, with its stations, those without a tablet too."""
    stations = (
        Station.objects.filter(actor.within(Capability.SEE_TABLETS))
        .select_related("line", "site")
        .order_by("site__code", "line__code", "code")
    )
    rows = rows_of(
        list(
            Device.objects.filter(within(actor, Capability.SEE_TABLETS))
            .select_related("station__line", "site")
            .order_by("name")
        ),
        at=at,
    )
    by_station: dict[int, list[TabletRow]] = {}
    for row in rows:
        by_station.setdefault(row.device.station_id, []).append(row)
    return [
        LineRows(line, [StationRows(each, by_station.get(each.pk, [])) for each in group])
        for line, group in groupby(stations, key=lambda station: station.line)
    ]


def rows_of(devices: Sequence[Device], *, at: datetime) -> list[TabletRow]:
    """How these tablets stand."""
    there = standing_at([device.pk for device in devices], at=at)
    operators = {each.device_id: each.user for each in there if each.is_current}
    return [_row(device, operators.get(device.pk), at=at) for device in devices]


def _row(device: Device, operator: User | None, *, at: datetime) -> TabletRow:
    warning = ""
    if device.unsent and (device.seen_at is None or device.seen_at < at - QUIET_AFTER):
        warning = ngettext(
            "It keeps %(n)d answer nobody else has. Bring it into the network before it is wiped.",
            "It keeps %(n)d answers nobody else has. Bring it into the network before it is wiped.",
            device.unsent,
        ) % {"n": device.unsent}
    word, tone = _state(device, at=at)
    return TabletRow(device=device, operator=operator, word=word, tone=tone, warning=warning)


def _state(device: Device, *, at: datetime) -> tuple[str, str]:
    if device.code_expires_at is not None and device.code_expires_at > at:
        return _("waits for its code"), "quiet"
    if device.revoked_at is not None:
        return _("revoked"), "quiet"
    if device.token_sha256 is None:
        return _("not registered"), "quiet"
    return _("registered"), "ok"


def people(actor: Actor, *, named: str = "") -> list[PersonRow]:
    """Who may judge at the actor's lines; `named` narrows it to a part of name or badge."""
    found = pins.people_of(actor, Capability.SEE_TABLETS).select_related("pin")
    if named:
        found = found.filter(
            Q(username__icontains=named)
            | Q(first_name__icontains=named)
            | Q(last_name__icontains=named)
            | Q(badge=named)
        )
    return [person_row(user) for user in found.order_by("username")[:PEOPLE_SHOWN]]


def person_row(user: User) -> PersonRow:
    """How somebody's PIN stands."""
    pin: Pin | None = getattr(user, "pin", None)
    if not user.badge:
        return PersonRow(user, _("no badge"), "quiet", pin)
    if pin is None:
        return PersonRow(user, _("no PIN"), "quiet", pin)
    if pins.is_locked(pin):
        return PersonRow(user, _("locked"), "warn", pin)
    return PersonRow(user, _("set"), "ok", pin)


def demo_badges() -> list[dict[str, str]]:
    """In the demo: badge and PIN of its people, which are no secret."""
    file = settings.LOUPE.state / "demo" / DEMO_FILE
    if not (settings.LOUPE.demo and file.is_file()):
        return []
    rows = (line.split("\t") for line in file.read_text(encoding="utf-8").splitlines())
    return [{"name": r[0], "badge": r[1], "pin": r[2]} for r in rows if len(r) == 3]
