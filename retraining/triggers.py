"""When a model is to be trained again: enough new labels, enough time, or something happened."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from governance.access import Actor, check_can, check_covers, system
from governance.roles import Capability
from labeling import datasets
from labeling.models import Dataset
from retraining import runs
from retraining.models import RetrainTrigger, TrainingRun
from retraining.transitions import OPEN
from traceability.models import Site
from traceability.refusals import Conflict, Invalid

ACTOR: Final = system("retraining trigger")


class Cause(models.TextChoices):
    """What asked for a run."""

    NEW_LABELS = "new_labels", gettext_lazy("New labels")
    SCHEDULE = "schedule", gettext_lazy("Schedule")
    MANUAL = "manual", gettext_lazy("By hand")
    BUSINESS_EVENT = "business_event", gettext_lazy("Business event")


class BusinessEvent(models.TextChoices):
    """What may happen in a plant that makes a model's past a poor guide."""

    SUPPLIER = "supplier", gettext_lazy("New supplier")
    TOOLING = "tooling", gettext_lazy("New tooling")
    PART_REVISION = "part_revision", gettext_lazy("New part revision")
    PROCESS = "process", gettext_lazy("Changed process")
    ESCAPE = "escape", gettext_lazy("Escape found")


def fire(*, at: datetime) -> list[TrainingRun]:
    """Request a run for every dataset whose trigger is met and that has none open."""
    started = []
    triggers = RetrainTrigger.objects.filter(is_enabled=True).exclude(
        dataset__in=TrainingRun.objects.filter(state__in=OPEN).values("dataset")
    )
    for trigger in triggers.select_related("dataset__site").order_by("pk"):
        reason = _met(trigger, at)
        if not reason:
            continue
        try:
            run = runs.request(
                actor=ACTOR, dataset=trigger.dataset, trigger=trigger.kind, reason=reason, at=at
            )
        except Conflict:
            # Another worker, or a person, was quicker.
            continue
        started.append(run)
    return started


def business_event(
    *, actor: Actor, site: Site, kind: str, reason: str, at: datetime
) -> list[TrainingRun]:
    """Request a run for each of the site's datasets; Conflict when all have one open already."""
    check_can(actor, Capability.TRAIN_MODELS)
    check_covers(actor, Capability.TRAIN_MODELS, site=site, line=None)
    if kind not in BusinessEvent.values:
        raise Invalid(
            _("%(kind)s is no business event; use one of %(known)s.")
            % {"kind": kind, "known": ", ".join(BusinessEvent.values)}
        )
    if not reason.strip():
        raise Invalid(_("Say what happened, in a few words."))
    told = f"{BusinessEvent(kind).label}: {reason.strip()}"
    found = list(Dataset.objects.filter(site=site).select_related("site").order_by("pk"))
    if not found:
        raise Conflict(_("%(site)s has no dataset to train on yet.") % {"site": site})
    started = []
    for dataset in found:
        try:
            run = runs.request(
                actor=actor, dataset=dataset, trigger=Cause.BUSINESS_EVENT, reason=told, at=at
            )
        except Conflict:
            continue
        started.append(run)
    if not started:
        raise Conflict(_("A training run is under way. Wait until it has ended."), code="run_open")
    return started


def labels_to_go(dataset: Dataset) -> tuple[int, int | None]:
    """New labels since the last run, and how many of them start the next (None: no trigger)."""
    trigger = dataset.triggers.filter(kind=RetrainTrigger.Kind.NEW_LABELS, is_enabled=True).first()
    return _new_labels(dataset), trigger.threshold if trigger else None


def _met(trigger: RetrainTrigger, at: datetime) -> str:
    """Why the trigger fires now; empty when it does not."""
    new = _new_labels(trigger.dataset)
    if trigger.kind == RetrainTrigger.Kind.NEW_LABELS:
        if new < trigger.threshold:
            return ""
        return _("%(new)d new labels, %(threshold)d start a run") % {
            "new": new,
            "threshold": trigger.threshold,
        }
    last = _last_run(trigger.dataset)
    due = last is None or at - last.requested_at >= timedelta(hours=trigger.threshold)
    # Training the same labels again gives the same model.
    if not (due and new):
        return ""
    return _("%(hours)d hours since the last run") % {"hours": trigger.threshold}


def _new_labels(dataset: Dataset) -> int:
    """Labels no version holds yet; after a run that could not publish, those since that run.

    Otherwise a run that is refused for its labels would be requested again at every beat.
    """
    new = datasets.new_labels(dataset=dataset)
    last = _last_run(dataset)
    if not new or last is None or last.dataset_version_id is not None:
        return new
    labels = datasets.current_labels(site=dataset.site)
    return min(new, labels.filter(recorded_at__gt=last.requested_at).count())


def _last_run(dataset: Dataset) -> TrainingRun | None:
    return dataset.runs.order_by("-pk").first()
