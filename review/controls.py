"""Controls: inspections whose truth is known, slipped in among the claims to see who finds it.

No verdict on one moves a unit, is sent anywhere or becomes a label; it is told right after.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from governance import audit
from governance.access import Actor, system
from governance.audit import Trail
from governance.roles import Capability
from labeling import exclusions
from review import queue
from review.agreement import standing
from review.claimed import ClaimedTask
from review.models import (
    Answer,
    ControlSample,
    Decision,
    ReviewTask,
    TaskPurpose,
    TaskState,
)
from review.transitions import check_transition
from traceability.draws import draw
from traceability.models import Capture, Inspection
from traceability.refusals import Conflict, Invalid, Unknown

# Nobody meets the same control twice in this time.
SELDOM: Final = timedelta(days=30)
# How long after its lease a control that nobody judged is still taken from a bench without network.
FORGOTTEN: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a control was, told to who has judged it."""

    truth: str
    defect_class: str
    is_right: bool


def add(*, actor: Actor, inspection_id: UUID, at: datetime) -> ControlSample:
    """Make an inspection a control: its verdict that holds is the truth from now on.

    Its labels are in no later dataset version. Raises Unknown, Invalid when the truth is not
    settled yet or an image is missing.
    """
    with audit.recorded(actor=actor, at=at) as trail:
        # FOR UPDATE: a verdict on it waits, and with it what would change the truth.
        inspection = (
            Inspection.objects.select_for_update(of=("self",))
            .filter(actor.within(Capability.REVIEW_ESCALATED), uuid=inspection_id)
            .first()
        )
        if inspection is None:
            raise Unknown(_("There is no such inspection for you."))
        truth = _truth(inspection, at=at)
        _check_images(inspection)
        sample, is_new = ControlSample.objects.get_or_create(
            inspection=inspection,
            defaults={
                "site_id": inspection.site_id,
                "truth": truth.answer,
                "defect_class": truth.defect_class,
                "added_by_id": cast(int, actor.user_id),
                "added_at": at,
            },
        )
        if not is_new:
            raise Conflict(_("This inspection is a control already."), code="already_control")
        exclusions.exclude(trail=trail, inspection=inspection, reason=_("It is a control."))
        _note(trail, "control.add", sample, inspection, truth=truth.answer)
        return sample


def retire(*, actor: Actor, inspection_id: UUID, at: datetime) -> ControlSample:
    """Show a control to nobody any more; what was judged of it stays."""
    with audit.recorded(actor=actor, at=at) as trail:
        sample = (
            ControlSample.objects.select_for_update(of=("self",))
            .select_related("inspection")
            .filter(actor.within(Capability.REVIEW_ESCALATED, line="inspection__line_id"))
            .filter(inspection__uuid=inspection_id, retired_at__isnull=True)
            .first()
        )
        if sample is None:
            raise Unknown(_("There is no such control for you."))
        sample.retired_at = at
        sample.save(update_fields=["retired_at"])
        _note(trail, "control.retire", sample, sample.inspection)
        return sample


def _truth(inspection: Inspection, *, at: datetime) -> Decision:
    """The verdict that holds: a lead's where two had differed, else the first."""
    tasks = ReviewTask.objects.filter(inspection=inspection).exclude(purpose=TaskPurpose.CONTROL)
    open_still = tasks.filter(state__in=queue.OPEN).exists()
    held = None
    for purpose in (TaskPurpose.ADJUDICATION, TaskPurpose.FIRST):
        held = held or standing(purpose).filter(task__inspection=inspection).first()
    if open_still or held is None or held.answer == Answer.INCONCLUSIVE:
        raise Invalid(_("Its truth is not known yet: somebody has still to judge it."))
    if held.undo_until >= at:
        raise Invalid(_("Its verdict may still be taken back. Try again in a moment."))
    if inspection.settled_at is None:
        raise Invalid(_("Not every expected view of it has arrived."))
    return held


def _check_images(inspection: Inspection) -> None:
    states = set(Capture.objects.filter(inspection=inspection).values_list("preview", flat=True))
    if states != {Capture.Preview.READY}:
        raise Invalid(_("Not every image of it can be shown."))


def slip_in(
    *, actor: Actor, tasks: Sequence[ClaimedTask], lease: timedelta, at: datetime
) -> list[ClaimedTask]:
    """The claimed tasks, now and then with a control in the place of one, which goes back.

    Drawn from the task and its claim, at the rate its policy rule had; one in a claim at most.
    """
    shown = list(tasks)
    for place, task in enumerate(shown):
        if _is_drawn(task) and (control := _instead(actor, task, lease, at)) is not None:
            shown[place] = control
            break
    return shown


def _is_drawn(task: ClaimedTask) -> bool:
    is_usual = task.purpose == TaskPurpose.FIRST and not task.is_escalated
    return is_usual and task.control_rate > 0 and _lot(task, "control") < task.control_rate


def _lot(task: ClaimedTask, label: str) -> float:
    key = settings.SECRET_KEY.encode()
    return draw(
        site=str(task.site_id), inspection=f"{task.uuid}/{task.fence}", key=key, label=label
    )


