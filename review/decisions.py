"""An inspector's verdict: decision, disposition, label, write-back and audit in one transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import IntegrityError
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from governance import audit
from governance.access import Actor
from governance.audit import Trail
from governance.roles import Capability
from labeling import annotations, catalogue
from labeling.models import Label
from labeling.regions import Region
from review import dispositions, queue
from review.models import Answer, Decision, DecisionWithdrawal, ReviewTask, TaskState
from review.queue import Lease
from review.transitions import check_disposition, check_transition
from traceability.models import DeciderKind, Disposition, DispositionKind, Prediction
from traceability.refusals import Conflict, Invalid, Unknown


class UndoClosed(Conflict):
    """The window has passed, or the MES has already been told."""

    code = "undo_closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the inspector says; `seconds` from first sight to the key."""

    answer: Answer
    disposition: DispositionKind
    defect_class: str = ""
    comment: str = ""
    seconds: float | None = None
    regions: Sequence[Region] = ()


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
) -> Recorded:
    """Record a verdict once. `key` names the request: repeated with the same body it answers the
    same, with another body it is refused. Raises LeaseLost on a stale fence.
    """
    digest = _digest(held, verdict)
    if (earlier := _replayed(actor, key, digest)) is not None:
        return earlier
    check_disposition(verdict.answer, verdict.disposition)
    try:
        with audit.recorded(actor=actor, at=at) as trail:
            task = _take(actor, held)
            if task is None:
                trail.nothing_changed()
            else:
                decision = _record(trail, task, verdict, key, digest, undo_window)
                return Recorded(decision, is_replay=False)
    except IntegrityError as error:
        if "idempotency_key" not in str(error):
            raise
    if (earlier := _replayed(actor, key, digest)) is not None:
        return earlier
    queue.refuse_lost(actor, held)


def _take(actor: Actor, held: Lease) -> ReviewTask | None:
    """Close the task if, and only if, the fence and the holder are still the ones claimed.

    A lease that has run out still counts while nobody else has taken the task.
    """
    closed = ReviewTask.objects.filter(
        actor.within(Capability.REVIEW),
        uuid=held.task,
        fence=held.fence,
        holder_id=actor.user_id,
        state=TaskState.LEASED,
    ).update(state=TaskState.DECIDED, holder=None, lease_expires_at=None)
    return queue.with_facts().get(uuid=held.task) if closed else None


def _record(
    trail: Trail,
    task: ReviewTask,
    verdict: Verdict,
    key: str,
    digest: str,
    undo_window: timedelta,
) -> Decision:
    undo_until = trail.at + undo_window
    code = _defect_class(task, verdict)
    [disposition] = dispositions.dispose_all(
        trail=trail,
        drafts=[_draft(trail, task, verdict, code)],
        due_at=undo_until,
    )
    decision = Decision.objects.create(
        site_id=task.site_id,
        task=task,
        fence=task.fence,
        answer=verdict.answer,
        disposition_kind=verdict.disposition,
        disposition=disposition,
        defect_class=code,
        comment=verdict.comment,
        seconds=verdict.seconds,
        decided_by_id=trail.actor.user_id,
        decided_at=trail.at,
        undo_until=undo_until,
        idempotency_key=key,
        request_sha256=digest,
    )
    _label(trail, task, verdict, code, decision)
    trail.add(
        "task.decide",
        subject_kind="task",
        subject=task.uuid,
        site_id=task.site_id,
        detail={
            "answer": verdict.answer,
            "disposition": verdict.disposition,
            "defect_class": code,
            "fence": task.fence,
        },
        reason=verdict.comment,
    )
    return decision


def _defect_class(task: ReviewTask, verdict: Verdict) -> str:
    if verdict.answer is not Answer.CONFIRMED:
        return ""
    code = verdict.defect_class or task.defect_class
    if not code:
        raise Invalid(_("Say which defect it is."))
    return catalogue.find(site_id=task.site_id, code=code).code


def _draft(trail: Trail, task: ReviewTask, verdict: Verdict, code: str) -> dispositions.Draft:
    prediction = (
        Prediction.objects.filter(capture__inspection_id=task.inspection_id)
        .select_related("model_version")
        .order_by("-score", "-id")
        .first()
    )
    nonconformities = []
    if code:
        severity = catalogue.find(site_id=task.site_id, code=code).severity
        count = max(1, sum(1 for r in verdict.regions if r.defect_class == code))
        nonconformities = [{"defect_class": code, "severity": severity, "count": count}]
    return dispositions.Draft(
        inspection=task.inspection,
        kind=verdict.disposition,
        decider_kind=DeciderKind.INSPECTOR,
        decider=trail.actor.badge,
        policy_version=task.policy_version,
        model_version=prediction.model_version if prediction else None,
        nonconformities=nonconformities,
        reason=verdict.comment[:300],
    )


def _label(
    trail: Trail, task: ReviewTask, verdict: Verdict, code: str, decision: Decision
) -> None:
    if verdict.answer is Answer.INCONCLUSIVE:
        return
    is_defect = verdict.answer is Answer.CONFIRMED
    annotations.record(
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
    *, actor: Actor, decision_id: UUID, lease: timedelta, at: datetime
) -> ReviewTask:
    """Take a verdict back within its window: the task is this inspector's again, nothing is sent.

    The write-back's own row decides: once the relay has taken it, the window is closed.
    """
    with audit.recorded(actor=actor, at=at) as trail:
        decision = (
            Decision.objects.filter(uuid=decision_id, decided_by_id=actor.user_id)
            .select_related("task")
            .first()
        )
        if decision is None:
            raise Unknown(_("There is no such verdict of yours."))
        task = ReviewTask.objects.select_for_update().get(pk=decision.task_id)
        check_transition(TaskState(task.state), TaskState.LEASED)
        if at > decision.undo_until or decision.fence != task.fence:
            raise UndoClosed(_("The time to take this verdict back has passed."))
        _withdraw(trail, decision)
        task.state, task.holder_id, task.fence = TaskState.LEASED, actor.user_id, task.fence + 1
        task.lease_expires_at = Now() + lease
        task.save(update_fields=["state", "holder", "fence", "lease_expires_at"])
        trail.add(
            "task.undo",
            subject_kind="task",
            subject=task.uuid,
            site_id=task.site_id,
            detail={"decision": str(decision.uuid), "fence": task.fence},
        )
    again: ReviewTask = queue.with_facts().get(pk=task.pk)
    return again


def _withdraw(trail: Trail, decision: Decision) -> None:
    disposition = Disposition.objects.get(pk=decision.disposition_id)
    try:
        dispositions.withdraw(trail=trail, disposition=disposition)
    except Conflict as refusal:
        raise UndoClosed(refusal.sentence) from refusal
    annotations.withdraw(trail=trail, decision=decision.uuid)
    DecisionWithdrawal.objects.create(site_id=decision.site_id, decision=decision, at=trail.at)


def _digest(held: Lease, verdict: Verdict) -> str:
    """What makes two requests the same request."""
    body = {"task": str(held.task), "fence": held.fence, **asdict(verdict)}
    return hashlib.sha256(json.dumps(body, sort_keys=True, default=str).encode()).hexdigest()


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
