"""Runs, models and gate reports as a page or the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from governance.access import Actor, check_can, sites_for
from governance.roles import Capability
from labeling.models import Dataset
from retraining import deployments, registry, triggers
from retraining.gate import percent
from retraining.models import Deployment, RegisteredModel, RunState, TrainingRun
from retraining.transitions import OPEN
from traceability.models import Site
from traceability.refusals import Refusal, Unknown

TONES: Final[dict[str, str]] = {
    RunState.REQUESTED: "quiet",
    RunState.RUNNING: "quiet",
    RunState.TRAINED: "quiet",
    RunState.PASSED: "ok",
    RunState.REFUSED: "warn",
    RunState.FAILED: "hold",
}
CHECKS: Final = {
    "leakage": gettext_lazy("Shared between training and test"),
    "test_pinned": gettext_lazy("Test images dropped"),
    "test_complete": gettext_lazy("Test answers missing"),
    "evidence": gettext_lazy("Evidence in the test set"),
    "recall": gettext_lazy("Defects found"),
    "overkill": gettext_lazy("Good parts contained"),
    "calibration": gettext_lazy("Calibration error"),
    "review_load": gettext_lazy("Parts sent to a person"),
}
AT_MOST: Final = frozenset({"overkill", "calibration", "review_load"})


@dataclass(frozen=True, slots=True)
class Progress:
    """A dataset on its way to its next run."""

    dataset: Dataset
    new: int
    threshold: int | None
    run: TrainingRun | None

    @property
    def filled(self) -> int:
        """What the bar shows: never beyond its end."""
        return min(self.new, self.threshold or 0)


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model and what can be done with it; `why_not` is the disabled button's sentence."""

    model: RegisteredModel
    is_offered: bool
    why_not: str


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One line of a gate report, in words."""

    title: str
    challenger: str
    champion: str
    limit: str
    passed: bool
    sentence: str


def runs_for(actor: Actor) -> QuerySet[TrainingRun]:
    """The runs of every site where the actor may see models, newest first."""
    sites = sites_for(actor, Capability.SEE_MODELS)
    return (
        TrainingRun.objects.filter(site__in=sites)
        .select_related("site", "dataset", "dataset_version__dataset", "gate_report")
        .select_related("champion__model_version", "registeredmodel__model_version")
        .order_by("-pk")
    )


def find_run(actor: Actor, uuid: UUID) -> TrainingRun:
    """Unknown when there is none here for this actor."""
    run = runs_for(actor).filter(uuid=uuid).first()
    if run is None:
        raise Unknown(_("There is no such training run here for you."))
    return run


def find_model(actor: Actor, capability: Capability, uuid: UUID) -> RegisteredModel:
    """Unknown when there is none here for this actor."""
    check_can(actor, capability)
    sites = sites_for(actor, capability)
    model = RegisteredModel.objects.filter(site__in=sites, uuid=uuid).select_related("site").first()
    if model is None:
        raise Unknown(_("There is no such model here for you."))
    return model


def find_dataset(actor: Actor, slug: str) -> Dataset:
    """Unknown when there is none here that this actor may train."""
    check_can(actor, Capability.TRAIN_MODELS)
    sites = sites_for(actor, Capability.TRAIN_MODELS)
    dataset = Dataset.objects.filter(site__in=sites, slug=slug).select_related("site").first()
    if dataset is None:
        raise Unknown(_("There is no dataset %(slug)s here for you.") % {"slug": slug})
    return dataset


def progress_of(site: Site) -> list[Progress]:
    """Each dataset of the site, its new labels and its open run."""
    found = Dataset.objects.filter(site=site).select_related("site").order_by("pk")
    open_runs = {
        run.dataset_id: run for run in TrainingRun.objects.filter(site=site, state__in=OPEN)
    }
    return [
        Progress(dataset, *triggers.labels_to_go(dataset), run=open_runs.get(dataset.pk))
        for dataset in found
    ]


def latest_deployment(site: Site) -> Deployment | None:
    """The one that brought the model in force."""
    return (
        Deployment.objects.filter(site=site)
        .select_related("model__model_version", "model__run", "replaced__model_version")
        .order_by("-pk")
        .first()
    )


def model_rows(site: Site, *, limit: int) -> list[ModelRow]:
    """The newest models; those that could be promoted carry the reason when they cannot."""
    current = registry.in_force(site)
    rows = []
    for model in registry.models_of(site)[:limit]:
        offered = model.state in (RegisteredModel.State.CANDIDATE, RegisteredModel.State.RETIRED)
        rows.append(ModelRow(model, offered, _why_not(model, current) if offered else ""))
    return rows


def _why_not(model: RegisteredModel, current: RegisteredModel | None) -> str:
    try:
        deployments.check_promotable(model, current)
    except Refusal as refusal:
        return refusal.sentence
    return ""


def check_rows(run: TrainingRun) -> list[CheckRow]:
    """The gate report as a table; empty while there is none."""
    report = getattr(run, "gate_report", None)
    return [] if report is None else [_check_row(raw) for raw in report.checks]


def _check_row(raw: dict[str, Any]) -> CheckRow:
    unit = raw["unit"]
    limit = _figure(raw["limit"], unit)
    if raw["limit"] is not None and raw["limit"] != 0:
        limit = f"≤ {limit}" if raw["name"] in AT_MOST else f"≥ {limit}"
    return CheckRow(
        title=str(CHECKS.get(raw["name"], raw["name"])),
        challenger=_figure(raw["value"], unit, raw["interval"]),
        champion=_figure(raw["champion"], unit, raw["champion_interval"]),
        limit=limit,
        passed=raw["passed"],
        sentence=raw["sentence"],
    )


def _figure(value: float | None, unit: str, interval: Sequence[float] | None = None) -> str:
    if value is None:
        return "–"
    text = percent(value) if unit == "share" else f"{value:g}"
    if interval is None:
        return text
    return f"{text} ({100 * interval[0]:.0f}–{100 * interval[1]:.0f} %)"


def run_json(run: TrainingRun) -> dict[str, Any]:
    """A run as the API answers it."""
    report = getattr(run, "gate_report", None)
    return {
        "id": run.uuid,
        "site": run.site.code,
        "dataset": run.dataset.slug,
        "dataset_version": run.dataset_version.number if run.dataset_version else None,
        "trigger": run.trigger,
        "reason": run.reason,
        "requested_by": run.requested_by,
        "state": run.state,
        "fraction": run.fraction,
        "stage": run.stage,
        "failure": run.failure,
        "model": {"name": run.model_name, "version": run.model_version},
        "requested_at": run.requested_at,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "gate": {"passed": report.passed, "checks": report.checks} if report else None,
    }


def model_json(model: RegisteredModel) -> dict[str, Any]:
    """A model as the API answers it."""
    return {
        "id": model.uuid,
        "site": model.site.code,
        "name": model.model_version.name,
        "version": model.model_version.version,
        "state": model.state,
        "run": model.run.uuid if model.run else None,
        "sha256": model.artifact_sha256,
        "registered_at": model.registered_at,
    }


def deployment_json(deployment: Deployment) -> dict[str, Any]:
    """A deployment as the API answers it."""
    return {
        "model": model_json(deployment.model),
        "kind": deployment.kind,
        "reason": deployment.reason,
        "deployed_by": deployment.deployed_by,
        "at": deployment.at,
        "serving_since": deployment.serving_since,
    }
