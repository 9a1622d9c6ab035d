"""Which station is meant, and who may look at it."""

from __future__ import annotations

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from governance.access import Actor
from governance.models import Device
from governance.roles import Capability
from traceability.models import Station
from traceability.refusals import Conflict, Unknown


def seen_by(actor: Actor) -> QuerySet[Station]:
    """Stations of the lines this actor sees, in the order of line and code."""
    return (
        Station.objects.filter(actor.within(Capability.SEE_UNITS))
        .select_related("line", "site")
        .order_by("site__code", "line__code", "code")
    )


def named(stations: QuerySet[Station], slug: str) -> Station:
    """The station `st-1`, or `line-1:st-1` where several lines have one of that name.

    Raises Unknown, or Conflict that names the choices.
    """
    meant = Q(code=slug)
    line, colon, code = slug.partition(":")
    if colon:
        meant |= Q(line__code=line, code=code)
    found = list(stations.filter(meant)[:9])
    if not found:
        raise Unknown(_("There is no station %(slug)s for you.") % {"slug": slug[:130]})
    if len(found) > 1:
        choices = ", ".join(f"{station.line.code}:{station.code}" for station in found[:8])
        raise Conflict(
            _("Several lines have a station %(slug)s. Choose one of %(choices)s.")
            % {"slug": slug[:130], "choices": choices},
            code="station_ambiguous",
        )
    return found[0]


def slug_of(station: Station) -> str:
    """How a page's address names it, with its line, so that it stays right when others come."""
    return f"{station.line.code}:{station.code}"


def of_device(device: Device) -> Station:
    """The station a tablet stands at, with line and site."""
    return Station.objects.select_related("line", "site").get(pk=device.station_id)
