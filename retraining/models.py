"""Triggers, training runs, gate reports, the registry and deployments."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from labeling.models import Dataset, DatasetVersion
from traceability.identifiers import new_id
from traceability.models import ModelVersion, Site


class RetrainTrigger(models.Model):
    """When a dataset is to be published and trained by itself."""

    class Kind(models.TextChoices):
        NEW_LABELS = "new_labels", _("New labels")
        SCHEDULE = "schedule", _("Schedule")

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="triggers")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    threshold = models.PositiveIntegerField(help_text=_("New labels, or hours between runs."))
    is_enabled = models.BooleanField(default=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["dataset", "kind"], name="trigger_once_per_kind"),
            models.CheckConstraint(
                condition=Q(threshold__gte=1), name="trigger_threshold_from_one"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.threshold}"


class RunState(models.TextChoices):
    """Where a training run stands."""

    REQUESTED = "REQUESTED", _("Requested")
    RUNNING = "RUNNING", _("Training")
    TRAINED = "TRAINED", _("Trained")
    PASSED = "PASSED", _("Passed the gate")
    REFUSED = "REFUSED", _("Refused by the gate")
    FAILED = "FAILED", _("Failed")


class TrainingRun(models.Model):
    """One training of a model on a dataset version; one at a time for each dataset."""

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="runs")
    dataset_version = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, null=True)
    trigger = models.CharField(max_length=20)
    reason = models.CharField(max_length=300)
    requested_by = models.CharField(max_length=150)
    state = models.CharField(max_length=9, choices=RunState.choices, default=RunState.REQUESTED)
    backend = models.CharField(max_length=20)
    attempt = models.PositiveSmallIntegerField(
        default=1, help_text=_("Rises when the machine stopped under the training.")
    )
    job_name = models.CharField(max_length=63, blank=True)
    handle = models.CharField(max_length=300, blank=True)
    model_name = models.CharField(max_length=63)
    model_version = models.CharField(max_length=64)
    champion = models.ForeignKey(
        "RegisteredModel", on_delete=models.PROTECT, null=True, related_name="challenges"
    )
    fraction = models.FloatField(default=0)
    stage = models.CharField(max_length=120, blank=True)
    failure = models.CharField(max_length=1024, blank=True)
    metrics = models.JSONField(default=dict)
    artifact_prefix = models.CharField(max_length=300, blank=True)
    requested_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["dataset"],
                condition=Q(state__in=["REQUESTED", "RUNNING", "TRAINED"]),
                name="training_run_one_at_a_time",
            ),
            models.UniqueConstraint(
                fields=["site", "model_name", "model_version"], name="training_run_names_its_model"
            ),
        ]
        indexes: ClassVar = [models.Index(F("site"), F("id").desc(), name="training_run_recent")]

    def __str__(self) -> str:
        return f"{self.model_name} {self.model_version}"


class GatePolicy(models.Model):
    """What the gate asks of a dataset's models; a dataset without one is held to the defaults."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    dataset = models.OneToOneField(Dataset, on_delete=models.PROTECT, related_name="gate_policy")
    review_from = models.FloatField(default=0.3)
    contain_from = models.FloatField(default=0.8)
    recall_margin = models.FloatField(default=0.02)
    recall_floor = models.FloatField(default=0.8)
    max_overkill = models.FloatField(default=0.1)
    max_ece = models.FloatField(default=0.12)
    min_defects = models.PositiveIntegerField(default=8)
    min_good = models.PositiveIntegerField(default=8)
    review_load_margin = models.FloatField(default=0.05)
    max_review_load = models.FloatField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(review_from__gt=0)
                & Q(contain_from__gt=F("review_from"))
                & Q(contain_from__lte=1),
                name="gate_policy_band_is_one",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dataset_id} {self.review_from}-{self.contain_from}"


class RegisteredModel(models.Model):
    """A trained model: where its files lie, and whether it serves."""

    class State(models.TextChoices):
        CANDIDATE = "CANDIDATE", _("Candidate")
        REFUSED = "REFUSED", _("Refused")
        IN_FORCE = "IN_FORCE", _("In force")
        RETIRED = "RETIRED", _("Retired")

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    model_version = models.OneToOneField(ModelVersion, on_delete=models.PROTECT)
    run = models.OneToOneField(TrainingRun, on_delete=models.PROTECT, null=True)
    artifact_prefix = models.CharField(max_length=300)
    artifact_sha256 = models.CharField(max_length=64)
    state = models.CharField(max_length=9, choices=State.choices, default=State.CANDIDATE)
    registered_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["site"], condition=Q(state="IN_FORCE"), name="one_model_in_force_per_site"
            ),
        ]

    def __str__(self) -> str:
        return str(self.model_version)


class GateReport(models.Model):
    """What the gate compared and found; written once."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    run = models.OneToOneField(TrainingRun, on_delete=models.PROTECT, related_name="gate_report")
    passed = models.BooleanField()
    checks = models.JSONField()
    policy = models.JSONField()
    figures = models.JSONField()
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.run_id} {'passed' if self.passed else 'refused'}"


class Deployment(models.Model):
    """A model put in force by a person, or brought back."""

    class Kind(models.TextChoices):
        PROMOTION = "promotion", _("Promotion")
        ROLLBACK = "rollback", _("Roll back")

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT)
    replaced = models.ForeignKey(
        RegisteredModel, on_delete=models.PROTECT, null=True, related_name="+"
    )
    kind = models.CharField(max_length=9, choices=Kind.choices)
    reason = models.CharField(max_length=300)
    deployed_by = models.CharField(max_length=150)
    at = models.DateTimeField()
    serving_since = models.DateTimeField(null=True)
    failure = models.CharField(
        max_length=1024, blank=True, help_text=_("Why it could not be put in service.")
    )
    # Refused for good; a failure without it is tried again.
    is_refused = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"{self.kind} {self.model_id}"
