"""What waits for a second person: a scrap or a concession, and the answer to it.

The verdict is given, the unit held until somebody else agrees. Every lock is taken in the order
task, approval, unit, as a verdict and its undo take theirs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, cast
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from governance import audit
from governance.access import Actor, system
from governance.audit import Trail
from governance.models import User
from governance.roles import Capability
from review import dispositions, escalations, own_bench
from review.adjudication import ADJUDICATE_WITHIN
from review.models import Approval, Decision, ReviewTask, Skip, TaskKind, TaskState
from review.queue import OPEN, STOPPING, due_minute
from review.rulings import Ruling
from review.taking import Taken
from review.transitions import check_transition
from traceability.models import DeciderKind, Disposition, DispositionKind, Unit
from traceability.refusals import Conflict, Invalid, Unknown

Kind = Approval.Kind
State = Approval.State

LONGEST_WORDS: Final = 1000
SWEPT: Final = 200
_WAITS: Final = {
    Kind.SCRAP: gettext_noop("The scrap waits for a second person."),
    Kind.CONCESSION: gettext_noop("The concession waits for a second person."),
}
_BECOMES: Final = {
    Kind.SCRAP: DispositionKind.SCRAP,
    Kind.CONCESSION: DispositionKind.ACCEPT,
}


def waits_for(
    ruling: Ruling, *, second_for_scrap: bool, second_for_concession: bool
) -> Approval.Kind | None:
    """What of this ruling waits for a second person; None where it counts at once. Pure."""
    if ruling.is_concession:
        return Kind.CONCESSION if second_for_concession else None
    if ruling.kind is DispositionKind.SCRAP and second_for_scrap:
        return Kind.SCRAP
    return None


def held(ruling: Ruling, kind: Approval.Kind | None) -> Ruling:
    """What the unit becomes meanwhile."""
    if kind is None:
        return ruling
    why = f"{ruling.why} {_(_WAITS[kind])}".strip()
    return replace(ruling, kind=DispositionKind.HOLD, why=why)


def concession(
    *, reason: str, asked_by: str, approved_by: str | None, at: datetime
) -> dict[str, Any]:
    """As the disposition and its event carry it."""
    return {
        "reason": reason,
        "asked_by": asked_by,
        "approved_by": approved_by,
        "at": at.isoformat(),
    }


def ask(
    *,
    trail: Trail,
    task: Taken,
    decision: Decision,
    kind: Approval.Kind,
    policy_version: int,
    reason: str,
) -> Approval:
    """Put the question, in the transaction of the verdict that raises it; `policy_version` is the
    policy that wants it put."""
    made = Approval.objects.create(
        site_id=decision.site_id,
        line_id=task.inspection.line_id,
        unit_id=task.inspection.unit_id,
        task_id=task.pk,
        decision=decision,
        kind=kind,
        defect_class=decision.defect_class,
        reason=reason,
        asked_by_id=cast(int, trail.actor.user_id),
        asked_at=trail.at,
    )
    _note(trail, "approval.ask", made, reason=reason, policy=policy_version)
    return made


def take_back(*, trail: Trail, decision: Decision) -> None:
    """The verdict that asked is taken back. Raises Conflict once somebody has answered."""
    approval = (
        Approval.objects.select_for_update(of=("self",))
        .select_related("decided_by")
        .filter(decision=decision)
        .first()
    )
    if approval is None or approval.state == State.OVERTAKEN:
        return
    if approval.state != State.OPEN:
        raise Conflict(
            _("%(who)s has answered already: %(answer)s. Tell him instead.")
            % {"who": approval.decided_by, "answer": approval.get_state_display()},
            code="undo_closed",
        )
    _close(trail, approval, State.WITHDRAWN)


def overtake(*, trail: Trail, inspections: Collection[int], words: str) -> None:
    """The inspections are judged anew, or asked about again: nothing is left to approve."""
    found = Approval.objects.filter(task__inspection__in=inspections, state=State.OPEN)
    for approval in found.select_for_update(of=("self",)).select_related("decision").order_by("pk"):
        _close(trail, approval, State.OVERTAKEN, words=words)


def close_overtaken(*, at: datetime, limit: int = SWEPT) -> int:
    """Close what a later decision about the unit has made idle; returns how many."""
    with audit.recorded(actor=system("approvals"), at=at) as trail:
        idle = list(
            Approval.objects.select_for_update(skip_locked=True, of=("self",))
            .filter(_is_idle(), state=State.OPEN)
            .select_related("decision")
            .order_by("pk")[:limit]
        )
        if not idle:
            trail.nothing_changed()
        for approval in idle:
            _close(
                trail, approval, State.OVERTAKEN, words=_("The unit was decided otherwise since.")
            )
        return len(idle)


def _is_idle() -> Q:
    """Its task is asked again, or the unit was disposed otherwise after it."""
    later = Disposition.objects.filter(
        unit=OuterRef("unit"),
        revision__gt=OuterRef("decision__disposition__revision"),
        withdrawal__isnull=True,
    ).exclude(kind=DispositionKind.HOLD)
    is_asked_again = ~Q(task__state=TaskState.DECIDED) | ~Q(task__fence=F("decision__fence"))
    return Q(Exists(later)) | is_asked_again


def visible(actor: Actor) -> QuerySet[Approval]:
    """What this actor may answer, or could have."""
    return Approval.objects.filter(actor.within(Capability.APPROVE_DISPOSITIONS)).select_related(
        "site", "line", "unit", "asked_by", "decided_by", "decision__disposition", "task"
    )


def waiting(actor: Actor) -> QuerySet[Approval]:
    """What is open for this actor, the longest waiting first. What would tell him of a unit on his
    own bench is not in it."""
    found = visible(actor).filter(state=State.OPEN).exclude(own_bench.tells(actor))
    return found.order_by("asked_at", "pk")


def find(*, actor: Actor, approval_id: UUID) -> Approval:
    """One of them; Unknown where it is not this actor's."""
    found: Approval | None = visible(actor).filter(uuid=approval_id).first()
    if found is None:
        raise Unknown(_("There is nothing to approve here for you."))
    return found


