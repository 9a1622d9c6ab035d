"""The queue, who holds what, and what was decided."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from governance.models import User
from traceability.identifiers import new_id
from traceability.models import (
    Disposition,
    DispositionKind,
    Inspection,
    Line,
    Lot,
    PartNumber,
    Site,
    Station,
    Unit,
)


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


class TaskPurpose(models.TextChoices):
    """What the verdict is for. Of one inspection there is at most one task for each, but for
    controls, which are shown again and again."""

    FIRST = "FIRST", _("Verdict")
    SECOND = "SECOND", _("Second inspection")
    ADJUDICATION = "ADJUDICATION", _("Adjudication")
    CONTROL = "CONTROL", _("Control")


class ReviewTask(models.Model):
    """One inspection waiting for a person.

    Ordered by `due` (the deadline's minute), then severity (0 is worst), then age. `fence` rises
    with every claim; a write that carries an older one is refused.
    """

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    line = models.ForeignKey(Line, on_delete=models.PROTECT)
    inspection = models.ForeignKey(Inspection, on_delete=models.PROTECT)
    unit = models.ForeignKey(Unit, on_delete=models.PROTECT)
    kind = models.CharField(max_length=16, choices=TaskKind.choices)
    purpose = models.CharField(
        max_length=12, choices=TaskPurpose.choices, db_default=TaskPurpose.FIRST
    )
    is_blind = models.BooleanField(
        db_default=False, help_text=_("Judged without the model's opinion being shown.")
    )
    wants_second = models.BooleanField(
        db_default=False, help_text=_("Drawn to be inspected a second time by somebody else.")
    )
    control_rate = models.FloatField(
        db_default=0.0, help_text=_("The chance that its claim brings a control instead.")
    )
    second_for_scrap = models.BooleanField(
        db_default=False, help_text=_("A second person must agree before the unit is scrapped.")
    )
    second_for_concession = models.BooleanField(
        db_default=True, help_text=_("A second person must agree to a concession.")
    )
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
    leased_at = models.DateTimeField(null=True, help_text=_("When its holder claimed it."))
    raised_at = models.DateTimeField(null=True, help_text=_("When a lead moved it to the front."))
    reserved_for = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    reserved_until = models.DateTimeField(null=True)
    station = models.ForeignKey(Station, on_delete=models.PROTECT, null=True, related_name="+")
    operators_until = models.DateTimeField(
        null=True,
        help_text=_("Operators at its station may judge it; until then nobody else does."),
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["inspection", "purpose"],
                name="review_task_once_per_purpose",
                condition=~Q(purpose="CONTROL"),
            ),
            models.CheckConstraint(
                condition=Q(reserved_for__isnull=True, reserved_until__isnull=True)
                | Q(reserved_for__isnull=False, reserved_until__isnull=False),
                name="review_task_reservation_is_whole",
            ),
            models.CheckConstraint(
                condition=Q(state="LEASED", holder__isnull=False, lease_expires_at__isnull=False)
                | (~Q(state="LEASED") & Q(holder__isnull=True, lease_expires_at__isnull=True)),
                name="review_task_lease_is_whole",
            ),
            models.CheckConstraint(
                condition=Q(review_from__lte=F("contain_from")),
                name="review_task_band_is_ordered",
            ),
            models.CheckConstraint(
                condition=Q(control_rate__gte=0) & Q(control_rate__lte=1),
                name="review_task_control_rate_is_probability",
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
            models.Index(
                fields=["station", "due", "severity", "opened_at", "id"],
                name="review_task_at_line",
                condition=Q(state__in=["QUEUED", "LEASED"], operators_until__isnull=False),
            ),
            models.Index(
                fields=["station"],
                name="review_task_of_station",
                condition=Q(state__in=["QUEUED", "LEASED"], station__isnull=False),
            ),
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
    disposition = models.OneToOneField(
        Disposition,
        on_delete=models.PROTECT,
        null=True,
        help_text=_("None where the verdict moves no unit: a second inspection, a control."),
    )
    defect_class = models.CharField(max_length=64, blank=True)
    bulk = models.ForeignKey(
        "LotReview",
        on_delete=models.PROTECT,
        null=True,
        related_name="decisions",
        help_text=_("The lot it was decided with, in one action."),
    )
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


class Skips(models.QuerySet["Skip"]):
    """Tasks that were put back."""

    def standing(self) -> Skips:
        """Without those that were an inconclusive verdict's, where it has been taken back and no
        other one stands: the task is offered to him again. `queue.CLAIM` says the same."""
        handed_on = Decision.objects.filter(
            task=OuterRef("task"), decided_by=OuterRef("inspector"), answer=Answer.INCONCLUSIVE
        )
        taken_back = handed_on.filter(decided_at=OuterRef("at"), withdrawal__isnull=False)
        return self.exclude(Exists(taken_back), ~Exists(handed_on.filter(withdrawal__isnull=True)))


class Skip(models.Model):
    """A task an inspector put back, and why; it is not offered to him again."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    task = models.ForeignKey(ReviewTask, on_delete=models.PROTECT, related_name="skips")
    inspector = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=300)
    at = models.DateTimeField()

    objects = Skips.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["task", "inspector"], name="skip_once_per_inspector"),
        ]

    def __str__(self) -> str:
        return f"{self.task_id} {self.reason}"


