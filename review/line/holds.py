"""Held units at a station, and who put them where."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet
from django.utils.translation import gettext as _

from governance import audit
from governance.access import Actor
from governance.models import Device
from review.models import HoldAcknowledgement
from traceability.models import Disposition, DispositionKind, Station, Unit
from traceability.refusals import Conflict, Unknown

LONGEST_PLACE: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Putting:
    """What an operator says: this held unit is where it belongs. `key` names the press."""

    serial: str
    held_since: datetime
    place: str
    key: UUID
    made_at: datetime


def place_of(station: Station) -> str:
    """Where held parts are put at this station, in the words of its people."""
    return station.hold_place or _("red rack")


def unacknowledged(station_id: int) -> QuerySet[Unit]:
    """Held units nobody has said to have put away, the longest held first."""
    put = HoldAcknowledgement.objects.filter(unit=OuterRef("pk"), held_since=OuterRef("held_since"))
    return Unit.objects.filter(~Exists(put), held_at_station=station_id).order_by(
        "held_since", "pk"
    )


def acknowledge(
    *, actor: Actor, device: Device | None, station: Station, put: Putting, at: datetime
) -> HoldAcknowledgement:
    """Record who put a held unit away, and when; pressed again it answers the same.

    A hold that was lifted meanwhile is acknowledged all the same: the part was moved. Raises
    Unknown where the unit was not held then, Conflict where the press was another unit's.
    """
    with audit.recorded(actor=actor, at=at) as trail:
        unit = _unit(station, put)
        of_the_press = HoldAcknowledgement.objects.filter(key=put.key)
        if of_the_press.exclude(unit=unit, held_since=put.held_since).exists():
            raise Conflict(_("This press was recorded for another unit. Press again."))
        made, is_new = HoldAcknowledgement.objects.get_or_create(
            unit=unit,
            held_since=put.held_since,
            defaults={
                "site_id": station.site_id,
                "station": station,
                "place": put.place[:LONGEST_PLACE] or place_of(station),
                "key": put.key,
                "device": device,
                "by_id": cast(int, actor.user_id),
                "made_at": put.made_at,
                "at": at,
            },
        )
        if not is_new:
            trail.nothing_changed()
            return made
        trail.add(
            "hold.acknowledge",
            subject_kind="unit",
            subject=unit.serial,
            site_id=unit.site_id,
            detail={
                "place": made.place,
                "station": station.code,
                "held_since": put.held_since.isoformat(),
                "pressed_at": put.made_at.isoformat(),
                "tablet": device.name if device else None,
            },
        )
        return made


def _unit(station: Station, put: Putting) -> Unit:
    """The unit, if it was held from that moment on."""
    unit = (
        Unit.objects.select_for_update(no_key=True)
        .filter(site_id=station.site_id, serial=put.serial)
        .first()
    )
    was_held = unit is not None and (
        unit.held_since == put.held_since
        or Disposition.objects.filter(
            unit=unit, kind=DispositionKind.HOLD, decided_at=put.held_since
        ).exists()
    )
    if unit is None or not was_held:
        raise Unknown(_("%(serial)s was not on hold then.") % {"serial": put.serial[:128]})
    return unit
