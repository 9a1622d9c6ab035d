"""Sites, lines and stations that an admin sets up."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext as _

from governance import audit
from governance.access import Actor
from traceability.models import Line, Site, Station
from traceability.refusals import Conflict, Invalid, Unknown


def site_of(code: str) -> Site:
    """The site of this code; Unknown when there is none."""
    site = Site.objects.filter(code=code).first()
    if site is None:
        raise Unknown(_("There is no site %(code)s.") % {"code": code[:64]})
    return site


def line_of(site: Site, code: str) -> Line:
    """The site's line of this code; Unknown when it has none."""
    line = Line.objects.filter(site=site, code=code).first()
    if line is None:
        raise Unknown(
            _("There is no line %(line)s at %(site)s.") % {"line": code[:64], "site": site.code}
        )
    return line


def found_site(trail: audit.Trail, code: str) -> Site:
    """The site of this code, made when it is new."""
    _check_code(code)
    site, is_new = Site.objects.get_or_create(code=code)
    if is_new:
        trail.add("site.add", subject_kind="site", subject=code, site_id=site.pk)
    return site


def add_line(*, actor: Actor, site: Site, code: str, station: str, at: datetime) -> Line:
    """Add a line, or a station to it (`station` may be empty). Conflict when all is there."""
    _check_code(code)
    if station:
        _check_code(station)
    with audit.recorded(actor=actor, at=at) as trail:
        line, is_new = Line.objects.get_or_create(site=site, code=code)
        if is_new:
            trail.add("line.add", subject_kind="line", subject=code, site_id=site.pk)
        if station:
            _row, station_is_new = Station.objects.get_or_create(site=site, line=line, code=station)
            is_new = is_new or station_is_new
            if station_is_new:
                trail.add(
                    "station.add",
                    subject_kind="station",
                    subject=station,
                    site_id=site.pk,
                    detail={"line": code},
                )
        if not is_new:
            raise Conflict(_("%(code)s is there already.") % {"code": station or code})
    return line


def _check_code(code: str) -> None:
    if not code or len(code) > 64 or code != code.strip() or not code.isprintable():
        raise Invalid(
            _("The code %(code)r cannot be used; take 1 to 64 letters, digits or dashes.")
            % {"code": code[:64]}
        )
