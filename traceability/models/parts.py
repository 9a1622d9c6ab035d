"""What is made: part numbers and revisions, suppliers, lots and units."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from traceability.identifiers import new_id
from traceability.models.plant import Site


class Supplier(models.Model):
    """Who delivered the material."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    code = models.CharField(max_length=64)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "code"], name="supplier_once_per_site")
        ]

    def __str__(self) -> str:
        return self.code


class Tooling(models.Model):
    """The tool, mould or fixture a part came from."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    code = models.CharField(max_length=64)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "code"], name="tooling_once_per_site")
        ]

    def __str__(self) -> str:
        return self.code


class PartNumber(models.Model):
    """A kind of part."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    number = models.CharField(max_length=64)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "number"], name="part_number_once_per_site")
        ]

    def __str__(self) -> str:
        return self.number


class PartRevision(models.Model):
    """A drawing revision of a part number; empty when the event names none."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    part_number = models.ForeignKey(PartNumber, on_delete=models.PROTECT)
    revision = models.CharField(max_length=32, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["part_number", "revision"], name="revision_once_per_part_number"
            )
        ]

    def __str__(self) -> str:
        return f"{self.part_number} {self.revision}".strip()


class Lot(models.Model):
    """Units made or delivered together."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    code = models.CharField(max_length=128)
    supplier = models.ForeignKey(Supplier, on_delete=models.PROTECT, null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "code"], name="lot_once_per_site")
        ]

    def __str__(self) -> str:
        return self.code


class Unit(models.Model):
    """One serialised part. `disposition_revision` rises by one with each disposition."""

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    serial = models.CharField(max_length=128)
    part_revision = models.ForeignKey(PartRevision, on_delete=models.PROTECT, null=True)
    lot = models.ForeignKey(Lot, on_delete=models.PROTECT, null=True)
    supplier = models.ForeignKey(Supplier, on_delete=models.PROTECT, null=True)
    disposition_revision = models.PositiveIntegerField(default=0)
    disposition = models.CharField(
        max_length=8, blank=True, help_text=_("The kind in force; empty while there is none.")
    )
    first_seen_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "serial"], name="unit_once_per_site")
        ]
        indexes: ClassVar = [
            models.Index(fields=["site"], name="unit_on_hold", condition=Q(disposition="HOLD"))
        ]

    def __str__(self) -> str:
        return self.serial
