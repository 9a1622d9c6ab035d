"""Where things are: the ISA-95 (IEC 62264) hierarchy."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _


class Site(models.Model):
    """A plant. Everything a plant owns carries its site."""

    code = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=120, blank=True)
    self_registration = models.BooleanField(
        default=False,
        help_text=_("New lines and stations named by events are added instead of refused."),
    )
    time_zone = models.CharField(max_length=64, default="UTC")

    def __str__(self) -> str:
        return self.code


class Area(models.Model):
    """A part of a site."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    code = models.CharField(max_length=64)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "code"], name="area_once_per_site")
        ]

    def __str__(self) -> str:
        return self.code


class Line(models.Model):
    """A production line of a site."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    area = models.ForeignKey(Area, on_delete=models.PROTECT, null=True)
    code = models.CharField(max_length=64)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "code"], name="line_once_per_site")
        ]

    def __str__(self) -> str:
        return self.code


class Station(models.Model):
    """A place on a line where units are inspected."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    line = models.ForeignKey(Line, on_delete=models.PROTECT)
    code = models.CharField(max_length=64)
    hold_place = models.CharField(
        max_length=64,
        blank=True,
        db_default="",
        help_text=_("Where held parts are put, as the tablet says it; empty for the red rack."),
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["line", "code"], name="station_once_per_line")
        ]

    def __str__(self) -> str:
        return self.code


class Calibration(models.Model):
    """A calibration version of a station's cameras."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    station = models.ForeignKey(Station, on_delete=models.PROTECT)
    version = models.CharField(max_length=64)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["station", "version"], name="calibration_once_per_station"
            )
        ]

    def __str__(self) -> str:
        return self.version
