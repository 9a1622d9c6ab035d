"""How a site's dispositions are said in a target's own words."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from traceability.models import Site


class MappingProfile(models.Model):
    """One version of a site's mapping for one target; never changed, the highest is in force."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    target = models.SlugField(max_length=40)
    version = models.PositiveIntegerField()
    document = models.JSONField()
    # The database forgets in which order a JSON object was written; people read it in that order.
    written = models.TextField(blank=True, default="", db_default="")
    author = models.CharField(max_length=150)
    at = models.DateTimeField()
    reason = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["site", "target", "version"], name="mapping_profile_version_once"
            ),
            models.CheckConstraint(
                condition=Q(version__gte=1), name="mapping_profile_version_from_one"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.target} {self.version}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Keeps the document also as its author wrote it."""
        self.written = self.written or json.dumps(self.document, ensure_ascii=False)
        super().save(*args, **kwargs)

    @property
    def as_written(self) -> dict[str, Any]:
        """The document in its author's order; versions from before that was kept have the
        database's."""
        document: dict[str, Any] = json.loads(self.written) if self.written else self.document
        return document
