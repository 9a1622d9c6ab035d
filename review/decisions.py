"""An inspector's verdict: decision, disposition, label, write-back and audit in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from django.db import IntegrityError
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from governance import audit
from governance.access import Actor
from governance.audit import Trail
from labeling import annotations as labels
from labeling.models import Label
from review import (
    adjudication,
    approvals,
    dispositions,
    escalations,
    queue,
    second_persons,
    verdicts,
)
from review.claimed import ClaimedTask
from review.dispositions import Draft
from review.models import (
    Answer,
    Decision,
    DecisionWithdrawal,
    LotMember,
    ReviewTask,
    Skip,
    TaskKind,
    TaskPurpose,
    TaskState,
)
from review.queue import Lease
from review.rulings import Ruling
from review.second_persons import Waits
from review.taking import Taken, take
from review.transitions import check_disposition, check_transition
from review.verdicts import Verdict
from traceability.inserts import insert_all
from traceability.models import (
    DeciderKind,
    Disposition,
    DispositionKind,
)
from traceability.refusals import Conflict, Invalid, Unknown


class UndoClosed(Conflict):
    """The window has passed, or the MES has already been told."""

    code = "undo_closed"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A decision and whether this call made it or an earlier one with the same key."""

    decision: Decision
    is_replay: bool


def decide(
    *,
    actor: Actor,
    held: Lease,
    verdict: Verdict,
    key: str,
    undo_window: timedelta,
    at: datetime,
    bulk: int | None = None,
    pressed: Mapping[str, Any] | None = None,
) -> Recorded:
    """Record a verdict once. `key` names the request: repeated with the same body it answers the
    same, with another body it is refused. `bulk`: the lot review it is a part of; `pressed`: what a
    tablet says of the press, for the record. Raises LeaseLost on a stale fence.
    """
    # Whether a defect is within the limits is known when the task is.
    check_disposition(
        verdict.answer,
        verdict.disposition,
        is_within_limits=True,
        is_concession=bool(verdict.concession),
    )
    digest = verdicts.digest(held, verdict)
    # A new verdict is what comes nearly always. A repeated one finds its task closed, or runs
    # into the unique key where it names another task; only then is the earlier one looked up.
    try:
        with audit.recorded(actor=actor, at=at) as trail:
            taken = take(actor, held)
            if taken is None:
                trail.nothing_changed()
            else:
                asked = _Asked(key, digest, undo_window, bulk, pressed or {})
                decision = _record(trail, taken, verdict, asked)
                return Recorded(decision, is_replay=False)
    except IntegrityError as error:
        if "idempotency_key" not in str(error):
            raise
    if (earlier := _replayed(actor, key, digest)) is not None:
        return earlier
    raise queue.why_lost(actor, held)


@dataclass(frozen=True, slots=True)
class _Asked:
    """How a verdict was asked for, beside what it says."""

    key: str
    digest: str
    undo_window: timedelta
    bulk: int | None
    pressed: Mapping[str, Any]


def _record(trail: Trail, task: Taken, verdict: Verdict, how: _Asked) -> Decision:
    undo_until = trail.at + how.undo_window
    if task.purpose is TaskPurpose.CONTROL:
        # Its truth is told with the answer: there is nothing to take back.
        undo_until = trail.at
    site_id = task.inspection.site_id
    _check_may_say(trail.actor, task, verdict)
    defect = verdicts.defect_of(task, verdict)
    code = defect.code if defect else ""
    moves_unit = task.purpose in queue.STOPPING
    ruling = verdicts.ruled(trail.actor, task, verdict, defect)
    waits = _waits_for(trail, task, ruling) if moves_unit else None
    if moves_unit and ruling.is_concession and not task.is_free:
        _check_can_be_conceded(trail, verdicts.draft(trail, task, verdict, defect, ruling))
    ruling = approvals.held(ruling, waits.kind if waits else None)
    disposed = dispositions.dispose_all(
        trail=trail,
        drafts=[verdicts.draft(trail, task, verdict, defect, ruling)] if moves_unit else [],
        due_at=undo_until,
        units_are_locked=True,
    )
    _check_conceded(ruling, disposed)
    decision = Decision(
        site_id=site_id,
        task_id=task.pk,
        fence=task.fence,
        answer=verdict.answer,
        disposition_kind=verdict.disposition,
        disposition=disposed[0] if disposed else None,
        defect_class=code,
        bulk_id=how.bulk,
        comment=verdict.comment,
        seconds=verdict.seconds,
        decided_by_id=cast(int, trail.actor.user_id),
        decided_at=trail.at,
        undo_until=undo_until,
        idempotency_key=how.key,
        request_sha256=how.digest,
    )
    insert_all([decision])
    # A unit that is scrapped already stays so, whoever would agree.
    if waits is not None and disposed[0].kind == DispositionKind.HOLD:
        reason = verdict.concession or verdict.comment
        approvals.ask(
            trail=trail,
            task=task,
            decision=decision,
            kind=waits.kind,
            policy_version=waits.policy_version,
            reason=reason,
        )
    if moves_unit:
        _label(trail, task, verdict, code, decision)
        if verdict.answer is Answer.INCONCLUSIVE:
            _hand_on(trail, task, verdict.comment)
    adjudication.follow(
        trail=trail,
        decision=decision,
        inspection=task.inspection,
        purpose=task.purpose,
        wants_second=task.wants_second,
    )
    _note(trail, task, decision, how.pressed)
    return decision


