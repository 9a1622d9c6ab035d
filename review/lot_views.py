"""Pages: lots that may be judged together, and one of them as a grid."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import render, resolve_url
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from governance.access import Actor, actor_from, site_for, sites_for
from governance.pages import page
from governance.roles import Capability
from labeling import catalogue
from labeling.models import DefectClass, Severity
from review import claimed, lots
from review.lots import Place
from review.presentation import tasks_as_json
from review.views import defect_classes

# Stands in an address for "the model suspects no class".
NOTHING = "-"


@require_safe
@page(Capability.REVIEW)
def lot_list(request: HttpRequest) -> HttpResponse:
    """Every lot of a site with enough parts waiting; `?site=` chooses among several."""
    actor = actor_from(request)
    site = site_for(actor, Capability.REVIEW, request.GET.get("site"))
    names = {known.code: known.name for known in catalogue.classes_of(site)}
    rows = [
        {
            "lot": each,
            "suspects": names.get(each.suspicion, each.suspicion),
            "sample": _sample(each.count),
            "address": reverse(
                "review:lot", args=[each.lot_id, each.part_id, each.suspicion or NOTHING]
            ),
        }
        for each in lots.waiting(actor=actor, site=site)
    ]
    return render(
        request,
        "review/lots.html",
        {
            "site": site,
            "sites": sites_for(actor, Capability.REVIEW),
            "rows": rows,
            "fewest": lots.FEWEST,
        },
    )


def _sample(count: int) -> int:
    return lots.sample_size(count, share=settings.LOUPE.bulk_deviating_share)


@require_safe
@page(Capability.REVIEW)
def lot(request: HttpRequest, lot: int, part: int, suspicion: str) -> HttpResponse:
    """One lot as a grid of previews."""
    actor = actor_from(request)
    suspects = "" if suspicion == NOTHING else suspicion
    where = lots.place(actor=actor, lot_id=lot, part_id=part, suspicion=suspects)
    found = list(lots.tasks(actor=actor, where=where)[: lots.MOST])
    shown = tasks_as_json(
        claimed.all_shown(task_ids=[task.pk for task in found]),
        lease_s=settings.LOUPE.lease_s,
        at=timezone.now(),
    )
    defects = list(catalogue.classes_of(where.lot.site))
    defect = next((known for known in defects if known.code == suspects), None)
    return render(
        request,
        "review/lot.html",
        {
            "where": where,
            "defect": defect,
            "parts": shown,
            "sample": _sample(len(shown)),
            "is_enough": len(shown) >= lots.FEWEST,
            "is_closed": lots.is_closed(where),
            "may_confirm": defect is not None and defect.severity != Severity.CRITICAL,
            "held_by_others": lots.held_by_others(actor=actor, where=where),
            "config": _config(request, actor, where, defect),
        },
    )


def _config(
    request: HttpRequest, actor: Actor, where: Place, defect: DefectClass | None
) -> dict[str, Any]:
    site = where.lot.site
    return {
        "api": "/api/v1/review",
        "csrf": get_token(request),
        "login": f"{resolve_url(settings.LOGIN_URL)}?next={request.path}",
        "person": actor.name,
        "lot": where.lot.pk,
        "part_number": where.part_number.pk,
        "suspicion": where.suspicion,
        "default_disposition": defect.default_disposition if defect else "HOLD",
        "classes": defect_classes(site),
        "share": settings.LOUPE.bulk_deviating_share,
        "fewest": lots.FEWEST,
        "keep_seconds": settings.LOUPE.lease_s / 3,
        "strings": {
            "out": _("left out"),
            "chosen": _("{n} of {all} parts, {out} left out; sample: {of}"),
            "sample": _("Sample: part {n} of {all}"),
            "ready": _("The sample is as the lot is said to be. {n} parts are left to decide."),
            "decided": _("{n} parts decided."),
            "left_out": _("Not decided: {serials}"),
            "undo": _("Take all {n} back ({s} s)"),
            "undone": _("{n} parts are back in the queue."),
            "held": _("{n} parts of this lot are with colleagues and are left out."),
            "unreachable": _("No connection. Nothing is lost; try again."),
            "no_image": _("An image of this part cannot be shown. Give the lot back."),
        },
    }
