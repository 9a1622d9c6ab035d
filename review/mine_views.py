"""One's own figures, and nobody else's."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from governance.access import actor_from
from governance.pages import page
from governance.roles import Capability
from review.agreement import definition
from review.own_figures import DAYS, own_figures


@never_cache
@require_safe
@page(Capability.REVIEW)
def mine(request: HttpRequest) -> HttpResponse:
    """The figures of who asks; nothing in the request names a person."""
    figures = own_figures(actor=actor_from(request), at=timezone.now())
    return render(
        request,
        "review/mine.html",
        {"figures": figures, "days": DAYS, "definition": definition()},
    )
