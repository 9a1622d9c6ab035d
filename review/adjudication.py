"""Second inspections, and what follows when they say otherwise: a hold, and a lead's verdict.

A second inspection moves no unit and makes no label. Its task is opened with the first verdict and
is never offered to who gave that.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from governance.audit import Trail
from review import dispositions
from review.agreement import differences, standing, standing_pair
from review.models import Answer, Decision, ReviewTask, TaskKind, TaskPurpose, TaskState
from review.queue import TaskDraft, open_tasks
from traceability.models import (
    DeciderKind,
    Disposition,
    DispositionKind,
    Inspection,
    Unit,
)
from traceability.refusals import Conflict

# Nobody at the line waits for it: it comes after everything somebody waits for, for a week. By then
# the first verdict is history, and the comparison would say little.
SECOND_WITHIN: Final = timedelta(days=7)
ADJUDICATE_WITHIN: Final = timedelta(minutes=15)
RULE: Final = "disagreement"


def follow(
    *,
    trail: Trail,
    decision: Decision,
    inspection: Inspection,
    purpose: TaskPurpose,
    wants_second: bool,
) -> None:
    """What a verdict brings about, in its own transaction. The unit is locked."""
    if purpose is TaskPurpose.FIRST and wants_second:
        if decision.answer == Answer.INCONCLUSIVE:
            return
        _open_second(trail, decision, inspection)
        _compare(trail, decision, inspection)
    elif purpose is TaskPurpose.SECOND:
        _compare(trail, decision, inspection)


def check_is_another(
    *, user_id: int | None, inspection_id: int, purpose: TaskPurpose, wants_second: bool
) -> None:
    """Raise Conflict where this person has given one of the verdicts that this one is to check.

    A claim does not offer such a task, but he may have held both before he judged one.
    """
    is_checked = purpose is TaskPurpose.FIRST and wants_second
    if not is_checked and purpose not in (TaskPurpose.SECOND, TaskPurpose.ADJUDICATION):
        return
    given = Decision.objects.filter(task__inspection=inspection_id, decided_by=user_id)
    # A first verdict that was asked again may be the same person's.
    given = given.exclude(task__purpose=purpose)
    if given.exists():
        raise Conflict(
            _("You have judged this part before. Skip it, so that somebody else judges it."),
            code="same_person",
        )


def _open_second(trail: Trail, decision: Decision, inspection: Inspection) -> None:
    """A blind task for somebody else; one that is there already stays."""
    draft = _draft(
        inspection,
        ReviewTask.objects.get(pk=decision.task_id),
        purpose=TaskPurpose.SECOND,
        within=SECOND_WITHIN,
        trail=trail,
    )
    open_tasks(trail=trail, drafts=[draft])


def _draft(
    inspection: Inspection,
    first: ReviewTask,
    *,
    purpose: TaskPurpose,
    within: timedelta,
    trail: Trail,
) -> TaskDraft:
    return TaskDraft(
        inspection=inspection,
        kind=TaskKind.REVIEW,
        purpose=purpose,
        is_blind=purpose is TaskPurpose.SECOND,
        is_escalated=purpose is TaskPurpose.ADJUDICATION,
        score=first.score,
        defect_class=first.defect_class,
        policy_version=first.policy_version,
        review_from=first.review_from,
        contain_from=first.contain_from,
        inclusion_probability=first.inclusion_probability,
        deadline=trail.at + within,
        severity=first.severity,
        second_for_scrap=first.second_for_scrap,
        second_for_concession=first.second_for_concession,
    )


def _compare(trail: Trail, decision: Decision, inspection: Inspection) -> None:
    """Hold the unit and ask a lead where the two verdicts differ."""
    pair = standing_pair(inspection.pk)
    if pair is None or _was_asked_again(inspection):
        return
    differ_in = differences(*pair)
    trail.add(
        "inspection.compare",
        subject_kind="inspection",
        subject=inspection.external_id,
        site_id=inspection.site_id,
        detail={"agree": not differ_in, "differ_in": differ_in},
    )
    if differ_in:
        first = ReviewTask.objects.get(inspection=inspection, purpose=TaskPurpose.FIRST)
        _hold(trail, first, decision, inspection)
        within = max(first.deadline - first.opened_at, ADJUDICATE_WITHIN)
        draft = _draft(
            inspection, first, purpose=TaskPurpose.ADJUDICATION, within=within, trail=trail
        )
        open_tasks(trail=trail, drafts=[draft])


def _was_asked_again(inspection: Inspection) -> bool:
    """Whether the first question was asked anew, about more views than the second saw."""
    given = Decision.objects.filter(
        task__inspection=inspection, task__purpose=TaskPurpose.FIRST, withdrawal__isnull=True
    ).exclude(answer=Answer.INCONCLUSIVE)
    return given.count() > 1


def _hold(trail: Trail, first: ReviewTask, decision: Decision, inspection: Inspection) -> None:
    unit = Unit.objects.get(pk=inspection.unit_id)
    if unit.disposition in (DispositionKind.HOLD, DispositionKind.SCRAP):
        return
    draft = dispositions.Draft(
        inspection=inspection,
        kind=DispositionKind.HOLD,
        decider_kind=DeciderKind.RULE,
        decider=RULE,
        policy_version=first.policy_version,
        reason=_("Two inspectors do not agree; a lead decides."),
    )
    # Taken back together with the verdict that brought it about, and sent when that is final.
    dispositions.dispose_all(
        trail=trail, drafts=[draft], due_at=decision.undo_until, units_are_locked=True
    )


def take_back(*, trail: Trail, task: ReviewTask) -> None:
    """Undo what the verdict on this task had brought about, as far as nobody has begun on it.

    Raises Conflict once a lead has the adjudication.
    """
    if task.purpose not in (TaskPurpose.FIRST, TaskPurpose.SECOND):
        return
    of_this = ReviewTask.objects.select_for_update().filter(inspection=task.inspection_id)
    # In the order they were opened, as who takes back the other verdict of the two locks them.
    seconds = list(_second(of_this)) if task.purpose == TaskPurpose.FIRST else []
    begun = of_this.filter(purpose=TaskPurpose.ADJUDICATION).first()
    if begun is not None:
        if not _is_untouched(begun):
            raise Conflict(
                _("A lead is judging this unit already. Tell him instead."), code="undo_closed"
            )
        _close(trail, [begun])
        _release(trail, task)
    _close(trail, [t for t in seconds if _is_untouched(t)])


def _second(tasks: QuerySet[ReviewTask]) -> QuerySet[ReviewTask]:
    return tasks.filter(purpose=TaskPurpose.SECOND)


def _is_untouched(task: ReviewTask) -> bool:
    return task.state == TaskState.QUEUED and task.fence == 0


def _close(trail: Trail, tasks: Sequence[ReviewTask]) -> None:
    """Remove tasks nobody has had, so that they can be opened again."""
    for task in tasks:
        trail.add(
            "task.close", subject_kind="task", subject=task.uuid, site_id=task.site_id, detail={}
        )
        task.delete()


def _release(trail: Trail, task: ReviewTask) -> None:
    hold = (
        Disposition.objects.filter(
            inspection_id=task.inspection_id, decider=RULE, withdrawal__isnull=True
        )
        .select_related("unit")
        .order_by("-revision")
        .first()
    )
    if hold is not None:
        dispositions.withdraw(trail=trail, disposition=hold)


def adjudicated() -> QuerySet[Decision]:
    """The leads' verdicts that hold."""
    return standing(TaskPurpose.ADJUDICATION).exclude(answer=Answer.INCONCLUSIVE)