def why_not(actor: Actor, approval: Approval) -> str:
    """Why this person cannot answer; the sentence the disabled buttons show. Empty when he can."""
    if approval.asked_by_id == actor.user_id:
        return _("You have asked for it yourself. Somebody else has to answer.")
    return own_bench.why_unseen(actor, approval)


def why_not_approve(approval: Approval) -> str:
    """Why nobody can approve it yet; empty when it can be."""
    return whys_not_approve([approval]).get(approval.pk, "")


def whys_not_approve(found: Collection[Approval]) -> Mapping[int, str]:
    """The same for several, by approval; most are not in it."""
    others = ReviewTask.objects.filter(
        unit__in={each.unit_id for each in found}, state__in=OPEN, purpose__in=STOPPING
    ).exclude(kind=TaskKind.AUDIT)
    asked_about = set(others.values_list("unit", flat=True))
    why = _("Another question about this unit is open. It is answered first.")
    return {each.pk: why for each in found if each.unit_id in asked_about}


def approve(*, actor: Actor, approval_id: UUID, words: str, at: datetime) -> Approval:
    """Agree: the unit is scrapped, or accepted by concession, and the MES told at once.

    Sent twice by the same person it is done once. Raises Conflict for who asked himself, where it
    was answered or overtaken before, and while another question about the unit is open.
    """
    words = checked_words(words)
    with audit.recorded(actor=actor, at=at) as trail:
        approval = _locked(actor, approval_id)
        if _is_repeated(trail, approval, State.APPROVED):
            return approval
        _check_open(actor, approval)
        if why := why_not_approve(approval):
            raise Conflict(why)
        # First, so that the question itself no longer keeps the unit from its answer.
        _close(trail, approval, State.APPROVED, words=words)
        wanted = _draft(approval, actor, at=at)
        [made] = dispositions.dispose_all(
            trail=trail, drafts=[wanted], due_at=at, units_are_locked=True
        )
        if made.kind != wanted.kind:
            raise Conflict(made.reason)
        return approval


def refuse(*, actor: Actor, approval_id: UUID, words: str, at: datetime) -> Approval:
    """Do not agree: the unit stays held, and its question goes to a lead who has not judged it.

    Raises Invalid without words, and Conflict as `approve` does.
    """
    words = checked_words(words, refuses=True)
    with audit.recorded(actor=actor, at=at) as trail:
        approval = _locked(actor, approval_id)
        if _is_repeated(trail, approval, State.REFUSED):
            return approval
        _check_open(actor, approval)
        _close(trail, approval, State.REFUSED, words=words)
        _ask_a_lead(trail, approval)
        return approval


def checked_words(words: str, *, refuses: bool = False) -> str:
    """What is said with an answer; Invalid where it is too long, or a refusal says nothing."""
    words = words.strip().replace("\0", "")
    if len(words) > LONGEST_WORDS:
        raise Invalid(_("The words are longer than %(n)d characters.") % {"n": LONGEST_WORDS})
    if refuses and not words:
        raise Invalid(_("Say why you refuse; who asked reads it, and who judges it next."))
    return words


