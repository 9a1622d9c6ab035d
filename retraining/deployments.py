"""A model put in force by a person, or taken back; and then before the line."""

from __future__ import annotations

import logging
from datetime import datetime

from django.conf import settings
from django.db.models import Max, QuerySet
from django.utils.translation import gettext as _

from governance.access import Actor, check_can, check_covers, system
from governance.audit import Trail, recorded
from governance.roles import Capability
from retraining import registry
from retraining.backends import choice
from retraining.backends.protocol import BackendRefused, BackendUnavailable, Release
from retraining.models import Deployment, RegisteredModel
from retraining.transitions import check_model
from traceability.models import ModelVersion, Site
from traceability.refusals import Conflict, Invalid

log = logging.getLogger(__name__)
REASON_LIMIT = 300


def promote(*, actor: Actor, model: RegisteredModel, reason: str, at: datetime) -> Deployment:
    """Put a model that passed the gate in force; a first model may be promoted by the system."""
    _check_may(actor, model.site)
    reason = _given(reason)
    with recorded(actor=actor, at=at) as trail:
        current = _locked(model.site)
        model = registry.models_of(model.site).get(pk=model.pk)
        check_promotable(model, current)
        if actor.kind == "system" and current is not None:
            raise Conflict(_("Only a person may replace the model in force."))
        deployment = _deploy(
            trail, model=model, replaced=current, kind=Deployment.Kind.PROMOTION, reason=reason
        )
    put_in_service(deployment=deployment, at=at)
    return deployment


def roll_back(*, actor: Actor, site: Site, reason: str, at: datetime) -> Deployment:
    """Bring back the model that the one in force replaced."""
    _check_may(actor, site)
    reason = _given(reason)
    with recorded(actor=actor, at=at) as trail:
        current = _locked(site)
        earlier = before(current)
        if current is None or earlier is None:
            raise Conflict(_("There is no earlier model to roll back to."))
        deployment = _deploy(
            trail, model=earlier, replaced=current, kind=Deployment.Kind.ROLLBACK, reason=reason
        )
    put_in_service(deployment=deployment, at=at)
    return deployment


def before(model: RegisteredModel | None) -> RegisteredModel | None:
    """The model that this one's promotion replaced."""
    promotions = Deployment.objects.filter(model=model, kind=Deployment.Kind.PROMOTION)
    promotion = promotions.select_related("replaced__model_version").order_by("-pk").first()
    return promotion.replaced if promotion else None


def check_promotable(model: RegisteredModel, current: RegisteredModel | None) -> None:
    """Raise Conflict with the sentence the disabled button shows."""
    if model == current:
        raise Conflict(_("%(model)s is in force already.") % {"model": model.model_version})
    if model.state == RegisteredModel.State.REFUSED:
        raise Conflict(
            _("The gate refused %(model)s. Label more parts and retrain.")
            % {"model": model.model_version}
        )
    check_model(RegisteredModel.State(model.state), RegisteredModel.State.IN_FORCE)
    if model.run is not None and model.run.champion_id != (current.pk if current else None):
        raise Conflict(
            _(
                "The gate compared %(model)s with another model than the one in force now. "
                "Retrain to compare it again."
            )
            % {"model": model.model_version}
        )


def put_in_service(*, deployment: Deployment, at: datetime) -> bool:
    """Bring the deployed model before the line; False while it is on its way, or refused."""
    try:
        service = choice.serving().put(_release(deployment))
    except BackendUnavailable as error:
        log.warning("deployment %s waits: %s", deployment.pk, error)
        return False
    except BackendRefused as error:
        _record(deployment, at=at, failure=str(error)[:1024], is_refused=True)
        return False
    if service.is_serving or service.package_arn or service.hindrance:
        _record(
            deployment,
            at=at,
            serves=service.is_serving,
            package_arn=service.package_arn,
            failure=service.hindrance[:1024],
        )
    return service.is_serving


