"""An inspector's verdict: decision, disposition, label, write-back and audit in one transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Final, cast
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, IntegrityError
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from governance import audit
from governance.access import Actor
from governance.audit import Trail
from governance.roles import Capability
from labeling import annotations as labels
from labeling import catalogue
from labeling.models import DefectClass, Label
from labeling.regions import Region
from review import dispositions, queue
from review.claimed import ClaimedTask
from review.models import (
    Answer,
    Decision,
    DecisionWithdrawal,
    ReviewTask,
    Skip,
    TaskKind,
    TaskState,
)
from review.queue import Lease
from review.transitions import check_disposition, check_transition
from traceability import nameplates
from traceability.inserts import insert_all
from traceability.models import (
    DeciderKind,
    Disposition,
    DispositionKind,
    Inspection,
    ModelVersion,
)
from traceability.nameplates import Nameplate
from traceability.refusals import Conflict, Invalid, Unknown
from traceability.statements import prepared


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
    check_disposition(verdict.answer, verdict.disposition)
    digest = _digest(held, verdict)
    # A new verdict is what comes nearly always. A repeated one finds its task closed, or runs
    # into the unique key where it names another task; only then is the earlier one looked up.
    try:
        with audit.recorded(actor=actor, at=at) as trail:
            taken = _take(actor, held)
            if taken is None:
                trail.nothing_changed()
            else:
                decision = _record(trail, taken, verdict, key, digest, undo_window)
                return Recorded(decision, is_replay=False)
    except IntegrityError as error:
        if "idempotency_key" not in str(error):
            raise
    if (earlier := _replayed(actor, key, digest)) is not None:
        return earlier
    raise queue.why_lost(actor, held)


# Closes the task if, and only if, the fence and the holder are still the ones claimed, and brings
# what the verdict is recorded with. A lease that has run out still counts while nobody else has
# taken the task. The unit is locked: its disposition follows in the next statement.
TAKE: Final = f"""
WITH taken AS (
    UPDATE review_reviewtask t SET state = 'DECIDED', holder_id = NULL, lease_expires_at = NULL
    WHERE t.uuid = %(task)s AND t.fence = %(fence)s AND t.holder_id = %(holder)s
      AND t.state = 'LEASED'
      AND (t.site_id = ANY(%(sites)s) OR (t.site_id, t.line_id) IN
          (SELECT * FROM unnest(%(line_sites)s::bigint[], %(lines)s::bigint[])))
    RETURNING t.*
)
SELECT t.id, t.uuid, t.fence, t.defect_class, t.policy_version, t.inclusion_probability,
    i.id, i.uuid, i.site_id, i.line_id, i.station_id, i.unit_id, i.external_id,
    i.views_expected, i.opened_at, i.settled_at,
    m.id, m.site_id, m.name, m.version, m.package_arn, m.first_seen_at,
    {nameplates.COLUMNS}
