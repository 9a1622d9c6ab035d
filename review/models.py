"""The queue, who holds what, and what was decided."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from governance.models import User
from traceability.identifiers import new_id
from traceability.models import Disposition, DispositionKind, Inspection, Line, Site, Unit


class TaskState(models.TextChoices):
    """Where a task stands; `review.transitions` says what may follow what."""

    QUEUED = "QUEUED", _("Waiting")
    LEASED = "LEASED", _("With an inspector")
    DECIDED = "DECIDED", _("Decided")
    CLOSED = "CLOSED", _("Closed")


class TaskKind(models.TextChoices):
    """Why a person is asked."""

    REVIEW = "REVIEW", _("Doubtful")
    CONTAIN = "CONTAIN", _("Held by the model")
    CAPTURE_CHECK = "CAPTURE_CHECK", _("Image not fit to judge")
    AUDIT = "AUDIT", _("Audit sample")


class ReviewTask(models.Model):
    """One inspection waiting for a person.

    Ordered by `due` (the deadline's minute), then severity (0 is worst), then age. `fence` rises
    with every claim; a write that carries an older one is refused.
    """

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    line = models.ForeignKey(Line, on_delete=models.PROTECT)
    inspection = models.OneToOneField(Inspection, on_delete=models.PROTECT)
    unit = models.ForeignKey(Unit, on_delete=models.PROTECT)
    kind = models.CharField(max_length=16, choices=TaskKind.choices)
    state = models.CharField(max_length=8, choices=TaskState.choices, default=TaskState.QUEUED)
    score = models.FloatField()
    defect_class = models.CharField(max_length=64, blank=True)
    policy_version = models.PositiveIntegerField()
    review_from = models.FloatField()
    contain_from = models.FloatField()
    inclusion_probability = models.FloatField()
    opened_at = models.DateTimeField()
    deadline = models.DateTimeField()
    due = models.DateTimeField(help_text=_("The deadline, cut to the minute."))
    severity = models.PositiveSmallIntegerField(help_text=_("0 critical, 1 major, 2 minor."))
    is_escalated = models.BooleanField(default=False)
    held_at = models.DateTimeField(null=True, help_text=_("When its deadline passed unanswered."))
    fence = models.PositiveBigIntegerField(default=0)
    holder = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    lease_expires_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(state="LEASED", holder__isnull=False, lease_expires_at__isnull=False)
                | (~Q(state="LEASED") & Q(holder__isnull=True, lease_expires_at__isnull=True)),
                name="review_task_lease_is_whole",
            ),
            models.CheckConstraint(
                condition=Q(review_from__lte=F("contain_from")),
                name="review_task_band_is_ordered",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["site", "due", "severity", "opened_at", "id"],
                name="review_task_open",
                condition=Q(state__in=["QUEUED", "LEASED"]),
            ),
            models.Index(
                fields=["deadline"],
                name="review_task_overdue",
                condition=Q(state__in=["QUEUED", "LEASED"], held_at__isnull=True),
            ),
            models.Index(fields=["holder"], name="review_task_held", condition=Q(state="LEASED")),
        ]

    def __str__(self) -> str:
        return f"{self.unit_id} {self.state}"


class Answer(models.TextChoices):
    """What an inspector says of the model's suspicion."""

    CONFIRMED = "CONFIRMED", _("Confirmed")
    FALSE_CALL = "FALSE_CALL", _("False call")
    INCONCLUSIVE = "INCONCLUSIVE", _("Inconclusive")


class Decision(models.Model):
    """An inspector's answer, once and for ever; taken back only by a withdrawal."""

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    task = models.ForeignKey(ReviewTask, on_delete=models.PROTECT, related_name="decisions")
    fence = models.PositiveBigIntegerField()
    answer = models.CharField(max_length=12, choices=Answer.choices)
    disposition_kind = models.CharField(max_length=8, choices=DispositionKind.choices)
    disposition = models.OneToOneField(Disposition, on_delete=models.PROTECT)
    defect_class = models.CharField(max_length=64, blank=True)
    comment = models.CharField(max_length=1000, blank=True)
    seconds = models.FloatField(null=True, help_text=_("From first sight to verdict."))
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField()
    undo_until = models.DateTimeField()
    idempotency_key = models.CharField(max_length=64, unique=True)
    request_sha256 = models.CharField(max_length=64)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["task", "fence"], name="decision_once_per_claim"),
            models.CheckConstraint(
                condition=~Q(answer="FALSE_CALL") | Q(defect_class=""),
                name="decision_false_call_has_no_defect_class",
            ),
        ]
        indexes: ClassVar = [
            models.Index(F("site"), F("decided_at").desc(), name="decision_recent"),
            models.Index(F("decided_by"), F("decided_at").desc(), name="decision_by_person"),
        ]

    def __str__(self) -> str:
        return f"{self.task_id} {self.answer}"


class DecisionWithdrawal(models.Model):
    """A decision taken back by its inspector within the undo window."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    decision = models.OneToOneField(Decision, on_delete=models.PROTECT, related_name="withdrawal")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.decision_id} withdrawn"


class Skip(models.Model):
    """A task an inspector put back, and why; it is not offered to him again."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    task = models.ForeignKey(ReviewTask, on_delete=models.PROTECT, related_name="skips")
    inspector = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=300)
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["task", "inspector"], name="skip_once_per_inspector"),
        ]

    def __str__(self) -> str:
        return f"{self.task_id} {self.reason}"
