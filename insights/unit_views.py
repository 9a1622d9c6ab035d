"""Pages: find a unit, and see all that is known of it."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe

from governance import reference_images
from governance.access import actor_from
from governance.pages import page
from governance.roles import Capability
from insights import rework
from insights import units as stories
from mes_integration import changes


@require_safe
@page(Capability.SEE_UNITS)
def units(request: HttpRequest) -> HttpResponse:
    """Units by serial or lot."""
    actor, text = actor_from(request), request.GET.get("q", "")
    is_in_rework = request.GET.get("show") == "rework"
    found = stories.search(actor, text, is_in_rework=is_in_rework)
    return render(
        request,
        "insights/units.html",
        {
            "units": found,
            "q": text,
            "is_full": len(found) == stories.FOUND,
            "is_in_rework": is_in_rework,
            "in_rework": stories.count_in_rework(actor),
            "now": timezone.now(),
        },
    )


@require_safe
@page(Capability.SEE_UNITS)
def unit(request: HttpRequest, serial: str) -> HttpResponse:
    """One unit; `?site=` chooses when two sites use the same serial."""
    actor = actor_from(request)
    found = stories.find(actor, serial=serial, site=request.GET.get("site") or None)
    unseen = stories.unseen(actor, found)
    visits = stories.story(actor, found, unseen=unseen, at=timezone.now())
    return render(
        request,
        "insights/unit.html",
        {
            "unit": found,
            "visits": visits,
            "reworks": rework.reworks(found),
            "conflicts": changes.open_of(actor=actor, unit=found),
            # How the unit stands tells what a model or a colleague has said.
            "is_held": bool(unseen),
            "sets_references": actor.can(Capability.SET_REFERENCES)
            and found.part_revision_id is not None,
        },
    )


@require_POST
@page(Capability.SET_REFERENCES)
def reference(request: HttpRequest, capture: UUID) -> HttpResponse:
    """Make an image the reference of its part revision and view."""
    chosen = reference_images.make_reference(
        actor=actor_from(request), capture=capture, at=timezone.now()
    )
    unit_page = reverse("insights:unit", args=[chosen.inspection.unit.serial])
    return redirect(f"{unit_page}?{urlencode({'site': chosen.site.code})}")