FROM taken t
JOIN traceability_inspection i ON i.id = t.inspection_id
JOIN traceability_unit u ON u.id = t.unit_id
LEFT JOIN LATERAL (
    SELECT p.model_version_id FROM traceability_capture c
    JOIN traceability_prediction p ON p.capture_id = c.id
    WHERE c.inspection_id = t.inspection_id ORDER BY p.score DESC, p.id DESC LIMIT 1
) worst ON true
LEFT JOIN traceability_modelversion m ON m.id = worst.model_version_id
FOR UPDATE OF u
"""  # noqa: S608  # constants only
_INSPECTION: Final = (
    *("id", "uuid", "site_id", "line_id", "station_id", "unit_id", "external_id"),
    *("views_expected", "opened_at", "settled_at"),
)
_MODEL: Final = ("id", "site_id", "name", "version", "package_arn", "first_seen_at")


@dataclass(frozen=True, slots=True)
class _Taken:
    """The task just closed and what its verdict is recorded with."""

    pk: int
    uuid: UUID
    fence: int
    defect_class: str
    policy_version: int
    inclusion_probability: float
    inspection: Inspection
    model_version: ModelVersion | None
    nameplate: Nameplate


def _take(actor: Actor, held: Lease) -> _Taken | None:
    scopes = actor.scopes_for(Capability.REVIEW)
    values: dict[str, Any] = {
        "task": held.task,
        "fence": held.fence,
        "holder": actor.user_id,
        "sites": [s.site_id for s in scopes if s.line_id is None],
        "line_sites": [s.site_id for s in scopes if s.line_id is not None],
        "lines": [s.line_id for s in scopes if s.line_id is not None],
    }
    with prepared() as cursor:
        cursor.execute(TAKE, values)
        row = cursor.fetchone()
    if row is None:
        return None
    inspection, model, plate = row[6:16], row[16:22], row[22:]
    pk, uuid, fence, code, policy_version, chance = row[:6]
    return _Taken(
        pk=pk,
        uuid=uuid,
        fence=fence,
        defect_class=code,
        policy_version=policy_version,
        inclusion_probability=chance,
        inspection=Inspection.from_db(DEFAULT_DB_ALIAS, _INSPECTION, inspection),
        model_version=(
            ModelVersion.from_db(DEFAULT_DB_ALIAS, _MODEL, model) if model[0] is not None else None
        ),
        nameplate=Nameplate.read(plate),
    )


def _record(
    trail: Trail,
    task: _Taken,
    verdict: Verdict,
    key: str,
    digest: str,
    undo_window: timedelta,
) -> Decision:
    undo_until = trail.at + undo_window
    site_id = task.inspection.site_id
    defect = _defect_class(task, verdict)
    code = defect.code if defect else ""
    [disposition] = dispositions.dispose_all(
        trail=trail,
        drafts=[_draft(trail, task, verdict, defect)],
        due_at=undo_until,
        units_are_locked=True,
    )
    decision = Decision(
        site_id=site_id,
        task_id=task.pk,
        fence=task.fence,
        answer=verdict.answer,
        disposition_kind=verdict.disposition,
        disposition=disposition,
        defect_class=code,
        comment=verdict.comment,
        seconds=verdict.seconds,
        decided_by_id=cast(int, trail.actor.user_id),
        decided_at=trail.at,
        undo_until=undo_until,
        idempotency_key=key,
        request_sha256=digest,
    )
    insert_all([decision])
    _label(trail, task, verdict, code, decision)
    if verdict.answer is Answer.INCONCLUSIVE:
        _hand_on(trail, task)
    trail.add(
        "task.decide",
        subject_kind="task",
        subject=task.uuid,
        site_id=site_id,
        detail={
            "answer": verdict.answer,
            "disposition": verdict.disposition,
            "defect_class": code,
            "fence": task.fence,
        },
        reason=verdict.comment,
    )
    return decision


def _hand_on(trail: Trail, task: _Taken) -> None:
    """What an inspector cannot tell goes to a lead, and not to himself again."""
    ReviewTask.objects.filter(pk=task.pk).update(state=TaskState.QUEUED, is_escalated=True)
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


def _defect_class(task: _Taken, verdict: Verdict) -> DefectClass | None:
    if verdict.answer is not Answer.CONFIRMED:
        return None
    code = verdict.defect_class or task.defect_class
    if not code:
        raise Invalid(_("Say which defect it is."))
    return catalogue.find(site_id=task.inspection.site_id, code=code)


def _draft(
    trail: Trail, task: _Taken, verdict: Verdict, defect: DefectClass | None
) -> dispositions.Draft:
    nonconformities = []
    if defect is not None:
        count = max(1, sum(1 for r in verdict.regions if r.defect_class == defect.code))
        nonconformities = [
            {"defect_class": defect.code, "severity": defect.severity, "count": count}
        ]
    return dispositions.Draft(
        inspection=task.inspection,
        kind=verdict.disposition,
        decider_kind=DeciderKind.INSPECTOR,
        decider=trail.actor.badge,
        policy_version=task.policy_version,
        model_version=task.model_version,
        nonconformities=nonconformities,
        reason=verdict.comment[:300],
        nameplate=task.nameplate,
    )


def _label(trail: Trail, task: _Taken, verdict: Verdict, code: str, decision: Decision) -> None:
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


def undo(*, actor: Actor, decision_id: UUID, lease: timedelta, at: datetime) -> ClaimedTask:
    """Take a verdict back within its window: the task is this inspector's again, nothing is sent.

    The write-back's own row decides: once the relay has taken it, the window is closed.
    """
    with audit.recorded(actor=actor, at=at) as trail:
        decision = (
            Decision.objects.filter(uuid=decision_id, decided_by_id=actor.user_id)
            .select_related("task", "disposition")
            .first()
        )
        if decision is None:
            raise Unknown(_("There is no such verdict of yours."))
        task = ReviewTask.objects.select_for_update().get(pk=decision.task_id)
        check_transition(TaskState(task.state), TaskState.LEASED)
        if at > decision.undo_until or decision.fence != task.fence:
            raise UndoClosed(_("The time to take this verdict back has passed."))
        standing = _withdraw(trail, decision)
        task.state, task.holder_id, task.fence = TaskState.LEASED, actor.user_id, task.fence + 1
        task.lease_expires_at = Now() + lease
        task.is_escalated = task.is_escalated and decision.answer != Answer.INCONCLUSIVE
        task.save(update_fields=["state", "holder", "fence", "lease_expires_at", "is_escalated"])
        _hold_again(trail, task, decision, standing)
        trail.add(
            "task.undo",
            subject_kind="task",
            subject=task.uuid,
            site_id=task.site_id,
            detail={"decision": str(decision.uuid), "fence": task.fence},
        )
        return queue.shown(task_id=task.pk)


def _hold_again(
    trail: Trail, task: ReviewTask, decision: Decision, standing: Disposition | None
) -> None:
    """Hold a unit that another verdict released because this one had been given."""
    if standing is None or task.kind == TaskKind.AUDIT:
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
    disposition = Disposition.objects.get(pk=decision.disposition_id)
    try:
        standing = dispositions.withdraw(trail=trail, disposition=disposition)
    except Conflict as refusal:
        raise UndoClosed(refusal.sentence) from refusal
    labels.withdraw(trail=trail, decision=decision.uuid)
    DecisionWithdrawal.objects.create(site_id=decision.site_id, decision=decision, at=trail.at)
    return standing


def _digest(held: Lease, verdict: Verdict) -> str:
    """What makes two requests the same request."""
    said = {field.name: getattr(verdict, field.name) for field in fields(verdict)}
    body = {**said, "task": held.task, "fence": held.fence}
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
