"""Shift handovers as they were signed."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from governance.models import Duty, User
from traceability.identifiers import new_id
from traceability.models import Site


class Handover(models.Model):
    """What was open when a lead took over, as he saw it when he signed. Never altered."""

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    duty = models.OneToOneField(Duty, on_delete=models.PROTECT, related_name="+")
    outgoing = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    incoming = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    since = models.DateTimeField(help_text=_("When the shift that ends began."))
    signed_at = models.DateTimeField()
    content = models.JSONField(help_text=_("The document that was signed."))
    content_sha256 = models.CharField(max_length=64)
    remark = models.CharField(max_length=1000, blank=True)

    class Meta:
        indexes: ClassVar = [models.Index(F("site"), F("id").desc(), name="handover_latest")]

    def __str__(self) -> str:
        return f"{self.site} {self.signed_at:%Y-%m-%d %H:%M}"