def _waits_for(trail: Trail, task: Taken, ruling: Ruling) -> Waits | None:
    """What of this ruling waits for a second person. A lead who decides between two verdicts
    overtakes what one of them had asked for."""
    if task.purpose is TaskPurpose.ADJUDICATION:
        words = _("A lead has judged it since.")
        approvals.overtake(trail=trail, inspections=[task.inspection.pk], words=words)
    return second_persons.waits_for(task=task, ruling=ruling, at=trail.at)


def _check_can_be_conceded(trail: Trail, draft: Draft) -> None:
    """A part in rework is released by later images alone; nobody is asked to approve otherwise."""
    comes_to = dispositions.foreseen(draft, at=trail.at)
    if comes_to.is_too_old:
        raise Invalid(comes_to.reason)


def _check_conceded(ruling: Ruling, disposed: Sequence[Disposition]) -> None:
    """Released later, by the answer to another question, the part would be used without its
    concession being told to anybody."""
    if not ruling.is_concession or ruling.kind is not DispositionKind.ACCEPT or not disposed:
        return
    if disposed[0].kind == DispositionKind.HOLD:
        raise Invalid(_("Another question about this unit is open. It is answered first."))


def _note(trail: Trail, task: Taken, decision: Decision, pressed: Mapping[str, Any]) -> None:
    trail.add(
        "task.decide",
        subject_kind="task",
        subject=task.uuid,
        site_id=decision.site_id,
        detail={
            "answer": decision.answer,
            "disposition": decision.disposition_kind,
            "defect_class": decision.defect_class,
            "fence": task.fence,
            **({"purpose": task.purpose} if task.purpose is not TaskPurpose.FIRST else {}),
            **({"bulk": decision.bulk_id} if decision.bulk_id is not None else {}),
            **({"pressed": pressed} if pressed else {}),
        },
        reason=decision.comment,
    )


def _check_may_say(actor: Actor, task: Taken, verdict: Verdict) -> None:
    adjudication.check_is_another(
        user_id=actor.user_id,
        inspection_id=task.inspection.pk,
        purpose=task.purpose,
        wants_second=task.wants_second,
    )
    verdicts.check_says_what(task, verdict)


def _hand_on(trail: Trail, task: Taken, comment: str) -> None:
    """What an inspector cannot tell goes to a lead, and not to himself again."""
    site_id = task.inspection.site_id
    escalations.note(
        trail=trail, site_id=site_id, task_id=task.pk, fence=task.fence, comment=comment
    )
    ReviewTask.objects.filter(pk=task.pk).update(
        state=TaskState.QUEUED, is_escalated=True, reserved_for=None, reserved_until=None
    )
    Skip.objects.bulk_create(
        [
            Skip(
                site_id=task.inspection.site_id,
                task_id=task.pk,
                inspector_id=cast(int, trail.actor.user_id),
                reason="inconclusive",
                at=trail.at,
            )
        ],
        ignore_conflicts=True,
    )


def _label(trail: Trail, task: Taken, verdict: Verdict, code: str, decision: Decision) -> None:
    if verdict.answer is Answer.INCONCLUSIVE:
        return
    is_defect = verdict.answer is Answer.CONFIRMED
    labels.record(
        trail=trail,
        decision=decision.uuid,
        inspection=task.inspection,
        verdict=Label.Verdict.DEFECT if is_defect else Label.Verdict.GOOD,
        defect_class=code,
        disposition=verdict.disposition,
        labelled_by=trail.actor.name,
        inclusion_probability=task.inclusion_probability,
        regions=verdict.regions,
    )