def _instead(actor: Actor, task: ClaimedTask, lease: timedelta, at: datetime) -> ClaimedTask | None:
    with audit.recorded(actor=actor, at=at) as trail:
        samples = list(_fitting(actor, task, at=at))
        # By the claim: a lead may have taken the task back in between, and a colleague claimed it.
        claimed = ReviewTask.objects.select_for_update().filter(
            pk=task.pk, fence=task.fence, holder=actor.user_id, state=TaskState.LEASED
        )
        replaced = claimed.first() if samples else None
        if replaced is None:
            trail.nothing_changed()
            return None
        sample = samples[int(_lot(task, "control-pick") * len(samples))]
        control = _open(actor, replaced, sample, lease, at)
        trail.add(
            "control.show",
            subject_kind="task",
            subject=control.uuid,
            site_id=control.site_id,
            detail={"instead_of": str(task.uuid)},
        )
        return queue.shown(task_id=control.pk)


def _fitting(actor: Actor, task: ClaimedTask, *, at: datetime) -> QuerySet[ControlSample]:
    """Controls that look like this task's part, and that this person neither knows nor had."""
    plate = task.nameplate
    here = ReviewTask.objects.filter(inspection=OuterRef("inspection"))
    lately = here.filter(
        purpose=TaskPurpose.CONTROL, reserved_for=actor.user_id, reserved_until__gt=at
    )
    known = Decision.objects.filter(
        task__inspection=OuterRef("inspection"), decided_by=actor.user_id
    ).exclude(task__purpose=TaskPurpose.CONTROL)
    return (
        ControlSample.objects.filter(
            site_id=task.site_id,
            retired_at__isnull=True,
            inspection__line__code=plate.line,
            inspection__unit__part_revision__part_number__number=plate.part_number,
        )
        .exclude(added_by=actor.user_id)
        .filter(~Exists(lately), ~Exists(known))
        .order_by("pk")
    )


def _open(
    actor: Actor, replaced: ReviewTask, sample: ControlSample, lease: timedelta, at: datetime
) -> ReviewTask:
    """The control as a task of its own, leased; the task it stands for is queued again."""
    model = ReviewTask.objects.get(inspection=sample.inspection_id, purpose=TaskPurpose.FIRST)
    check_transition(TaskState(replaced.state), TaskState.QUEUED)
    replaced.state, replaced.holder, replaced.lease_expires_at = TaskState.QUEUED, None, None
    replaced.save(update_fields=["state", "holder", "lease_expires_at"])
    return ReviewTask.objects.create(
        **{name: getattr(model, name) for name in _OF_THE_CONTROL},
        **{name: getattr(replaced, name) for name in _OF_THE_REPLACED},
        purpose=TaskPurpose.CONTROL,
        state=TaskState.LEASED,
        fence=1,
        holder_id=cast(int, actor.user_id),
        leased_at=Now(),
        lease_expires_at=Now() + Value(lease),
        # Also says who has had it, long after it was judged.
        reserved_for_id=cast(int, actor.user_id),
        reserved_until=at + SELDOM,
    )


_OF_THE_CONTROL: Final = (
    *("site_id", "line_id", "inspection_id", "unit_id", "kind", "score", "defect_class"),
    *("policy_version", "review_from", "contain_from", "inclusion_probability", "severity"),
)
_OF_THE_REPLACED: Final = ("opened_at", "deadline", "due", "is_blind")


def reveal(decision: Decision) -> Outcome | None:
    """What the control was; None for a verdict on anything else."""
    if decision.disposition_id is not None or decision.task.purpose != TaskPurpose.CONTROL:
        return None
    sample = ControlSample.objects.get(inspection=decision.task.inspection_id)
    is_right = decision.answer == sample.truth and decision.defect_class == sample.defect_class
    return Outcome(sample.truth, sample.defect_class, is_right)


def close_forgotten(*, at: datetime) -> int:
    """Close the controls whose person left without judging them; returns how many."""
    with audit.recorded(actor=system("controls"), at=at) as trail:
        left = list(
            ReviewTask.objects.select_for_update(skip_locked=True).filter(
                Q(state=TaskState.LEASED, lease_expires_at__lt=Now() - Value(FORGOTTEN))
                | Q(state=TaskState.QUEUED),
                purpose=TaskPurpose.CONTROL,
            )
        )
        if not left:
            trail.nothing_changed()
        for task in left:
            check_transition(TaskState(task.state), TaskState.CLOSED)
            task.state, task.holder, task.lease_expires_at = TaskState.CLOSED, None, None
            task.save(update_fields=["state", "holder", "lease_expires_at"])
            trail.add("task.close", subject_kind="task", subject=task.uuid, site_id=task.site_id)
        return len(left)


def _note(
    trail: Trail, action: str, sample: ControlSample, inspection: Inspection, **detail: Any
) -> None:
    trail.add(
        action,
        subject_kind="inspection",
        subject=inspection.external_id,
        site_id=sample.site_id,
        detail=detail,
    )
