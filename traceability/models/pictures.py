"""Pictures beside a capture: the reference a part is held against, and a model's heat map."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from traceability.identifiers import new_id
from traceability.models.inspections import Capture, Prediction
from traceability.models.parts import PartRevision
from traceability.models.plant import Site


class Reference(models.Model):
    """From when on a capture shows what a good part of a revision looks like in one view.

    The latest row is in force; earlier ones say what was compared with before.
    """

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    part_revision = models.ForeignKey(PartRevision, on_delete=models.PROTECT)
    view = models.CharField(max_length=64)
    capture = models.ForeignKey(Capture, on_delete=models.PROTECT, related_name="references")
    set_by = models.CharField(max_length=150)
    set_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            models.Index(F("part_revision"), F("view"), F("id").desc(), name="reference_in_force")
        ]

    def __str__(self) -> str:
        return f"{self.part_revision_id}/{self.view}"


class HeatMap(models.Model):
    """The heat map of a prediction, once it was made or refused."""

    class State(models.TextChoices):
        READY = "READY", _("Ready")
        REFUSED = "REFUSED", _("Refused")

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    prediction = models.OneToOneField(Prediction, on_delete=models.PROTECT, related_name="heat_map")
    state = models.CharField(max_length=8, choices=State.choices)
    refusal = models.CharField(max_length=300, blank=True)
    made_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(state="REFUSED", refusal__gt="") | Q(state="READY", refusal=""),
                name="heat_map_refusal_has_a_reason",
            )
        ]

    def __str__(self) -> str:
        return f"{self.prediction_id} {self.state}"
