"""What is done with a unit."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from traceability.identifiers import new_id
from traceability.models.inspections import Inspection, ModelVersion
from traceability.models.parts import Unit
from traceability.models.plant import Site


class DispositionKind(models.TextChoices):
    """What happens to the part."""

    ACCEPT = "ACCEPT", _("Accept")
    REWORK = "REWORK", _("Rework")
    SCRAP = "SCRAP", _("Scrap")
    HOLD = "HOLD", _("Hold")


class DeciderKind(models.TextChoices):
    """Who or what made a disposition."""

    MODEL = "model", _("Model")
    INSPECTOR = "inspector", _("Inspector")
    RULE = "rule", _("Rule")
    MES = "mes", _("MES")


class Disposition(models.Model):
    """One revision of what is done with a unit; never changed, superseded by the next."""

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    unit = models.ForeignKey(Unit, on_delete=models.PROTECT, related_name="dispositions")
    inspection = models.ForeignKey(Inspection, on_delete=models.PROTECT)
    revision = models.PositiveIntegerField()
    kind = models.CharField(max_length=8, choices=DispositionKind.choices)
    nonconformities = models.JSONField(default=list)
    reason = models.CharField(max_length=300, blank=True)
    decider_kind = models.CharField(max_length=10, choices=DeciderKind.choices)
    decider = models.CharField(max_length=150, help_text=_("Badge, model version or rule."))
    decided_at = models.DateTimeField()
    policy_version = models.PositiveIntegerField()
    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, null=True)
    concession = models.JSONField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["unit", "revision"], name="disposition_revision_once"),
            models.CheckConstraint(
                condition=Q(revision__gte=1), name="disposition_revision_from_one"
            ),
        ]
        indexes: ClassVar = [
            models.Index(F("site"), F("decided_at").desc(), name="disposition_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.unit_id} r{self.revision} {self.kind}"


class DispositionWithdrawal(models.Model):
    """A disposition taken back within the undo window, before anybody outside heard of it."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    disposition = models.OneToOneField(
        Disposition, on_delete=models.PROTECT, related_name="withdrawal"
    )
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.disposition_id} withdrawn"
