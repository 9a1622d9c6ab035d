"""The outbox: one row for each disposition on its way to the MES."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from traceability.identifiers import new_id
from traceability.models import Disposition, Site, Unit


class WriteBack(models.Model):
    """One disposition on its way to the MES. `uuid` is its idempotency key on every attempt."""

    class State(models.TextChoices):
        PENDING = "PENDING", _("Waiting")
        SENDING = "SENDING", _("Sending")
        RETRY = "RETRY", _("Retrying")
        UNCERTAIN = "UNCERTAIN", _("Uncertain")
        ACKNOWLEDGED = "ACKNOWLEDGED", _("Acknowledged")
        REJECTED = "REJECTED", _("Refused by the MES")
        NEEDS_PERSON = "NEEDS_PERSON", _("Needs a person")
        WITHDRAWN = "WITHDRAWN", _("Taken back")
        SUPERSEDED = "SUPERSEDED", _("Superseded")

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    unit = models.ForeignKey(Unit, on_delete=models.PROTECT)
    disposition = models.OneToOneField(
        Disposition, on_delete=models.PROTECT, related_name="write_back"
    )
    revision = models.PositiveIntegerField()
    payload = models.JSONField()
    state = models.CharField(max_length=12, choices=State.choices, default=State.PENDING)
    enqueued_at = models.DateTimeField()
    due_at = models.DateTimeField(help_text=_("Not sent before; first the end of the undo window."))
    attempts = models.PositiveIntegerField(default=0)
    fence = models.PositiveIntegerField(default=0)
    lease_expires_at = models.DateTimeField(null=True)
    reference = models.CharField(max_length=200, blank=True)
    last_error = models.CharField(max_length=500, blank=True)
    settled_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["unit", "revision"], name="write_back_revision_once"),
            models.CheckConstraint(
                condition=Q(state="SENDING", lease_expires_at__isnull=False)
                | (~Q(state="SENDING") & Q(lease_expires_at__isnull=True)),
                name="write_back_lease_is_whole",
            ),
            models.CheckConstraint(
                condition=Q(
                    state__in=["ACKNOWLEDGED", "WITHDRAWN", "SUPERSEDED"],
                    settled_at__isnull=False,
                )
                | (
                    ~Q(state__in=["ACKNOWLEDGED", "WITHDRAWN", "SUPERSEDED"])
                    & Q(settled_at__isnull=True)
                ),
                name="write_back_settled_is_dated",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["due_at"],
                name="write_back_due",
                condition=Q(state__in=["PENDING", "RETRY", "UNCERTAIN", "SENDING"]),
            ),
            models.Index(
                fields=["unit", "revision"],
                name="write_back_unsettled",
                condition=Q(settled_at__isnull=True),
            ),
            models.Index(F("site"), F("id").desc(), name="write_back_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.uuid} {self.state}"


class DeliveryAttempt(models.Model):
    """One call to the MES and what it answered."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    write_back = models.ForeignKey(
        WriteBack, on_delete=models.PROTECT, related_name="delivery_attempts"
    )
    at = models.DateTimeField()
    outcome = models.CharField(max_length=12)
    status = models.PositiveSmallIntegerField(null=True)
    answer = models.CharField(max_length=1000, blank=True)

    def __str__(self) -> str:
        return f"{self.write_back_id} {self.outcome}"
