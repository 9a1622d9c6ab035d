"""What happens at a station beside verdicts: holds put away, calls, capture checks, conflicts."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from governance.models import Device, User
from review.models.bench import Answer, ReviewTask
from traceability.identifiers import new_id
from traceability.models import Capture, DispositionKind, Line, Site, Station, Unit


class HoldAcknowledgement(models.Model):
    """An operator put a held unit where it belongs. `key`: the press, whatever is repeated."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    station = models.ForeignKey(Station, on_delete=models.PROTECT, related_name="+")
    unit = models.ForeignKey(Unit, on_delete=models.PROTECT, related_name="+")
    held_since = models.DateTimeField(help_text=_("Which of the unit's holds it was."))
    place = models.CharField(max_length=64)
    key = models.UUIDField(unique=True)
    device = models.ForeignKey(Device, on_delete=models.PROTECT, null=True, related_name="+")
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField(help_text=_("When it was pressed."))
    at = models.DateTimeField(help_text=_("When it came in."))

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["unit", "held_since"], name="hold_acknowledged_once")
        ]

    def __str__(self) -> str:
        return f"{self.unit} by {self.by}"


class AndonCall(models.Model):
    """A station calls for help, or stops; somebody comes, and it is closed."""

    class Kind(models.TextChoices):
        HELP = "HELP", _("Help")
        STOP = "STOP", _("Stop")

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    line = models.ForeignKey(Line, on_delete=models.PROTECT, related_name="+")
    station = models.ForeignKey(Station, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=4, choices=Kind.choices)
    key = models.UUIDField(unique=True)
    device = models.ForeignKey(Device, on_delete=models.PROTECT, null=True, related_name="+")
    called_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    made_at = models.DateTimeField(help_text=_("When it was pressed."))
    called_at = models.DateTimeField(help_text=_("When it came in."))
    escalated_at = models.DateTimeField(null=True)
    published_at = models.DateTimeField(null=True, help_text=_("When the alert topic had it."))
    answered_at = models.DateTimeField(null=True)
    answered_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    closed_at = models.DateTimeField(null=True)
    closed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    remark = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["station", "kind"],
                condition=Q(closed_at__isnull=True),
                name="andon_call_open_once",
            ),
            models.CheckConstraint(
                condition=Q(answered_at__isnull=True, answered_by__isnull=True)
                | Q(answered_at__isnull=False, answered_by__isnull=False),
                name="andon_answer_is_whole",
            ),
            models.CheckConstraint(
                condition=Q(closed_at__isnull=True, closed_by__isnull=True)
                | Q(closed_at__isnull=False, closed_by__isnull=False),
                name="andon_close_is_whole",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["site", "called_at"],
                name="andon_open",
                condition=Q(closed_at__isnull=True),
            ),
            models.Index(F("site"), F("called_at").desc(), name="andon_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} at {self.station}"


class CaptureCheck(models.Model):
    """A station whose images are not fit to judge, until enough fit ones have come again."""

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    line = models.ForeignKey(Line, on_delete=models.PROTECT, related_name="+")
    station = models.ForeignKey(Station, on_delete=models.PROTECT, related_name="+")
    capture = models.ForeignKey(
        Capture, on_delete=models.PROTECT, related_name="+", help_text=_("The latest unfit one.")
    )
    causes = models.JSONField(default=list, help_text=_("What the quality figures point at."))
    opened_at = models.DateTimeField()
    unfit = models.PositiveIntegerField(default=1, help_text=_("How many unfit images so far."))
    fit = models.PositiveIntegerField(default=0, help_text=_("Fit ones since the latest unfit."))
    key = models.UUIDField(null=True, unique=True)
    done_at = models.DateTimeField(null=True, help_text=_("When an operator had cleaned or moved."))
    done_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    closed_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["station"],
                condition=Q(closed_at__isnull=True),
                name="capture_check_open_once",
            ),
            models.CheckConstraint(
                condition=Q(done_at__isnull=True, done_by__isnull=True)
                | Q(done_at__isnull=False, done_by__isnull=False),
                name="capture_check_done_is_whole",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["site"], name="capture_check_open", condition=Q(closed_at__isnull=True)
            )
        ]

    def __str__(self) -> str:
        return f"{self.station} since {self.opened_at:%H:%M}"


class SecondOpinion(models.Model):
    """A verdict from a tablet that came too late to count. A lead sees it; it is never dropped."""

    class Why(models.TextChoices):
        DECIDED = "DECIDED", _("Somebody else had decided")
        TAKEN = "TAKEN", _("Somebody else had it by then")
        REFUSED = "REFUSED", _("It could not be recorded")

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    station = models.ForeignKey(Station, on_delete=models.PROTECT, related_name="+")
    task = models.ForeignKey(
        ReviewTask, on_delete=models.PROTECT, null=True, related_name="second_opinions"
    )
    key = models.UUIDField(unique=True)
    device = models.ForeignKey(Device, on_delete=models.PROTECT, related_name="+")
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    said = models.JSONField(help_text=_("The row as the tablet sent it."))
    why = models.CharField(max_length=8, choices=Why.choices)
    sentence = models.CharField(max_length=300)
    made_at = models.DateTimeField(help_text=_("When it was pressed."))
    at = models.DateTimeField(help_text=_("When it came in."))
    withdrawn_at = models.DateTimeField(null=True, help_text=_("Taken back at the tablet."))
    seen_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    seen_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(seen_at__isnull=True, seen_by__isnull=True)
                | Q(seen_at__isnull=False, seen_by__isnull=False),
                name="second_opinion_seen_is_whole",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["site"], name="second_opinion_unseen", condition=Q(seen_at__isnull=True)
            )
        ]

    def __str__(self) -> str:
        return f"{self.task_id} {self.why}"

    @property
    def words(self) -> str:
        """What was pressed, as far as the row could be read."""
        kind, answer = self.said.get("kind"), self.said.get("answer")
        if kind == "undo":
            return str(_("Undo"))
        if kind != "decision" or answer not in Answer:
            return str(_("Cannot be read"))
        return f"{Answer(answer).label} · {DispositionKind(self.said['disposition']).label}"
