"""What we hold as acknowledged, compared with what its target holds."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from mes_integration.models.outbox import WriteBack
from traceability.identifiers import new_id
from traceability.models import Line, Site


class Reconciliation(models.Model):
    """One comparison of a site's acknowledged write-backs with one target, batch by batch.

    `after_at` and `after_pk` are the last row compared: whoever goes on begins behind it.
    """

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    target = models.SlugField(max_length=40)
    since = models.DateTimeField(help_text=_("Acknowledged from then on."))
    until = models.DateTimeField(help_text=_("Acknowledged before then."))
    asked_by = models.CharField(
        max_length=150, help_text=_("Empty for the nightly one."), blank=True
    )
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    after_at = models.DateTimeField()
    after_pk = models.BigIntegerField(default=0)
    compared = models.PositiveIntegerField(default=0)
    differing = models.PositiveIntegerField(default=0)
    fence = models.PositiveIntegerField(default=0)
    lease_expires_at = models.DateTimeField(null=True)
    trouble = models.CharField(
        max_length=500, blank=True, help_text=_("Why it rests, or could not be made.")
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["site", "target"],
                name="reconciliation_one_at_a_time",
                condition=Q(finished_at__isnull=True),
            ),
            models.CheckConstraint(
                condition=Q(since__lte=F("until")), name="reconciliation_ends_after_it_begins"
            ),
        ]
        indexes: ClassVar = [
            models.Index(F("site"), F("target"), F("id").desc(), name="reconciliation_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.target} {self.since}"


class ReconciliationException(models.Model):
    """An acknowledged write-back that its target does not confirm.

    It stays open until a later comparison agrees or a person has dealt with it.
    """

    class Kind(models.TextChoices):
        MISSING = "MISSING", _("Missing there")
        REFERENCE = "REFERENCE", _("Other reference there")
        VERDICT = "VERDICT", _("Other verdict there")
        DOUBLED = "DOUBLED", _("There more than once")
        UNREAD = "UNREAD", _("Cannot be read")

    class State(models.TextChoices):
        OPEN = "OPEN", _("Open")
        AGREED = "AGREED", _("Agrees again")
        CLOSED = "CLOSED", _("Closed by a person")
        SENT_AGAIN = "SENT_AGAIN", _("Sent again")

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    line = models.ForeignKey(Line, on_delete=models.PROTECT)
    target = models.SlugField(max_length=40)
    write_back = models.ForeignKey(WriteBack, on_delete=models.PROTECT, related_name="exceptions")
    reconciliation = models.ForeignKey(
        Reconciliation, on_delete=models.PROTECT, help_text=_("Which found it first.")
    )
    kind = models.CharField(max_length=9, choices=Kind.choices)
    theirs = models.CharField(max_length=500, help_text=_("What the target said."))
    opened_at = models.DateTimeField()
    seen_at = models.DateTimeField(help_text=_("Found again last."))
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    closed_at = models.DateTimeField(null=True)
    closed_by = models.CharField(max_length=150, blank=True)
    reason = models.CharField(max_length=1000, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["write_back"],
                name="reconciliation_exception_one_open",
                condition=Q(state="OPEN"),
            ),
            models.CheckConstraint(
                condition=Q(state="OPEN", closed_at__isnull=True)
                | (~Q(state="OPEN") & Q(closed_at__isnull=False)),
                name="reconciliation_exception_closed_is_dated",
            ),
            models.CheckConstraint(
                condition=~Q(state="CLOSED") | (~Q(closed_by="") & ~Q(reason="")),
                name="reconciliation_exception_has_who_and_why",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["site", "target", "id"],
                name="reconciliation_exception_open",
                condition=Q(state="OPEN"),
            ),
            models.Index(F("site"), F("id").desc(), name="reconciliation_exc_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.state}"
