"""Pages: find a unit, and see all that is known of it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from governance.access import actor_from
from governance.pages import page
from governance.roles import Capability
from insights import units as stories


@require_safe
@page(Capability.SEE_UNITS)
def units(request: HttpRequest) -> HttpResponse:
    """Units by serial or lot."""
    text = request.GET.get("q", "")
    found = stories.search(actor_from(request), text)
    return render(
        request,
        "insights/units.html",
        {"units": found, "q": text, "is_full": len(found) == stories.FOUND},
    )


@require_safe
@page(Capability.SEE_UNITS)
def unit(request: HttpRequest, serial: str) -> HttpResponse:
    """One unit; `?site=` chooses when two sites use the same serial."""
    actor = actor_from(request)
    found = stories.find(actor, serial=serial, site=request.GET.get("site") or None)
    visits = stories.story(actor, found, at=timezone.now())
    return render(request, "insights/unit.html", {"unit": found, "visits": visits})
