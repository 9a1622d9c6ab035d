"""Trained models by site: where their files lie, and which one is in force."""

from __future__ import annotations

import hashlib
from datetime import datetime

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from governance.audit import Trail
from retraining.models import RegisteredModel, TrainingRun
from traceability.gateways.object_store import ObjectStore
from traceability.models import ModelVersion, Site
from traceability.refusals import Invalid


def artifact_prefix(*, site: Site, name: str, version: str) -> str:
    """Where a model's files lie in the dataset bucket; no slash at the end."""
    return f"models/{site.code}/{name}/{version}"


def evaluation_key(*, site: Site, name: str, version: str) -> str:
    """Where the answers of the model on its test set lie."""
    return f"evaluations/{site.code}/{name}/{version}.json"


def in_force(site: Site) -> RegisteredModel | None:
    """The model that serves the site's lines, or is about to."""
    return _models().filter(site=site, state=RegisteredModel.State.IN_FORCE).first()


def models_of(site: Site) -> QuerySet[RegisteredModel]:
    """Every model of the site, newest first."""
    return _models().filter(site=site).order_by("-pk")


def _models() -> QuerySet[RegisteredModel]:
    return RegisteredModel.objects.select_related(
        "site", "model_version", "run__dataset_version__dataset", "run__gate_report"
    )


def next_version(*, site: Site, name: str) -> str:
    """One above the highest whole number any model or run of this name has."""
    taken = [
        *ModelVersion.objects.filter(site=site, name=name).values_list("version", flat=True),
        *TrainingRun.objects.filter(site=site, model_name=name).values_list(
            "model_version", flat=True
        ),
    ]
    return str(1 + max((int(text) for text in taken if text.isdecimal()), default=0))


def digest(store: ObjectStore, prefix: str) -> str:
    """One hash over the names and bytes of a model's files; Invalid when there are none."""
    seal = hashlib.sha256()
    count = 0
    for key in sorted(store.list(f"{prefix}/")):
        content = hashlib.sha256(store.read(key)).hexdigest()
        seal.update(f"{key.removeprefix(prefix)}\t{content}\n".encode())
        count += 1
    if not count:
        raise Invalid(_("There are no model files under %(prefix)s.") % {"prefix": prefix})
    return seal.hexdigest()


def register(
    *,
    trail: Trail,
    site: Site,
    name: str,
    version: str,
    prefix: str,
    sha256: str,
    run: TrainingRun | None = None,
    passed: bool = True,
) -> RegisteredModel:
    """Enter a model whose files are stored; `passed` is what the gate said."""
    cited, _made = ModelVersion.objects.get_or_create(
        site=site, name=name, version=version, defaults={"first_seen_at": trail.at}
    )
    state = RegisteredModel.State.CANDIDATE if passed else RegisteredModel.State.REFUSED
    model = RegisteredModel.objects.create(
        site=site,
        model_version=cited,
        run=run,
        artifact_prefix=prefix,
        artifact_sha256=sha256,
        state=state,
        registered_at=trail.at,
    )
    trail.add(
        "model.register",
        subject_kind="model",
        subject=model.uuid,
        site_id=site.pk,
        detail={"model": str(cited), "sha256": sha256, "state": state.value},
    )
    return model


def serving_since(site: Site) -> datetime | None:
    """When the latest deployment came into service; None while it has not."""
    latest = site.deployment_set.order_by("-pk").first()
    return latest.serving_since if latest else None
