"""The outbox: one row for each disposition on its way to each target."""

from __future__ import annotations

from typing import ClassVar, Final

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from traceability.identifiers import new_id
from traceability.models import Disposition, Site, Unit

DEFAULT_TARGET: Final = "mes"
"""The target of LOUPE_MES_URL, and of rows written while none is configured."""


class WriteBack(models.Model):
    """One disposition on its way to one target. `uuid` is its idempotency key on every attempt."""

    class State(models.TextChoices):
        PENDING = "PENDING", _("Waiting")
        SENDING = "SENDING", _("Sending")
        RETRY = "RETRY", _("Retrying")
        SENT = "SENT", _("Sent")
        UNCERTAIN = "UNCERTAIN", _("Uncertain")
        ACKNOWLEDGED = "ACKNOWLEDGED", _("Acknowledged")
        REJECTED = "REJECTED", _("Refused by the MES")
        NEEDS_PERSON = "NEEDS_PERSON", _("Needs a person")
        WITHDRAWN = "WITHDRAWN", _("Taken back")
        SUPERSEDED = "SUPERSEDED", _("Superseded")

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    unit = models.ForeignKey(Unit, on_delete=models.PROTECT)
    disposition = models.ForeignKey(
        Disposition, on_delete=models.PROTECT, related_name="write_backs"
    )
    target = models.SlugField(
        max_length=40, db_default=DEFAULT_TARGET, help_text=_("Which MES of the settings.")
    )
    revision = models.PositiveIntegerField()
    payload = models.JSONField()
    profile_version = models.PositiveIntegerField(
        null=True, help_text=_("The mapping it was said with; 0 is the one that is shipped.")
    )
    profile_name = models.CharField(
        max_length=80, null=True, help_text=_("Which shipped mapping that was.")
    )
    message = models.JSONField(
        null=True, help_text=_("What is sent: made at the first attempt, the same on each later.")
    )
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
            models.UniqueConstraint(
                fields=["unit", "revision", "target"], name="write_back_revision_once"
            ),
            models.CheckConstraint(
                condition=Q(state="SENDING", lease_expires_at__isnull=False)
                | (~Q(state="SENDING") & Q(lease_expires_at__isnull=True)),
                name="write_back_lease_is_whole",
            ),
            models.CheckConstraint(
                condition=Q(message__isnull=True, profile_version__isnull=True)
                | Q(message__isnull=False, profile_version__isnull=False),
                name="write_back_message_names_its_profile",
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
                fields=["target", "due_at", "id"],
                name="write_back_turn",
                condition=Q(state__in=["PENDING", "RETRY", "SENT", "UNCERTAIN"]),
            ),
            models.Index(
                fields=["lease_expires_at"],
                name="write_back_leased",
                condition=Q(state="SENDING"),
            ),
            models.Index(
                fields=["unit", "target", "revision"],
                name="write_back_unsettled",
                condition=Q(settled_at__isnull=True),
            ),
            models.Index(F("site"), F("id").desc(), name="write_back_recent"),
            models.Index(
                fields=["site", "target", "settled_at", "id"],
                name="write_back_acknowledged",
                condition=Q(state="ACKNOWLEDGED"),
            ),
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
