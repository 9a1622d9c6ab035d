"""Pages of the line: the stations, a station's screen, and what a lead has to see."""

from __future__ import annotations

import base64
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_POST, require_safe

from governance.access import actor_from
from governance.devices import device_of
from governance.models import Device
from governance.pages import page
from governance.roles import Capability
from review.line import guide_words, opinions, overview, shell, stations, words
from traceability.models import Station


@require_safe
def station_list(request: HttpRequest) -> HttpResponseBase:
    """Every station one sees, with its state; a registered tablet is sent to its own."""
    device = device_of(request)
    if device is not None and SESSION_KEY not in request.session:
        return redirect("line:station", station=stations.slug_of(device.station))
    return _stations(request)


@page(Capability.SEE_UNITS)
def _stations(request: HttpRequest) -> HttpResponse:
    actor = actor_from(request)
    found, own = list(stations.seen_by(actor)), device_of(request)
    return render(
        request,
        "line/stations.html",
        {
            "rows": overview.of(found, at=timezone.now()),
            "own": own,
            "own_slug": stations.slug_of(own.station) if own else "",
            "second_opinions": opinions.unseen(actor).count(),
        },
    )


@require_safe
@ensure_csrf_cookie
def screen(request: HttpRequest, station: str) -> HttpResponseBase:
    """A station's screen: the tablet's own, or to look on."""
    device = device_of(request)
    if device is not None and station in (device.station.code, stations.slug_of(device.station)):
        return _screen(request, device.station, device)
    return _look_on(request, station)


@page(Capability.SEE_UNITS)
def _look_on(request: HttpRequest, slug: str) -> HttpResponse:
    return _screen(request, stations.named(stations.seen_by(actor_from(request)), slug), None)


def _screen(request: HttpRequest, of: Station, device: Device | None) -> HttpResponse:
    slug = stations.slug_of(of)
    return render(
        request,
        "line/station.html",
        {
            "station": of,
            "device": device,
            "words": words.words(),
            "page": {
                "slug": slug,
                "site": of.site.code,
                "line": of.line.code,
                "station": of.code,
                "api": "/api/v1/line",
                "is_look_only": device is None,
                "device": str(device.uuid) if device else None,
                "ahead": device.ahead if device else 0,
                "px_per_mm": device.px_per_mm if device else None,
                "app": shell.app_version(),
                "language": get_language(),
                "undo_seconds": settings.LOUPE.undo_window_s,
            },
        },
    )


@require_safe
@page(Capability.SEE_UNITS)
def guide(request: HttpRequest) -> HttpResponse:
    """One page to print and hang up at the station."""
    context = {
        "states": guide_words.states(),
        "undo_seconds": round(settings.LOUPE.undo_window_s),
        "escalates_minutes": round(settings.LOUPE.call_escalates_s / 60),
        "address": _address(),
    }
    return render(request, "line/guide.html", context)


def _address() -> str:
    """The QR code of the tablets' address, once `make tablets` has made one."""
    made = settings.LOUPE.state / "tls" / "address.svg"
    return base64.b64encode(made.read_bytes()).decode() if made.is_file() else ""


@require_safe
@page(Capability.SUPERVISE)
def second_opinions(request: HttpRequest) -> HttpResponse:
    """What tablets sent too late to count."""
    actor = actor_from(request)
    unseen = list(opinions.unseen(actor)[: opinions.SHOWN])
    context = {"unseen": unseen, "seen": opinions.latest(actor)}
    return render(request, "line/second_opinions.html", context)


@require_POST
@page(Capability.SUPERVISE)
def see_opinion(request: HttpRequest, opinion: UUID) -> HttpResponse:
    """A lead has read one."""
    opinions.see(actor=actor_from(request), opinion_id=opinion, at=timezone.now())
    messages.info(request, _("Seen."))
    return redirect("line:second_opinions")
