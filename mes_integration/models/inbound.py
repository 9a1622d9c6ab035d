"""What was changed on the MES's side of a unit."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from mes_integration.models.outbox import WriteBack
from traceability.identifiers import new_id
from traceability.models import DispositionKind, Line, Site, Unit


class MesChange(models.Model):
    """One thing a target said that nobody here had decided; OPEN until a person has chosen."""

    class About(models.TextChoices):
        DISPOSITION = "DISPOSITION", _("Disposition")
        ACKNOWLEDGEMENT = "ACKNOWLEDGEMENT", _("Acknowledgement")

    class State(models.TextChoices):
        OPEN = "OPEN", _("Open")
        OURS_STANDS = "OURS_STANDS", _("Ours stands")
        THEIRS_STANDS = "THEIRS_STANDS", _("Theirs stands")
        AGREED = "AGREED", _("Agreed")
        # Overtaken by a later change, or nothing of ours stood against it.
        NOTED = "NOTED", _("Noted")

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    line = models.ForeignKey(Line, on_delete=models.PROTECT, null=True)
    unit = models.ForeignKey(Unit, on_delete=models.PROTECT)
    target = models.SlugField(max_length=40)
    event_id = models.CharField(max_length=200)
    about = models.CharField(max_length=16, choices=About.choices)
    write_back = models.ForeignKey(
        WriteBack, on_delete=models.PROTECT, null=True, help_text=_("Which was acknowledged.")
    )
    word = models.JSONField(help_text=_("The disposition in the MES's own words."))
    kind = models.CharField(
        max_length=8,
        blank=True,
        choices=DispositionKind.choices,
        help_text=_("What the word means here; empty where the mapping does not say one thing."),
    )
    reference = models.CharField(max_length=200, blank=True)
    by = models.CharField(max_length=150, blank=True)
    remark = models.CharField(max_length=500, blank=True)
    changed_at = models.DateTimeField(help_text=_("The MES's own time."))
    received_at = models.DateTimeField()
    our_revision = models.PositiveIntegerField()
    our_kind = models.CharField(max_length=8, blank=True)
    state = models.CharField(max_length=13, choices=State.choices)
    resolved_by = models.CharField(max_length=150, blank=True)
    resolved_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=1000, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["site", "target", "event_id"], name="mes_change_event_once"
            ),
            models.UniqueConstraint(
                fields=["unit", "target"],
                name="mes_change_one_open",
                condition=Q(state="OPEN", about="DISPOSITION"),
            ),
            models.CheckConstraint(
                condition=Q(state="OPEN", resolved_at__isnull=True)
                | (~Q(state="OPEN") & Q(resolved_at__isnull=False)),
                name="mes_change_resolved_is_dated",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["OURS_STANDS", "THEIRS_STANDS"])
                | (~Q(resolved_by="") & ~Q(reason="")),
                name="mes_change_has_who_and_why",
            ),
        ]
        indexes: ClassVar = [
            models.Index(F("site"), F("id").desc(), name="mes_change_recent"),
            models.Index(fields=["site"], name="mes_change_open", condition=Q(state="OPEN")),
            models.Index(fields=["unit", "target", "changed_at"], name="mes_change_of_unit"),
        ]

    def __str__(self) -> str:
        return f"{self.target} {self.event_id} {self.state}"
