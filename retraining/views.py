"""Pages: the model in force, the way to the next one, and what the gate said of each."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from governance.access import Actor, actor_from, site_for, sites_for
from governance.pages import page
from governance.roles import Capability
from retraining import deployments, presentation, runs
from retraining.models import TrainingRun
from retraining.transitions import OPEN
from retraining.triggers import Cause
from traceability.models import Site

RUNS_SHOWN = 20
MODELS_SHOWN = 10


@require_safe
@page(Capability.SEE_MODELS)
def models(request: HttpRequest) -> HttpResponse:
    """Everything about one site's models."""
    site = _site(request)
    actor = actor_from(request)
    context = _live(site) | _tables(request, site)
    context["sites"] = sites_for(actor, Capability.SEE_MODELS)
    context["can_train"] = _holds(actor, Capability.TRAIN_MODELS, site)
    return render(request, "retraining/models.html", context)


@require_safe
@page(Capability.SEE_MODELS)
def live(request: HttpRequest) -> HttpResponse:
    """What moves: the model in force, the labels, the run; asked for again and again."""
    context = _live(_site(request))
    response = render(request, "retraining/live.html", context)
    if request.GET.get("seen") != context["mark"]:
        response["HX-Trigger"] = "models-changed"
    return response


@require_safe
@page(Capability.SEE_MODELS)
def tables(request: HttpRequest) -> HttpResponse:
    """Models and runs; asked for when one of them has changed."""
    return render(request, "retraining/tables.html", _tables(request, _site(request)))


@require_safe
@page(Capability.SEE_MODELS)
def run(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """One run: where it stands, what the gate said, where it comes from."""
    return render(request, "retraining/run.html", _run(request, uuid))


@require_safe
@page(Capability.SEE_MODELS)
def run_live(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Where one run stands; an ended one has the whole page drawn once more."""
    context = _run(request, uuid)
    response = render(request, "retraining/run_live.html", context)
    if not context["is_open"]:
        response["HX-Refresh"] = "true"
    return response


@require_POST
@page(Capability.TRAIN_MODELS)
def retrain(request: HttpRequest) -> HttpResponse:
    """Train on the labels there are, now."""
    actor = actor_from(request)
    dataset = presentation.find_dataset(actor, request.POST.get("dataset", ""))
    asked = runs.request(
        actor=actor,
        dataset=dataset,
        trigger=Cause.MANUAL,
        reason=request.POST.get("reason", "").strip() or _("By hand"),
        at=timezone.now(),
    )
    messages.info(request, _("Training of version %(v)s starts.") % {"v": asked.model_version})
    return _back(dataset.site)


@require_POST
@page(Capability.PROMOTE_MODELS)
def promote(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Put a model that passed the gate in force."""
    actor = actor_from(request)
    model = presentation.find_model(actor, Capability.PROMOTE_MODELS, uuid)
    reason = request.POST.get("reason", "")
    deployments.promote(actor=actor, model=model, reason=reason, at=timezone.now())
    messages.info(request, _("%(model)s is in force.") % {"model": model.model_version})
    return _back(model.site)


@require_POST
@page(Capability.PROMOTE_MODELS)
def roll_back(request: HttpRequest) -> HttpResponse:
    """Bring the model before this one back."""
    actor = actor_from(request)
    site = site_for(actor, Capability.PROMOTE_MODELS, request.POST.get("site"))
    reason = request.POST.get("reason", "")
    done = deployments.roll_back(actor=actor, site=site, reason=reason, at=timezone.now())
    messages.info(request, _("%(model)s is in force again.") % {"model": done.model.model_version})
    return _back(site)


def _site(request: HttpRequest) -> Site:
    return site_for(actor_from(request), Capability.SEE_MODELS, request.GET.get("site") or None)


def _holds(actor: Actor, capability: Capability, site: Site) -> bool:
    """Whether the actor holds the capability for the whole site: a line's role is not enough."""
    return any(
        scope.site_id == site.pk and scope.line_id is None for scope in actor.scopes_for(capability)
    )


def _back(site: Site) -> HttpResponse:
    return redirect(f"{reverse('retraining:models')}?site={site.code}")


def _live(site: Site) -> dict[str, Any]:
    """`mark` changes when a run or a deployment does, not with a run's progress."""
    deployment = presentation.latest_deployment(site)
    last = TrainingRun.objects.filter(site=site).order_by("-pk").first()
    served = deployment.serving_since if deployment else None
    return {
        "site": site,
        "deployment": deployment,
        "progress": presentation.progress_of(site),
        "mark": ".".join(
            str(part)
            for part in (
                last.pk if last else 0,
                last.state if last else "",
                deployment.pk if deployment else 0,
                int(served.timestamp()) if served else 0,
            )
        ),
    }


def _tables(request: HttpRequest, site: Site) -> dict[str, Any]:
    actor = actor_from(request)
    deployment = presentation.latest_deployment(site)
    earlier = deployments.before(deployment.model) if deployment else None
    return {
        "site": site,
        "rows": presentation.model_rows(site, limit=MODELS_SHOWN),
        "runs": [
            {"run": one, "tone": presentation.TONES[one.state]}
            for one in presentation.runs_for(actor).filter(site=site)[:RUNS_SHOWN]
        ],
        "earlier": earlier,
        "can_promote": _holds(actor, Capability.PROMOTE_MODELS, site),
    }


def _run(request: HttpRequest, uuid: UUID) -> dict[str, Any]:
    found = presentation.find_run(actor_from(request), uuid)
    return {
        "run": found,
        "cause": dict(Cause.choices).get(found.trigger, found.trigger),
        "tone": presentation.TONES[found.state],
        "is_open": found.state in OPEN,
        "checks": presentation.check_rows(found),
        "model": getattr(found, "registeredmodel", None),
    }
