"""The routing policy in force, what could not be read, and alerts."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from traceability.identifiers import new_id
from traceability.models import Inspection, Line, PartNumber, Site


class RoutingPolicy(models.Model):
    """A version of the thresholds, in force from a moment on until the next one."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    version = models.PositiveIntegerField()
    in_force_from = models.DateTimeField()
    author = models.CharField(max_length=150)
    approved_by = models.CharField(max_length=150, blank=True)
    reason = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "version"], name="policy_version_once"),
        ]

    def __str__(self) -> str:
        return f"{self.site} {self.version}"


class PolicyRule(models.Model):
    """Thresholds for a site, line, part number or defect class; the most specific one wins."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    policy = models.ForeignKey(RoutingPolicy, on_delete=models.PROTECT, related_name="rules")
    line = models.ForeignKey(Line, on_delete=models.PROTECT, null=True)
    part_number = models.ForeignKey(PartNumber, on_delete=models.PROTECT, null=True)
    defect_class = models.CharField(max_length=64, blank=True)
    review_from = models.FloatField()
    contain_from = models.FloatField()
    audit_rate = models.FloatField(default=0.01)
    review_within_s = models.PositiveIntegerField(default=900)
    blind_rate = models.FloatField(
        db_default=0.0, help_text=_("Share judged without the model's opinion.")
    )
    second_rate = models.FloatField(
        db_default=0.0, help_text=_("Share inspected a second time by somebody else.")
    )
    control_rate = models.FloatField(
        db_default=0.0, help_text=_("Share of claims that may bring a control.")
    )
    operators_within_s = models.PositiveIntegerField(
        db_default=0,
        help_text=_(
            "Seconds a doubtful unit is kept for the operators at its station before the bench "
            "gets it; 0 leaves nothing to them."
        ),
    )
    second_for_scrap = models.BooleanField(
        db_default=False, help_text=_("Whether a scrap waits for a second person.")
    )
    second_for_concession = models.BooleanField(
        db_default=True,
        help_text=_(
            "Whether a concession, the use of a part with a confirmed defect, waits for a second "
            "person."
        ),
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["policy", "line", "part_number", "defect_class"],
                name="policy_rule_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(review_from__gte=0)
                & Q(review_from__lte=F("contain_from"))
                & Q(contain_from__lte=1),
                name="policy_rule_band_is_ordered",
            ),
            models.CheckConstraint(
                condition=Q(audit_rate__gte=0) & Q(audit_rate__lte=1),
                name="policy_rule_audit_rate_is_probability",
            ),
            *(
                models.CheckConstraint(
                    condition=Q(**{f"{name}__gte": 0, f"{name}__lte": 1}),
                    name=f"policy_rule_{name}_is_probability",
                )
                for name in ("blind_rate", "second_rate", "control_rate")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.policy_id}: {self.review_from}-{self.contain_from}"


class DeadLetter(models.Model):
    """A message that could not be taken, kept whole with the reason."""

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, null=True)
    message_id = models.CharField(max_length=128, unique=True)
    body = models.TextField(help_text=_("As received; NUL written as \\u0000."))
    code = models.CharField(max_length=40)
    reason = models.CharField(max_length=1000)
    received_at = models.DateTimeField()
    redriven_at = models.DateTimeField(null=True)
    redriven_by = models.CharField(max_length=150, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(redriven_at__isnull=True, redriven_by="")
                | (Q(redriven_at__isnull=False) & ~Q(redriven_by="")),
                name="dead_letter_redrive_is_whole",
            ),
        ]
        indexes: ClassVar = [models.Index(F("id").desc(), name="dead_letter_recent")]

    def __str__(self) -> str:
        return f"{self.message_id}: {self.code}"


class Alert(models.Model):
    """Something a person must hear of now; published to the alert topic after commit."""

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    inspection = models.OneToOneField(Inspection, on_delete=models.PROTECT)
    kind = models.CharField(max_length=20)
    text = models.CharField(max_length=300)
    raised_at = models.DateTimeField()
    published_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["id"], name="alert_unpublished", condition=Q(published_at__isnull=True)
            )
        ]

    def __str__(self) -> str:
        return self.text
