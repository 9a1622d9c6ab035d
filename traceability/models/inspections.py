"""What was seen and predicted: inspections, captures, model versions, predictions."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from traceability.identifiers import new_id
from traceability.models.parts import Tooling, Unit
from traceability.models.plant import Calibration, Line, Site, Station


class Route(models.TextChoices):
    """Where a prediction goes."""

    CONTAIN = "CONTAIN", _("Contain")
    REVIEW = "REVIEW", _("Review")
    PASS = "PASS", _("Pass")
    CAPTURE_CHECK = "CAPTURE_CHECK", _("Capture check")


class Inspection(models.Model):
    """One unit at one station, in one or more views."""

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    line = models.ForeignKey(Line, on_delete=models.PROTECT)
    station = models.ForeignKey(Station, on_delete=models.PROTECT, null=True)
    unit = models.ForeignKey(Unit, on_delete=models.PROTECT)
    external_id = models.CharField(max_length=300)
    views_expected = models.PositiveSmallIntegerField(default=1)
    opened_at = models.DateTimeField()
    settled_at = models.DateTimeField(
        null=True, help_text=_("When every expected view was in and the inspection was routed.")
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["site", "external_id"], name="inspection_once_per_site"
            ),
            models.CheckConstraint(
                condition=Q(views_expected__gte=1), name="inspection_expects_a_view"
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["opened_at"],
                name="inspection_unsettled",
                condition=Q(settled_at__isnull=True),
            ),
            models.Index(F("station"), F("id").desc(), name="inspection_at_station"),
        ]

    def __str__(self) -> str:
        return self.external_id


class Capture(models.Model):
    """One image with its context. Width and height are pixels after EXIF transpose."""

    class Preview(models.TextChoices):
        PENDING = "PENDING", _("Pending")
        READY = "READY", _("Ready")
        REFUSED = "REFUSED", _("Refused")

    class Tiles(models.TextChoices):
        NONE = "NONE", _("None")
        PENDING = "PENDING", _("Pending")
        READY = "READY", _("Ready")
        REFUSED = "REFUSED", _("Refused")

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    inspection = models.ForeignKey(Inspection, on_delete=models.PROTECT, related_name="captures")
    view = models.CharField(max_length=64, default="main")
    captured_at = models.DateTimeField()
    bucket = models.CharField(max_length=63)
    key = models.CharField(max_length=1024)
    version_id = models.CharField(max_length=1024, blank=True)
    sha256 = models.CharField(max_length=64)
    media_type = models.CharField(max_length=32)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    camera = models.CharField(max_length=64, blank=True)
    calibration = models.ForeignKey(Calibration, on_delete=models.PROTECT, null=True)
    tooling = models.ForeignKey(Tooling, on_delete=models.PROTECT, null=True)
    shift = models.CharField(max_length=32, blank=True)
    quality = models.JSONField(
        default=dict, help_text=_("Sharpness, exposure, glare, framing, verdict.")
    )
    preview = models.CharField(max_length=8, choices=Preview.choices, default=Preview.PENDING)
    preview_refusal = models.CharField(max_length=300, blank=True)
    depth = models.PositiveSmallIntegerField(
        default=8, db_default=8, help_text=_("Bits of a pixel that are used: 8, 12 or 16.")
    )
    window_low = models.PositiveIntegerField(default=0, db_default=0)
    window_high = models.PositiveIntegerField(default=255, db_default=255)
    tiles = models.CharField(
        max_length=8,
        choices=Tiles.choices,
        default=Tiles.NONE,
        db_default="NONE",
        help_text=_("Whether the image is cut into tiles; small ones need none."),
    )
    tile_levels = models.PositiveSmallIntegerField(default=0, db_default=0)
    learnable = models.BooleanField(
        default=True,
        db_default=True,
        help_text=_("False for an image that is too large to train a model on."),
    )
    making_since = models.DateTimeField(
        null=True, help_text=_("When a worker began to make the pictures of this large image.")
    )
    making_killed = models.PositiveSmallIntegerField(
        default=0,
        db_default=0,
        help_text=_("How many workers in a row have not lived to finish it."),
    )

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=(Q(tiles="READY") & Q(tile_levels__gte=1))
                | (~Q(tiles="READY") & Q(tile_levels=0)),
                name="capture_tiles_have_levels",
            ),
            models.CheckConstraint(
                condition=Q(width__gte=1) & Q(height__gte=1), name="capture_has_pixels"
            ),
            models.CheckConstraint(
                condition=Q(preview="REFUSED", preview_refusal__gt="")
                | (~Q(preview="REFUSED") & Q(preview_refusal="")),
                name="capture_refusal_has_a_reason",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["sha256"], name="capture_sha256"),
            models.Index(
                fields=["id"], name="capture_preview_pending", condition=Q(preview="PENDING")
            ),
            models.Index(fields=["id"], name="capture_tiles_pending", condition=Q(tiles="PENDING")),
        ]

    def __str__(self) -> str:
        return f"{self.inspection_id}/{self.view}"


class ModelVersion(models.Model):
    """A model a prediction cites."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    name = models.CharField(max_length=63)
    version = models.CharField(max_length=64)
    package_arn = models.CharField(max_length=300, blank=True)
    first_seen_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["site", "name", "version"], name="model_version_once_per_site"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class Prediction(models.Model):
    """What a model said of one capture. `score` is the calibrated probability of a defect, 0-1.

    `inclusion_probability` is the chance, known when it was routed, that a person judges it:
    1 for everything that goes to a person, the audit rate for what passes.
    """

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    source = models.CharField(max_length=256)
    event_id = models.CharField(max_length=128)
    body_sha256 = models.CharField(max_length=64)
    event_at = models.DateTimeField()
    received_at = models.DateTimeField()
    capture = models.ForeignKey(Capture, on_delete=models.PROTECT, related_name="predictions")
    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT)
    score = models.FloatField()
    defect_class = models.CharField(max_length=64, blank=True)
    detections = models.JSONField(default=list)
    heatmap_uri = models.CharField(max_length=1100, blank=True)
    sender_route = models.CharField(max_length=16, blank=True)
    deadline = models.DateTimeField(null=True)
    reply = models.JSONField(default=dict)
    ext = models.JSONField(default=dict)
    route = models.CharField(max_length=16, choices=Route.choices)
    policy_version = models.PositiveIntegerField()
    sampled = models.BooleanField(default=False)
    inclusion_probability = models.FloatField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["source", "event_id"], name="prediction_event_once"),
            models.CheckConstraint(
                condition=Q(score__gte=0) & Q(score__lte=1), name="prediction_score_is_probability"
            ),
            models.CheckConstraint(
                condition=Q(inclusion_probability__gte=0) & Q(inclusion_probability__lte=1),
                name="prediction_inclusion_is_probability",
            ),
            models.CheckConstraint(
                condition=Q(sampled=False) | Q(inclusion_probability__gt=0),
                name="prediction_sampled_could_be",
            ),
        ]
        indexes: ClassVar = [
            models.Index(F("site"), F("received_at").desc(), name="prediction_recent"),
            models.Index(
                fields=["id"], name="prediction_has_heat_map", condition=Q(heatmap_uri__gt="")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source}#{self.event_id}"
