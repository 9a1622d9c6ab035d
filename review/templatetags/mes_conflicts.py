"""What the page of a conflict with the MES says of its two answers."""

from __future__ import annotations

from dataclasses import dataclass

from django import template
from django.template import Context
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from governance.access import Actor, actor_from
from governance.roles import Capability
from mes_integration.models import MesChange
from review import approvals, mes_conflicts, own_bench
from review.mes_conflicts import Answers
from review.models import Approval, ReviewTask
from review.queue import OPEN, STOPPING

register = template.Library()


@register.simple_tag(takes_context=True)
def conflict_answers(context: Context, change: MesChange) -> Answers:
    """Both answers to an open conflict, each with why it would be refused now."""
    actor = actor_from(context["request"])
    return mes_conflicts.answers(actor=actor, change=change, at=timezone.now())


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about the unit meanwhile, and by whom it is answered; `path` is empty where
    this person may not go there."""

    words: str
    path: str


@register.simple_tag(takes_context=True)
def open_questions(context: Context, change: MesChange) -> list[Question]:
    """What keeps the unit held, the bench's questions first."""
    actor = actor_from(context["request"])
    tasks = ReviewTask.objects.filter(unit=change.unit, state__in=OPEN, purpose__in=STOPPING)
    asked = Approval.objects.filter(unit=change.unit, state=Approval.State.OPEN)
    return [
        *(_at_the_bench(actor, task) for task in tasks.order_by("pk")),
        *(_of_two(actor, each) for each in asked if not own_bench.why_unseen(actor, each)),
    ]


def _at_the_bench(actor: Actor, task: ReviewTask) -> Question:
    # His own bench says what he may know of it; the model's opinion may be no part of that.
    is_his = own_bench.tasks_of(actor).filter(unit=task.unit_id).exists()
    what = {"defect": ("" if is_his else task.defect_class) or _("this unit")}
    if task.is_escalated:
        words = _("The question at the bench about %(defect)s is open: a lead answers it.") % what
    else:
        words = (
            _("The question at the bench about %(defect)s is open: an inspector answers it.") % what
        )
    may = ReviewTask.objects.filter(actor.within(Capability.SUPERVISE), pk=task.pk).exists()
    return Question(words, reverse("review:supervised_task", args=[task.uuid]) if may else "")


def _of_two(actor: Actor, approval: Approval) -> Question:
    words = _(
        "A second person is asked (%(kind)s, %(defect)s): somebody else who may approve it answers."
    ) % {"kind": approval.get_kind_display(), "defect": approval.defect_class}
    may = approvals.visible(actor).filter(pk=approval.pk).exists()
    return Question(words, reverse("review:approval", args=[approval.uuid]) if may else "")