def _locked(actor: Actor, approval_id: UUID) -> Approval:
    task_id = find(actor=actor, approval_id=approval_id).task_id
    task = ReviewTask.objects.select_for_update().get(pk=task_id)
    approval = visible(actor).select_for_update(of=("self",)).get(uuid=approval_id)
    approval.task = task
    approval.unit = Unit.objects.select_for_update().get(pk=approval.unit_id)
    return approval


def _is_repeated(trail: Trail, approval: Approval, state: Approval.State) -> bool:
    is_repeated = approval.state == state and approval.decided_by_id == trail.actor.user_id
    if is_repeated:
        trail.nothing_changed()
    return bool(is_repeated)


def _check_open(actor: Actor, approval: Approval) -> None:
    # First: how it was answered is no news for who is judging the unit.
    if why := why_not(actor, approval):
        raise Conflict(why, code="same_person")
    if approval.state != State.OPEN:
        answer = approval.get_state_display()
        who = approval.decided_by or approval.asked_by
        words = _("Nothing is left to answer: %(answer)s by %(who)s.")
        if approval.state == State.OVERTAKEN:
            words = _("Nothing is left to answer: the unit was decided otherwise.")
        raise Conflict(words % {"answer": answer.lower(), "who": who})
    if Approval.objects.filter(_is_idle(), pk=approval.pk).exists():
        raise Conflict(_("Nothing is left to answer: the unit was decided otherwise."))


def _draft(approval: Approval, actor: Actor, *, at: datetime) -> dispositions.Draft:
    before = cast(Disposition, approval.decision.disposition)
    asked_by, kind = badge_of(approval.asked_by), Kind(approval.kind)
    granted = None
    reason = _("Scrap asked for by %(who)s and approved. %(why)s")
    if kind is Kind.CONCESSION:
        reason = _("Concession asked for by %(who)s and approved. %(why)s")
        granted = concession(
            reason=approval.reason, asked_by=asked_by, approved_by=actor.badge, at=at
        )
    return dispositions.Draft(
        inspection=before.inspection,
        kind=_BECOMES[kind],
        decider_kind=DeciderKind.INSPECTOR,
        decider=actor.badge,
        policy_version=before.policy_version,
        model_version=before.model_version,
        nonconformities=before.nonconformities,
        reason=(reason % {"who": asked_by, "why": approval.reason}).strip()[:300],
        concession=granted,
    )


def badge_of(person: User) -> str:
    """How the record names a person."""
    return str(person.badge or person.username)


def _ask_a_lead(trail: Trail, approval: Approval) -> None:
    """As an inspector hands on what he cannot tell: not to himself again, and he is answered."""
    task = approval.task
    check_transition(TaskState(task.state), TaskState.QUEUED)
    # The question's own deadline is past; a lead has as long for it as the line had.
    within = max(task.deadline - task.opened_at, ADJUDICATE_WITHIN)
    task.deadline = max(task.deadline, trail.at + within)
    task.due = due_minute(TaskKind(task.kind), task.deadline)
    task.state, task.is_escalated, task.held_at = TaskState.QUEUED, True, None
    task.reserved_for, task.reserved_until = None, None
    task.save(
        update_fields=[
            *("state", "is_escalated", "held_at", "deadline", "due"),
            *("reserved_for", "reserved_until"),
        ]
    )
    Skip.objects.bulk_create(
        [
            Skip(
                site_id=task.site_id,
                task=task,
                inspector_id=approval.asked_by_id,
                reason="refused",
                at=trail.at,
            )
        ],
        ignore_conflicts=True,
    )
    escalations.note(
        trail=trail,
        site_id=task.site_id,
        task_id=task.pk,
        fence=task.fence,
        comment=_("%(kind)s refused by %(who)s: %(words)s")
        % {
            "kind": approval.get_kind_display(),
            "who": trail.actor.name,
            "words": approval.words[:700],
        },
        inspector_id=approval.asked_by_id,
    )


def _close(trail: Trail, approval: Approval, state: Approval.State, *, words: str = "") -> None:
    approval.state, approval.decided_at, approval.words = state, trail.at, words
    if state in (State.APPROVED, State.REFUSED):
        approval.decided_by_id = trail.actor.user_id
    approval.save(update_fields=["state", "decided_at", "decided_by", "words"])
    _note(trail, _ACTIONS[state], approval, reason=words)


_ACTIONS: Final = {
    State.APPROVED: "approval.approve",
    State.REFUSED: "approval.refuse",
    State.WITHDRAWN: "approval.withdraw",
    State.OVERTAKEN: "approval.overtake",
}


def _note(trail: Trail, action: str, approval: Approval, *, reason: str, **more: int) -> None:
    trail.add(
        action,
        subject_kind="approval",
        subject=approval.uuid,
        site_id=approval.site_id,
        detail={"kind": approval.kind, "decision": str(approval.decision.uuid), **more},
        reason=reason,
    )