def sweep(*, at: datetime) -> None:
    """Put in service what a crash, or an endpoint that takes its time, left out."""
    latest = Deployment.objects.values("site").annotate(latest=Max("pk")).values("latest")
    deployments = _deployments().filter(pk__in=latest).order_by("pk")
    for deployment in deployments.filter(serving_since=None, is_refused=False):
        put_in_service(deployment=deployment, at=at)
    newest = deployments.filter(is_refused=False).last()
    if newest is None or newest.serving_since is None:
        return
    if not choice.serving().holds(_release(newest)):
        put_in_service(deployment=newest, at=at)


def _check_may(actor: Actor, site: Site) -> None:
    if actor.kind == "system":
        return
    check_can(actor, Capability.PROMOTE_MODELS)
    check_covers(actor, Capability.PROMOTE_MODELS, site=site, line=None)


def _given(reason: str) -> str:
    reason = reason.strip()
    if not reason:
        raise Invalid(_("Say why, in a few words."))
    if len(reason) > REASON_LIMIT:
        raise Invalid(_("The reason is longer than %(most)d characters.") % {"most": REASON_LIMIT})
    return reason


def _locked(site: Site) -> RegisteredModel | None:
    """The model in force, with every other deployment at the site waiting for this one."""
    Site.objects.select_for_update(no_key=True).get(pk=site.pk)
    return registry.in_force(site)


def _deploy(
    trail: Trail,
    *,
    model: RegisteredModel,
    replaced: RegisteredModel | None,
    kind: Deployment.Kind,
    reason: str,
) -> Deployment:
    if replaced is not None:
        _set_state(replaced, RegisteredModel.State.RETIRED)
    _set_state(model, RegisteredModel.State.IN_FORCE)
    trail.add(
        f"model.{kind.value}",
        subject_kind="model",
        subject=model.uuid,
        site_id=model.site_id,
        detail={
            "model": str(model.model_version),
            "replaced": str(replaced.model_version) if replaced else None,
        },
        reason=reason,
    )
    return Deployment.objects.create(
        site_id=model.site_id,
        model=model,
        replaced=replaced,
        kind=kind,
        reason=reason,
        deployed_by=trail.actor.name,
        at=trail.at,
    )


def _set_state(model: RegisteredModel, state: RegisteredModel.State) -> None:
    check_model(RegisteredModel.State(model.state), state)
    model.state = state
    model.save(update_fields=["state"])


def _record(
    deployment: Deployment,
    *,
    at: datetime,
    serves: bool = False,
    package_arn: str = "",
    failure: str = "",
    is_refused: bool = False,
) -> None:
    """Note once what became of a deployment, and what keeps it waiting whenever that changes."""
    with recorded(actor=system("retraining"), at=at) as trail:
        row = _deployments().select_for_update(of=("self",)).get(pk=deployment.pk)
        is_old_news = bool(failure) and failure == row.failure and not is_refused
        if row.serving_since is not None or row.is_refused or is_old_news:
            trail.nothing_changed()
            return
        row.serving_since, row.failure = (at if serves else None), failure
        row.is_refused = is_refused
        row.save(update_fields=["serving_since", "failure", "is_refused"])
        if package_arn:
            ModelVersion.objects.filter(pk=row.model.model_version_id).update(
                package_arn=package_arn
            )
        waits = "hindered" if failure else "under_way"
        happened = "in_service" if serves else "refused" if is_refused else waits
        trail.add(
            f"deployment.{happened}",
            subject_kind="model",
            subject=row.model.uuid,
            site_id=row.site_id,
            detail={"model": str(row.model.model_version), "package_arn": package_arn},
            reason=failure,
        )
    deployment.serving_since, deployment.failure = row.serving_since, row.failure


def _deployments() -> QuerySet[Deployment]:
    return Deployment.objects.select_related(
        "site", "model__model_version", "model__run__dataset_version__dataset"
    )


def _release(deployment: Deployment) -> Release:
    model = deployment.model
    run = model.run
    data = run.dataset_version if run else None
    return Release(
        deployment=deployment.pk,
        site=deployment.site.code,
        model_name=model.model_version.name,
        model_version=model.model_version.version,
        bucket=settings.LOUPE.dataset_bucket,
        artifact_prefix=model.artifact_prefix,
        job_name=run.job_name if run else "",
        dataset_label=str(data) if data else "",
        content_sha256=data.content_sha256 if data else "",
        approved_by=deployment.deployed_by,
    )
