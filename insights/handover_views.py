"""Pages: what the next lead takes over, and what earlier ones signed."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from governance.access import Actor, actor_from, site_for, sites_for
from governance.pages import page
from governance.roles import Capability
from insights import handover, open_items
from insights.handover import Changed, Document, NotRead
from insights.handover_words import shown
from traceability.models import Site
from traceability.refusals import NotAllowed, Refusal

LISTED = 20


@never_cache
@require_safe
@page(Capability.SEE_HANDOVERS)
def current(request: HttpRequest) -> HttpResponse:
    """What is open now; `?site=` chooses among several."""
    actor = actor_from(request)
    site = site_for(actor, Capability.SEE_HANDOVERS, request.GET.get("site"))
    return _page(request, actor, site)


@never_cache
@sensitive_post_parameters("password")
@require_POST
@page(Capability.SIGN_HANDOVERS)
def sign(request: HttpRequest) -> HttpResponse:
    """Take the shift over; where something has changed meanwhile, show it and ask again."""
    actor = actor_from(request)
    site = site_for(actor, Capability.SIGN_HANDOVERS, request.POST.get("site"))
    try:
        signed = handover.sign(
            actor=actor,
            site=site,
            seen=request.POST.get("seen", ""),
            password=request.POST.get("password", ""),
            remark=request.POST.get("remark", ""),
            at=timezone.now(),
        )
    except (Changed, NotRead, NotAllowed) as refusal:
        return _page(request, actor, site, refusal)
    return redirect("insights:signed_handover", uuid=signed.uuid)


def _page(
    request: HttpRequest, actor: Actor, site: Site, refusal: Refusal | None = None
) -> HttpResponse:
    at = timezone.now()
    document = handover.document(actor=actor, site=site, at=at)
    before = request.GET.get("before", "")
    earlier = list(handover.signed(actor=actor, site=site, before=before)[: LISTED + 1])
    context = {
        **_told(document, actor, refusal.new if isinstance(refusal, Changed) else frozenset()),
        "site": site,
        "sites": sites_for(actor, Capability.SEE_HANDOVERS),
        "seen": document.sealed(),
        "items": document.items,
        "why_not": handover.why_not_sign(actor=actor, site=site),
        "earlier": earlier[:LISTED],
        "older": earlier[LISTED - 1].uuid if len(earlier) > LISTED else None,
        "refusal": refusal,
        "remark": request.POST.get("remark", ""),
    }
    status = 200 if refusal is None else 403 if isinstance(refusal, NotAllowed) else 409
    return render(request, "insights/handover.html", context, status=status)


@require_safe
@page(Capability.SEE_HANDOVERS)
def signed(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """One handover exactly as it was signed."""
    actor = actor_from(request)
    found = handover.find(actor=actor, uuid=uuid)
    context = {
        **_told(Document(found.content), actor),
        "signed": found,
        "is_untouched": handover.is_untouched(found),
    }
    return render(request, "insights/handover_signed.html", context)


def _told(document: Document, actor: Actor, new: frozenset[str] = frozenset()) -> dict[str, Any]:
    unseen = open_items.unseen(actor, site=document.content["site"])
    return {"document": shown(document, unseen=unseen, new=new)}
