"""When a nonconformance is raised, those that were, and their way to the QMS."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from governance.models import User
from traceability.identifiers import new_id
from traceability.models import Line, PartNumber, Site


class NcrRule(models.Model):
    """What raises a nonconformance at a site; an empty scope holds for everything."""

    class Kind(models.TextChoices):
        CONSECUTIVE = "CONSECUTIVE", _("Same defect in a row")
        SEVERITY = "SEVERITY", _("Severe defect")
        FIRST_PASS_YIELD = "FIRST_PASS_YIELD", _("First-pass yield of an hour")
        RECURRENCE = "RECURRENCE", _("Recurrence after closure")

    class AtLeast(models.TextChoices):
        CRITICAL = "critical", _("Critical")
        MAJOR = "major", _("Major")
        MINOR = "minor", _("Minor")

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    line = models.ForeignKey(Line, on_delete=models.PROTECT, null=True)
    part_number = models.ForeignKey(PartNumber, on_delete=models.PROTECT, null=True)
    defect_class = models.CharField(max_length=64, blank=True)
    count = models.PositiveIntegerField(
        null=True, help_text=_("In a row; for a yield the fewest units it is of.")
    )
    at_least = models.CharField(max_length=8, choices=AtLeast.choices, blank=True)
    below = models.FloatField(null=True, help_text=_("The yield, 0 to 1."))
    days = models.PositiveIntegerField(null=True, help_text=_("After the closure."))
    cool_down_s = models.PositiveIntegerField(
        default=0, help_text=_("Seconds after a closure in which the cause is not raised again.")
    )
    is_active = models.BooleanField(default=True)
    since = models.DateTimeField(help_text=_("Units seen before do not count."))
    changed_by = models.CharField(max_length=150)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "name"], name="ncr_rule_name_once"),
            models.CheckConstraint(
                condition=Q(kind="CONSECUTIVE", count__gte=2, below__isnull=True, days__isnull=True)
                | Q(kind="SEVERITY", at_least__gt="", below__isnull=True, days__isnull=True)
                | Q(kind="FIRST_PASS_YIELD", count__gte=1, below__gt=0, below__lte=1)
                | Q(kind="RECURRENCE", days__gte=1, below__isnull=True),
                name="ncr_rule_is_whole",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Ncr(models.Model):
    """A nonconformance: one open for each cause of a site. Its cause names defect and station, or
    the line whose yield fell."""

    class State(models.TextChoices):
        OPEN = "OPEN", _("Open")
        HANDED_OVER = "HANDED_OVER", _("Handed over")
        CLOSED = "CLOSED", _("Closed")

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    line = models.ForeignKey(Line, on_delete=models.PROTECT)
    rule = models.ForeignKey(NcrRule, on_delete=models.PROTECT, related_name="ncrs")
    kind = models.CharField(max_length=16, choices=NcrRule.Kind.choices)
    cause = models.CharField(max_length=300)
    defect_class = models.CharField(max_length=64, blank=True)
    text = models.CharField(max_length=300)
    evidence = models.JSONField(help_text=_("Units, inspections, window and counts."))
    recurrence_of = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, related_name="recurrences"
    )
    state = models.CharField(max_length=11, choices=State.choices, default=State.OPEN)
    opened_at = models.DateTimeField()
    reference = models.CharField(max_length=200, blank=True, help_text=_("In the QMS."))
    closed_at = models.DateTimeField(null=True)
    closed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    closed_reason = models.CharField(max_length=1000, blank=True)
    published_at = models.DateTimeField(null=True, help_text=_("When the alert topic had it."))

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["site", "cause"], name="ncr_one_open_a_cause", condition=~Q(state="CLOSED")
            ),
            models.CheckConstraint(
                condition=Q(
                    state="CLOSED",
                    closed_at__isnull=False,
                    closed_by__isnull=False,
                    closed_reason__gt="",
                )
                | (
                    ~Q(state="CLOSED")
                    & Q(closed_at__isnull=True, closed_by__isnull=True, closed_reason="")
                ),
                name="ncr_closing_is_whole",
            ),
            models.CheckConstraint(
                condition=~Q(kind="RECURRENCE") | Q(recurrence_of__isnull=False),
                name="ncr_recurrence_has_a_first",
            ),
        ]
        indexes: ClassVar = [
            models.Index(F("site"), F("cause"), F("id").desc(), name="ncr_of_a_cause"),
            models.Index(F("site"), F("id").desc(), name="ncr_recent"),
            models.Index(
                fields=["id"], name="ncr_unpublished", condition=Q(published_at__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.cause} {self.state}"


class NcrWatermark(models.Model):
    """How far a site's dispositions were looked at; its row is the lock of who looks."""

    site = models.OneToOneField(Site, on_delete=models.PROTECT)
    through = models.BigIntegerField(default=0, help_text=_("The latest disposition seen."))
    moved_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.site_id}: {self.through}"


class NcrHandOff(models.Model):
    """One nonconformance on its way to one target; the NCR's uuid is its idempotency key."""

    class State(models.TextChoices):
        PENDING = "PENDING", _("Waiting")
        SENDING = "SENDING", _("Sending")
        ACKNOWLEDGED = "ACKNOWLEDGED", _("Acknowledged")
        REFUSED = "REFUSED", _("Refused by the QMS")

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    ncr = models.ForeignKey(Ncr, on_delete=models.PROTECT, related_name="hand_offs")
    target = models.SlugField(max_length=40)
    state = models.CharField(max_length=12, choices=State.choices, default=State.PENDING)
    may_have_arrived = models.BooleanField(
        default=False, help_text=_("Asked for before it is sent again.")
    )
    attempts = models.PositiveIntegerField(default=0)
    fence = models.PositiveIntegerField(default=0)
    lease_expires_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField()
    reference = models.CharField(max_length=200, blank=True)
    last_error = models.CharField(max_length=500, blank=True)
    settled_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["ncr", "target"], name="ncr_hand_off_once"),
            models.CheckConstraint(
                condition=Q(state="SENDING", lease_expires_at__isnull=False)
                | (~Q(state="SENDING") & Q(lease_expires_at__isnull=True)),
                name="ncr_hand_off_lease_is_whole",
            ),
            models.CheckConstraint(
                condition=Q(state="ACKNOWLEDGED", settled_at__isnull=False)
                | (~Q(state="ACKNOWLEDGED") & Q(settled_at__isnull=True)),
                name="ncr_hand_off_settled_is_dated",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["due_at"],
                name="ncr_hand_off_due",
                condition=Q(state__in=["PENDING", "SENDING"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.ncr_id} {self.target} {self.state}"
