"""Dispositions that wait for a second person."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from governance.models import User
from review.models.bench import Decision, ReviewTask
from traceability.identifiers import new_id
from traceability.models import Line, Site, Unit


class Approval(models.Model):
    """A verdict that counts only when a second person agrees; the unit is held until then.

    Once answered it is never changed: a trigger refuses it.
    """

    class Kind(models.TextChoices):
        SCRAP = "SCRAP", _("Scrap")
        CONCESSION = "CONCESSION", _("Concession")

    class State(models.TextChoices):
        OPEN = "OPEN", _("Waiting")
        APPROVED = "APPROVED", _("Approved")
        REFUSED = "REFUSED", _("Refused")
        # Taken back by who had asked, before anybody answered.
        WITHDRAWN = "WITHDRAWN", _("Taken back")
        OVERTAKEN = "OVERTAKEN", _("Decided otherwise")

    uuid = models.UUIDField(default=new_id, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    line = models.ForeignKey(Line, on_delete=models.PROTECT)
    unit = models.ForeignKey(Unit, on_delete=models.PROTECT, related_name="+")
    task = models.ForeignKey(ReviewTask, on_delete=models.PROTECT, related_name="+")
    decision = models.OneToOneField(Decision, on_delete=models.PROTECT)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    defect_class = models.CharField(max_length=64)
    reason = models.CharField(
        max_length=1000, blank=True, help_text=_("Why, in the words of who asks.")
    )
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    deadline = models.DateTimeField(null=True, help_text=_("None: it waits, and the unit with it."))
    state = models.CharField(max_length=9, choices=State.choices, default=State.OPEN)
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    words = models.CharField(max_length=1000, blank=True)
    signature = models.UUIDField(
        null=True, help_text=_("The electronic signature it was answered with, if any.")
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["task"], name="approval_one_open_a_task", condition=Q(state="OPEN")
            ),
            models.CheckConstraint(
                condition=~Q(decided_by=F("asked_by")), name="approval_by_another_person"
            ),
            models.CheckConstraint(
                condition=Q(state="OPEN", decided_at__isnull=True, decided_by__isnull=True)
                | Q(
                    state__in=["APPROVED", "REFUSED"],
                    decided_at__isnull=False,
                    decided_by__isnull=False,
                )
                | Q(
                    state__in=["WITHDRAWN", "OVERTAKEN"],
                    decided_at__isnull=False,
                    decided_by__isnull=True,
                ),
                name="approval_answer_is_whole",
            ),
            models.CheckConstraint(
                condition=~Q(kind="CONCESSION") | ~Q(reason=""),
                name="approval_concession_has_a_reason",
            ),
            models.CheckConstraint(
                condition=~Q(state="REFUSED") | ~Q(words=""), name="approval_refusal_has_words"
            ),
        ]
        indexes: ClassVar = [
            # Asked at every release of a unit: small, as it holds what is open alone.
            models.Index(fields=["unit"], name="approval_open", condition=Q(state="OPEN")),
            models.Index(F("site"), F("id").desc(), name="approval_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.unit_id} {self.kind} {self.state}"
