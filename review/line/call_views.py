"""Pages of calls from the line: what is open, and how soon somebody came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from governance.access import Actor, actor_from, site_for, sites_for
from governance.pages import page
from governance.roles import Capability
from review.line import call_api, calls
from review.models import AndonCall
from traceability.models import Site
from traceability.refusals import Refusal


@require_safe
@page(Capability.SEE_PLANT)
def call_list(request: HttpRequest) -> HttpResponse:
    """Open calls and those of the last seven days, with response times."""
    sites = sites_for(actor_from(request), Capability.SEE_PLANT)
    return render(request, "review/calls.html", {"sites": sites, **_facts(request)})


@never_cache
@require_safe
@page(Capability.SEE_PLANT)
def live(request: HttpRequest) -> HttpResponse:
    """The live part alone."""
    return render(request, "review/calls_live.html", _facts(request))


@require_POST
@page(Capability.ANSWER_CALLS)
def answer(request: HttpRequest, call_id: UUID) -> HttpResponse:
    """Say that one comes."""
    return _done(request, call_id, calls.answer, _("%(station)s: you are on your way."))


@require_POST
@page(Capability.ANSWER_CALLS)
def close(request: HttpRequest, call_id: UUID) -> HttpResponse:
    """End the call."""
    said = _("%(station)s: closed.")
    return _done(request, call_id, calls.close, said, remark=request.POST.get("remark", ""))


def _done(
    request: HttpRequest,
    call_id: UUID,
    act: Callable[..., AndonCall],
    said: str,
    **more: str,
) -> HttpResponse:
    """Do it, and say so where it was asked for: beside the calls, or on the calls' page."""
    actor = actor_from(request)
    is_live = bool(getattr(request, "htmx", None))
    try:
        found = act(actor=actor, call_id=call_id, at=timezone.now(), **more)
    except Refusal as refusal:
        if not is_live:
            raise
        site = site_for(actor, Capability.SEE_PLANT, request.GET.get("site"))
        return _answer(request, actor, site, refusal.sentence, is_refusal=True)
    words = said % {"station": found.station.code}
    if is_live:
        return _answer(request, actor, found.site, words)
    messages.info(request, words)
    return redirect("line:calls")


def _answer(
    request: HttpRequest, actor: Actor, site: Site, words: str, *, is_refusal: bool = False
) -> HttpResponse:
    context = {**strip(actor, site), "said": words, "is_refusal": is_refusal}
    return render(request, "review/_open_calls.html", context)


def strip(actor: Actor, site: Site) -> dict[str, Any]:
    """What the strip of open calls shows, on whatever page."""
    found = calls.open_for(actor, site)
    return {
        "site": site,
        "now": timezone.now(),
        "calls": [(each, calls.may_answer(actor, each)) for each in found],
    }


def _facts(request: HttpRequest) -> dict[str, Any]:
    actor, at = actor_from(request), timezone.now()
    site = site_for(actor, Capability.SEE_PLANT, request.GET.get("site"))
    today, week = calls.response_times(actor, site, at=at)
    recent = calls.recent_for(actor, site, at=at)
    return {**strip(actor, site), "today": today, "week": week, "recent": recent}


call_urls = [
    path("calls/", call_list, name="calls"),
    path("calls/live/", live, name="calls_live"),
    path("calls/<uuid:call_id>/answer/", answer, name="answer_call"),
    path("calls/<uuid:call_id>/close/", close, name="close_call"),
]
call_api_urls = [
    path("calls", call_api.Calls.as_view()),
    path("calls/<uuid:call_id>/answer", call_api.CallAnswer.as_view()),
    path("calls/<uuid:call_id>/close", call_api.CallClose.as_view()),
]
