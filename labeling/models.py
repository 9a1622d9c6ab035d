"""Defect catalogue, labels with their annotations, and dataset versions."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from traceability.identifiers import new_id
from traceability.models import Capture, DispositionKind, Inspection, Prediction, Site, Unit


class Severity(models.TextChoices):
    """How bad a defect is, worst first in the queue."""

    CRITICAL = "critical", _("Critical")
    MAJOR = "major", _("Major")
    MINOR = "minor", _("Minor")


class DefectClass(models.Model):
    """A defect the model can predict and an inspector can confirm."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    code = models.CharField(max_length=64)
    name = models.CharField(max_length=120)
    severity = models.CharField(max_length=8, choices=Severity.choices, default=Severity.MAJOR)
    default_disposition = models.CharField(
        max_length=8, choices=DispositionKind.choices, default=DispositionKind.HOLD
    )
    position = models.PositiveSmallIntegerField(
        default=0, help_text=_("The digit that chooses it.")
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "code"], name="defect_class_once_per_site"),
            models.CheckConstraint(
                condition=~Q(default_disposition=DispositionKind.ACCEPT),
                name="defect_class_is_not_accepted_by_default",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class AcceptanceCriteria(models.Model):
    """A version of a site's zones and severity rules; the latest is in force, none is changed."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    version = models.PositiveIntegerField()
    zones = models.JSONField(help_text=_("Polygons in image pixels with their severity."))
    rules = models.JSONField(help_text=_("Limits and the disposition beyond them."))
    author = models.CharField(max_length=150)
    reason = models.CharField(max_length=300)
    set_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "version"], name="criteria_version_once"),
        ]

    def __str__(self) -> str:
        return f"{self.site_id}/{self.version}"


class Label(models.Model):
    """What a capture shows, said by a person or brought along; superseded, never changed."""

    class Verdict(models.TextChoices):
        GOOD = "good", _("Good")
        DEFECT = "defect", _("Defect")

    class Origin(models.TextChoices):
        DECISION = "decision", _("Decision")
        IMPORT = "import", _("Import")

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    capture = models.ForeignKey(Capture, on_delete=models.PROTECT, related_name="labels")
    inspection = models.ForeignKey(Inspection, on_delete=models.PROTECT)
    unit = models.ForeignKey(Unit, on_delete=models.PROTECT)
    prediction = models.ForeignKey(Prediction, on_delete=models.PROTECT, null=True)
    verdict = models.CharField(max_length=6, choices=Verdict.choices)
    defect_class = models.ForeignKey(DefectClass, on_delete=models.PROTECT, null=True)
    disposition = models.CharField(max_length=8, blank=True)
    origin = models.CharField(max_length=8, choices=Origin.choices)
    decision = models.UUIDField(null=True, help_text=_("The decision it came from."))
    labelled_by = models.CharField(max_length=150)
    inclusion_probability = models.FloatField(default=1.0)
    recorded_at = models.DateTimeField()
    supersedes = models.OneToOneField(
        "self", on_delete=models.PROTECT, null=True, related_name="superseded_by"
    )

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(verdict="defect") | Q(defect_class__isnull=True),
                name="label_good_has_no_defect_class",
            ),
            models.CheckConstraint(
                condition=Q(origin="decision", decision__isnull=False)
                | Q(origin="import", decision__isnull=True),
                name="label_decision_is_named",
            ),
            models.CheckConstraint(
                condition=Q(inclusion_probability__gt=0) & Q(inclusion_probability__lte=1),
                name="label_inclusion_is_probability",
            ),
        ]
        indexes: ClassVar = [
            models.Index(F("site"), F("recorded_at").desc(), name="label_recent"),
            models.Index(fields=["decision"], name="label_decision"),
        ]

    def __str__(self) -> str:
        return f"{self.capture_id} {self.verdict}"


class LabelWithdrawal(models.Model):
    """A label taken back together with the decision it came from."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    label = models.OneToOneField(Label, on_delete=models.PROTECT, related_name="withdrawal")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.label_id} withdrawn"


class Exclusion(models.Model):
    """An inspection whose images no later dataset version takes; never lifted."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    inspection = models.OneToOneField(Inspection, on_delete=models.PROTECT)
    reason = models.CharField(max_length=300)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.inspection_id}: {self.reason}"


class Annotation(models.Model):
    """A region of a labelled capture, in pixels of the stored image, origin top left."""

    class Shape(models.TextChoices):
        BOX = "box", _("Box")
        POLYGON = "polygon", _("Polygon")

    class Origin(models.TextChoices):
        PROPOSED = "proposed", _("Proposed by the model")
        DRAWN = "drawn", _("Drawn by a person")

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    label = models.ForeignKey(Label, on_delete=models.PROTECT, related_name="annotations")
    origin = models.CharField(max_length=8, choices=Origin.choices)
    shape = models.CharField(max_length=7, choices=Shape.choices)
    defect_class = models.CharField(max_length=64)
    geometry = models.JSONField(help_text=_("[x, y, width, height] or [[x, y], ...]."))
    score = models.FloatField(null=True)

    def __str__(self) -> str:
        return f"{self.shape} {self.defect_class}"


class Dataset(models.Model):
    """A line of dataset versions."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    slug = models.SlugField(max_length=63)
    name = models.CharField(max_length=120)
    seed = models.PositiveIntegerField(default=0, help_text=_("Seed of the split."))

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["slug"], name="dataset_slug_once"),
        ]

    def __str__(self) -> str:
        return self.name


class Split(models.TextChoices):
    """What a sample is used for."""

    TRAIN = "train", _("Train")
    VALIDATION = "validation", _("Validation")
    TEST = "test", _("Test")


class SplitAssignment(models.Model):
    """The split a unit or lot was given; it keeps it for ever."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT)
    group = models.CharField(max_length=300, help_text=_("`lot:<code>` or `unit:<serial>`."))
    split = models.CharField(max_length=10, choices=Split.choices)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["dataset", "group"], name="split_assigned_once"),
        ]

    def __str__(self) -> str:
        return f"{self.group} {self.split}"


class DatasetVersion(models.Model):
    """An immutable set of labelled images; the same inputs give the same `content_sha256`."""

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True)
    content_sha256 = models.CharField(max_length=64)
    prefix = models.CharField(max_length=300)
    counts = models.JSONField(help_text=_("Per split: samples, good, defect."))
    class_map = models.JSONField()
    changes = models.JSONField(
        default=dict, help_text=_("Images added, removed and relabelled since the parent.")
    )
    reason = models.CharField(max_length=300)
    published_by = models.CharField(max_length=150)
    published_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["dataset", "number"], name="dataset_version_once"),
        ]

    def __str__(self) -> str:
        return f"{self.dataset.slug}/{self.number:06d}"


class DatasetSample(models.Model):
    """A label's place in a dataset version: the lineage, row by row."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    version = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="samples")
    label = models.ForeignKey(Label, on_delete=models.PROTECT, related_name="samples")
    split = models.CharField(max_length=10, choices=Split.choices)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["version", "label"], name="sample_once_per_version"),
        ]

    def __str__(self) -> str:
        return f"{self.version_id} {self.label_id}"
