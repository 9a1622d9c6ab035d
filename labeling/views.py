"""The page of datasets and their versions."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from governance.access import actor_from
from governance.pages import page
from governance.roles import Capability
from labeling import datasets as publications
from labeling import presentation
from labeling.datasets import NothingToTrain


@require_safe
@page(Capability.SEE_DATASETS)
def datasets(request: HttpRequest) -> HttpResponse:
    """Versions, what changed in each, and how many labels wait for the next."""
    rows = presentation.overview(actor_from(request))
    return render(request, "labeling/datasets.html", {"rows": rows})


@require_safe
@page(Capability.SEE_POLICIES)
def acceptance_criteria(request: HttpRequest) -> HttpResponse:
    """Every version of the actor's sites, the newest first; the one in force in full."""
    shown = presentation.criteria_of(actor_from(request))
    return render(request, "labeling/criteria.html", {"versions": shown})


@require_POST
@page(Capability.PUBLISH_DATASETS)
def publish(request: HttpRequest, slug: str) -> HttpResponse:
    """Publish the labels that hold, now."""
    actor = actor_from(request)
    dataset = presentation.find(actor, Capability.PUBLISH_DATASETS, slug)
    before = publications.latest(dataset)
    reason = request.POST.get("reason", "").strip() or _("By hand")
    try:
        version = publications.publish(
            actor=actor, dataset=dataset, reason=reason, at=timezone.now()
        )
    except NothingToTrain as refusal:
        messages.error(request, refusal.sentence)
    else:
        if version == before:
            messages.info(request, _("Nothing has changed since %(v)s.") % {"v": version})
        else:
            messages.info(request, _("Version %(v)s is published.") % {"v": version})
    return redirect("labeling:datasets")
