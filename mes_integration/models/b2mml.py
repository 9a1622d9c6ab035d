"""B2MML documents that were taken."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from traceability.models import Site


class B2mmlDocument(models.Model):
    """One that was taken whole: said again it changes nothing, and its BODID is used up."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    target = models.SlugField(max_length=40)
    bodid = models.CharField(max_length=120)
    name = models.CharField(max_length=60)
    digest = models.CharField(max_length=64)
    entries = models.PositiveIntegerField()
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["site", "target", "bodid"], name="b2mml_document_bodid_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.bodid}"
