"""Alarms about what does not get through."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from traceability.identifiers import new_id
from traceability.models import Site


class WriteBackAlarm(models.Model):
    """Dispositions of a site that have been undelivered to one target for too long."""

    class Kind(models.TextChoices):
        # They go by themselves once the target takes them.
        DELAYED = "DELAYED", _("Not getting through")
        # They stay until somebody does something about each.
        PERSON = "PERSON", _("Needs a person")

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    target = models.SlugField(max_length=40)
    kind = models.CharField(max_length=7, choices=Kind.choices)
    oldest_at = models.DateTimeField(help_text=_("When the oldest was decided."))
    waiting = models.PositiveIntegerField(help_text=_("How many there were when it was raised."))
    raised_at = models.DateTimeField()
    published_at = models.DateTimeField(null=True)
    cleared_at = models.DateTimeField(null=True)
    clearing_published_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["site", "target", "kind"],
                name="write_back_alarm_one_open",
                condition=Q(cleared_at__isnull=True),
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                F("site"), F("target"), F("kind"), F("id").desc(), name="write_back_alarm_recent"
            ),
            models.Index(
                fields=["id"],
                name="write_back_alarm_untold",
                condition=Q(published_at__isnull=True)
                | Q(cleared_at__isnull=False, clearing_published_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.target} {self.kind} {self.raised_at}"