class Escalation(models.Model):
    """A task an inspector handed to a lead, who has since seen the answer or not."""

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    task = models.ForeignKey(ReviewTask, on_delete=models.PROTECT, related_name="escalations")
    fence = models.PositiveBigIntegerField(help_text=_("The claim it was handed on from."))
    inspector = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    comment = models.CharField(max_length=1000, blank=True)
    at = models.DateTimeField()
    seen_at = models.DateTimeField(null=True, help_text=_("When he saw the lead's answer."))

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["task", "fence"], name="escalation_once_per_claim"),
        ]
        indexes: ClassVar = [
            models.Index(F("inspector"), F("at").desc(), name="escalation_by_person"),
            models.Index(
                fields=["inspector"],
                name="escalation_unseen",
                condition=Q(seen_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.task_id} by {self.inspector_id}"


class Comment(models.Model):
    """What a person noted about an inspection; shown to everyone who judges it."""

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    inspection = models.ForeignKey(Inspection, on_delete=models.PROTECT)
    author = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    text = models.CharField(max_length=1000)
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=~Q(text=""), name="review_comment_says_something"),
        ]

    def __str__(self) -> str:
        return self.text


class Preference(models.Model):
    """How one person has set up the bench: keys, light, what is shown."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=120)
    value = models.JSONField()
    changed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "name"], name="preference_once_per_person"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.name}"


class ControlSample(models.Model):
    """An inspection whose truth is known, shown to inspectors as if it came from the line.

    No verdict on it moves a unit or becomes a label.
    """

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    inspection = models.OneToOneField(Inspection, on_delete=models.PROTECT)
    truth = models.CharField(max_length=12, choices=Answer.choices)
    defect_class = models.CharField(max_length=64, blank=True)
    added_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    added_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(truth="CONFIRMED", defect_class__gt="")
                | Q(truth="FALSE_CALL", defect_class=""),
                name="control_sample_has_a_truth",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.inspection_id} {self.truth}"


class LotReview(models.Model):
    """A lot judged in one action: what is said of it, and the sample that is judged singly first.

    It begins when somebody takes its tasks; `decided_at` when the rest was decided, `closed_at`
    when a deviating part of the sample ended it.
    """

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    lot = models.ForeignKey(Lot, on_delete=models.PROTECT)
    part_number = models.ForeignKey(PartNumber, on_delete=models.PROTECT)
    suspicion = models.CharField(
        max_length=64, blank=True, help_text=_("The defect class the model suspects.")
    )
    answer = models.CharField(max_length=12, choices=Answer.choices)
    disposition_kind = models.CharField(max_length=8, choices=DispositionKind.choices)
    defect_class = models.CharField(max_length=64, blank=True)
    opened_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    undone_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(answer__in=["CONFIRMED", "FALSE_CALL"]),
                name="lot_review_answers",
            ),
            models.CheckConstraint(
                condition=Q(decided_at__isnull=True) | Q(closed_at__isnull=True),
                name="lot_review_ends_once",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["lot", "part_number"], name="lot_review_of_lot"),
        ]

    def __str__(self) -> str:
        return f"{self.lot} {self.answer}"


class LotMember(models.Model):
    """One task of a lot review as it was taken; those of the sample are judged one by one."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    review = models.ForeignKey(LotReview, on_delete=models.PROTECT, related_name="members")
    task = models.ForeignKey(ReviewTask, on_delete=models.PROTECT, related_name="+")
    fence = models.PositiveBigIntegerField()
    is_sample = models.BooleanField()
    images = models.PositiveIntegerField(
        db_default=0, help_text=_("How many images of it were there when it was taken.")
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["review", "task"], name="lot_member_once"),
        ]

    def __str__(self) -> str:
        return f"{self.review_id} {self.task_id}"
