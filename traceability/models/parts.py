"""What is made: part numbers and revisions, suppliers, lots and units."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from traceability.identifiers import new_id
from traceability.models.plant import Site, Station


class Supplier(models.Model):
    """Who delivered the material. `changed_at` is the MES's time of what it has said of it."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    code = models.CharField(max_length=64)
    name = models.CharField(max_length=200, blank=True, default="", db_default="")
    changed_at = models.DateTimeField(null=True)

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
    description = models.CharField(max_length=200, blank=True, default="", db_default="")
    changed_at = models.DateTimeField(null=True)

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
    part_revision = models.ForeignKey(PartRevision, on_delete=models.PROTECT, null=True)
    quantity = models.DecimalField(max_digits=15, decimal_places=3, null=True)
    uom = models.CharField(
        max_length=16, blank=True, default="", db_default="", help_text=_("Unit of the quantity.")
    )
    expires_on = models.DateField(null=True)
    changed_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "code"], name="lot_once_per_site"),
            models.CheckConstraint(
                condition=Q(quantity__isnull=True) | Q(quantity__gte=0), name="lot_quantity_counts"
            ),
        ]

    def __str__(self) -> str:
        return self.code


class WorkOrder(models.Model):
    """What the MES has ordered to be made."""

    class State(models.TextChoices):
        PLANNED = "PLANNED", _("Planned")
        RELEASED = "RELEASED", _("Released")
        RUNNING = "RUNNING", _("Running")
        HELD = "HELD", _("Held")
        COMPLETED = "COMPLETED", _("Completed")
        CANCELLED = "CANCELLED", _("Cancelled")

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    number = models.CharField(max_length=64)
    part_revision = models.ForeignKey(PartRevision, on_delete=models.PROTECT, null=True)
    lot = models.ForeignKey(Lot, on_delete=models.PROTECT, null=True)
    quantity = models.DecimalField(max_digits=15, decimal_places=3, null=True)
    state = models.CharField(
        max_length=10,
        choices=State.choices,
        blank=True,
        help_text=_("Empty while it is only known by its number."),
    )
    changed_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "number"], name="work_order_once_per_site"),
            models.CheckConstraint(
                condition=Q(quantity__isnull=True) | Q(quantity__gte=0),
                name="work_order_quantity_counts",
            ),
        ]

    def __str__(self) -> str:
        return self.number


class Unit(models.Model):
    """One serialised part. `disposition_revision` rises by one with each disposition."""

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    serial = models.CharField(max_length=128)
    part_revision = models.ForeignKey(PartRevision, on_delete=models.PROTECT, null=True)
    lot = models.ForeignKey(Lot, on_delete=models.PROTECT, null=True)
    supplier = models.ForeignKey(Supplier, on_delete=models.PROTECT, null=True)
    work_order = models.ForeignKey(WorkOrder, on_delete=models.PROTECT, null=True)
    changed_at = models.DateTimeField(
        null=True, help_text=_("The MES's time of what it has said of the unit.")
    )
    disposition_revision = models.PositiveIntegerField(default=0)
    disposition = models.CharField(
        max_length=8, blank=True, help_text=_("The kind in force; empty while there is none.")
    )
    first_seen_at = models.DateTimeField()
    rework_since = models.DateTimeField(
        null=True,
        help_text=_(
            "When its rework was decided; none where it needs none, or a later inspection is "
            "disposed. A hold in between leaves it."
        ),
    )
    held_since = models.DateTimeField(
        null=True, help_text=_("When the hold in force began; none where the unit is not held.")
    )
    held_at_station = models.ForeignKey(
        Station,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text=_("Where it was last seen when the hold began."),
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "serial"], name="unit_once_per_site"),
            models.CheckConstraint(
                condition=Q(disposition="HOLD", held_since__isnull=False)
                | (
                    ~Q(disposition="HOLD")
                    & Q(held_since__isnull=True, held_at_station__isnull=True)
                ),
                name="unit_hold_is_whole",
            ),
            models.CheckConstraint(
                condition=Q(disposition="REWORK", rework_since__isnull=False)
                | Q(disposition="HOLD")
                | (~Q(disposition__in=["REWORK", "HOLD"]) & Q(rework_since__isnull=True)),
                name="unit_rework_is_whole",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["site", "rework_since"],
                name="unit_in_rework",
                condition=Q(rework_since__isnull=False),
            ),
            models.Index(fields=["site"], name="unit_on_hold", condition=Q(disposition="HOLD")),
            models.Index(
                fields=["held_at_station", "held_since"],
                name="unit_held_at_station",
                condition=Q(held_at_station__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.serial
