"""The home page, and the part of it that lives."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from governance import duty
from governance.access import Actor, actor_from, site_for, sites_for
from governance.pages import page
from governance.roles import Capability
from insights import plant_overview
from insights.learning import learning
from insights.quality_rates import Stretch
from review.line import call_views
from traceability.models import Site

CHART_HEIGHT = 100
CHART_TOPS = (0.1, 0.25, 0.5, 1.0)


@require_safe
@page(Capability.SEE_PLANT)
def home(request: HttpRequest) -> HttpResponse:
    """The plant in one look; `?site=` chooses among several."""
    actor = actor_from(request)
    site = site_for(actor, Capability.SEE_PLANT, request.GET.get("site"))
    sites = sites_for(actor, Capability.SEE_PLANT)
    return render(
        request, "insights/home.html", {"sites": sites, **_facts(actor, site, timezone.now())}
    )


@never_cache
@require_safe
@page(Capability.SEE_PLANT)
def live(request: HttpRequest) -> HttpResponse:
    """The figures alone, asked for again and again by the home page."""
    actor = actor_from(request)
    site = site_for(actor, Capability.SEE_PLANT, request.GET.get("site"))
    return render(request, "insights/home_live.html", _facts(actor, site, timezone.now()))


def _facts(actor: Actor, site: Site, at: datetime) -> dict[str, Any]:
    doubt = plant_overview.doubt(actor=actor, site=site)
    return {
        **call_views.strip(actor, site),
        "site": site,
        "now": at,
        "queue": plant_overview.queue(actor=actor, site=site),
        "approvals": plant_overview.to_approve(actor=actor, site=site),
        "held": plant_overview.on_hold(actor=actor, site=site),
        "owner": duty.owners_of([site.pk], at=at).get(site.pk),
        "unacknowledged": plant_overview.unacknowledged(actor=actor, site=site, at=at),
        "verdicts": plant_overview.verdicts_today(actor=actor, site=site, at=at),
        "model": plant_overview.model_in_force(site=site),
        "doubt": doubt,
        "chart": chart(doubt.course),
        "learning": learning(site=site),
        "passed": plant_overview.last_units(actor=actor, site=site),
    }


def chart(course: Sequence[Stretch]) -> dict[str, Any]:
    """Bars of the doubtful share in time, in a box 100 high; a line where the model changes.

    `top` is the percentage the box's upper edge stands for.
    A bar is as wide as its stretch has predictions, so equal widths are equal numbers of parts.
    """
    highest = max((stretch.rate.share for stretch in course), default=0.0)
    top = next(top for top in CHART_TOPS if highest <= top)
    bars: list[dict[str, float]] = []
    changes: list[int] = []
    x = 0
    for number, stretch in enumerate(course):
        if number and stretch.model != course[number - 1].model:
            changes.append(x)
        height = stretch.rate.share / top * CHART_HEIGHT
        bars.append(
            {"x": x, "width": stretch.rate.of, "y": CHART_HEIGHT - height, "height": height}
        )
        x += stretch.rate.of
    return {"bars": bars, "changes": changes, "width": max(x, 1), "top": round(top * 100)}