def undo(
    *,
    actor: Actor,
    decision_id: UUID,
    lease: timedelta,
    at: datetime,
    tablet: int | None = None,
) -> ClaimedTask:
    """Take a verdict back within its window: the task is this inspector's again (or the tablet's he
    works at, by its account), nothing is sent.

    The write-back's own row decides: once the relay has taken it, the window is closed.
    """
    holder_id = tablet or actor.user_id
    with audit.recorded(actor=actor, at=at) as trail:
        decision = (
            Decision.objects.filter(uuid=decision_id, decided_by_id=actor.user_id)
            .select_related("task", "disposition", "withdrawal")
            .first()
        )
        if decision is None:
            raise Unknown(_("There is no such verdict of yours."))
        task = ReviewTask.objects.select_for_update().get(pk=decision.task_id)
        if _is_taken_back(decision, task, holder_id):
            # The answer to the first call was lost on its way.
            trail.nothing_changed()
            return queue.shown(task_id=task.pk)
        check_transition(TaskState(task.state), TaskState.LEASED)
        if task.purpose == TaskPurpose.CONTROL:
            raise UndoClosed(_("This was a control: its verdict is final."))
        if _is_sample_of_a_lot(decision):
            raise UndoClosed(
                _("The lot was decided by this part, among others. Take the whole lot back.")
            )
        if at > decision.undo_until or decision.fence != task.fence:
            raise UndoClosed(_("The time to take this verdict back has passed."))
        approvals.take_back(trail=trail, decision=decision)
        adjudication.take_back(trail=trail, task=task)
        standing = _withdraw(trail, decision)
        task.state, task.holder_id, task.fence = TaskState.LEASED, holder_id, task.fence + 1
        task.lease_expires_at = Now() + lease
        task.is_escalated = task.is_escalated and decision.answer != Answer.INCONCLUSIVE
        task.save(update_fields=["state", "holder", "fence", "lease_expires_at", "is_escalated"])
        escalations.forget(task_id=task.pk, fence=decision.fence)
        _hold_again(trail, task, decision, standing)
        trail.add(
            "task.undo",
            subject_kind="task",
            subject=task.uuid,
            site_id=task.site_id,
            detail={"decision": str(decision.uuid), "fence": task.fence},
        )
        return queue.shown(task_id=task.pk)


def _is_taken_back(decision: Decision, task: ReviewTask, holder_id: int | None) -> bool:
    """Whether this very undo was done before, and the task is still the inspector's by it."""
    return (
        hasattr(decision, "withdrawal")
        and task.fence == decision.fence + 1
        and (task.state, task.holder_id) == (TaskState.LEASED, holder_id)
    )


def _is_sample_of_a_lot(decision: Decision) -> bool:
    """Whether others were decided in one action because of this verdict."""
    return LotMember.objects.filter(
        task=decision.task_id,
        fence=decision.fence,
        is_sample=True,
        review__decided_at__isnull=False,
        review__undone_at__isnull=True,
    ).exists()


def _hold_again(
    trail: Trail, task: ReviewTask, decision: Decision, standing: Disposition | None
) -> None:
    """Hold a unit that another verdict released because this one had been given."""
    if standing is None or decision.disposition is None or task.kind == TaskKind.AUDIT:
        return
    is_later = standing.revision > decision.disposition.revision
    if is_later and standing.kind == DispositionKind.ACCEPT:
        draft = dispositions.Draft(
            inspection=task.inspection,
            kind=DispositionKind.HOLD,
            decider_kind=DeciderKind.RULE,
            decider="undo",
            policy_version=task.policy_version,
            reason=_("A verdict on this unit was taken back."),
        )
        dispositions.dispose_all(trail=trail, drafts=[draft], due_at=trail.at)


def _withdraw(trail: Trail, decision: Decision) -> Disposition | None:
    standing = None
    if decision.disposition is not None:
        try:
            standing = dispositions.withdraw(trail=trail, disposition=decision.disposition)
        except Conflict as refusal:
            raise UndoClosed(refusal.sentence) from refusal
    labels.withdraw(trail=trail, decision=decision.uuid)
    DecisionWithdrawal.objects.create(site_id=decision.site_id, decision=decision, at=trail.at)
    return standing


def _replayed(actor: Actor, key: str, digest: str) -> Recorded | None:
    earlier = Decision.objects.filter(idempotency_key=key).select_related("disposition").first()
    if earlier is None:
        return None
    if earlier.decided_by_id != actor.user_id or earlier.request_sha256 != digest:
        raise Invalid(
            _("This Idempotency-Key was used for another request. Use a new one for each verdict."),
            code="key_reused",
        )
    return Recorded(earlier, is_replay=True)


def decided_today(*, actor: Actor, at: datetime) -> int:
    """This inspector's verdicts since midnight UTC, those taken back left out."""
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return Decision.objects.filter(
        decided_by_id=actor.user_id, decided_at__gte=midnight, withdrawal__isnull=True
    ).count()
