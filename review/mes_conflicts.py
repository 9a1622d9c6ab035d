"""Whose word stands when the MES was changed behind our back: chosen by a person, with a reason.

It lives here, above the outbox, because both answers make a disposition: a next revision of the
unit, by the rules every disposition goes by.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from uuid import UUID

from django.db.models import Q
from django.utils.translation import gettext as _

from governance.access import Actor
from governance.audit import Trail, recorded
from governance.roles import Capability
from mes_integration import changes
from mes_integration.changes import About, State
from mes_integration.models import MesChange, WriteBack
from mes_integration.targets import targets_of
from review import approvals, own_bench, second_persons
from review.dispositions import Draft, dispose_all, foreseen
from review.models import Approval, ReviewTask
from traceability.models import DeciderKind, Disposition, DispositionKind
from traceability.refusals import Conflict, Invalid, NotAllowed, Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a person saw and says. `revision`: the unit's when he looked; `kind`: what the MES's
    word means, asked for only where the mapping does not say."""

    change: UUID
    revision: int
    reason: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What their word could mean, and why it may not mean that now; empty where it may."""

    kind: DispositionKind
    why_not: str


@dataclass(frozen=True, slots=True)
class Answers:
    """Why an answer would be refused now; empty where it would not. `meanings` only where the
    mapping does not say what their word means."""

    why_not_ours: str
    why_not_theirs: str
    meanings: Sequence[Meaning] = ()


def answers(*, actor: Actor, change: MesChange, at: datetime) -> Answers:
    """What the page says of both answers before anybody gives one; the change is open."""
    ours = _sentence_of(lambda: _check_ours(change, at=at))
    if change.about != About.DISPOSITION:
        return Answers(ours, "")
    kinds = [DispositionKind(change.kind)] if change.kind else list(DispositionKind)
    found = [
        Meaning(kind, _sentence_of(partial(_check_theirs, actor, change, kind, at=at)))
        for kind in kinds
    ]
    theirs = "" if any(not each.why_not for each in found) else found[0].why_not
    return Answers(ours, theirs, () if change.kind else found)


def _sentence_of(check: Callable[[], object]) -> str:
    try:
        check()
    except Refusal as refusal:
        return refusal.sentence
    return ""


def ours_stands(*, actor: Actor, choice: Choice, at: datetime) -> MesChange:
    """Tell that target again what stands here: the same disposition as a new revision.

    Raises Conflict where the target has not been told it a first time yet.
    """
    reason = changes.checked_reason(choice.reason)
    with recorded(actor=actor, at=at) as trail:
        change = _taken(actor, choice)
        standing = _check_ours(change, at=at)
        draft = _next(
            standing,
            DispositionKind(standing.kind),
            by=(DeciderKind.INSPECTOR, actor.badge),
            reason=reason,
        )
        others = set(targets_of(change.unit.site.code)) - {change.target}
        _dispose(trail, draft, without=others, reason=reason)
        changes.close(trail=trail, change=change, state=State.OURS_STANDS, reason=reason)
    return change


def theirs_stands(*, actor: Actor, choice: Choice, at: datetime) -> MesChange:
    """Take over what the target says; it is told again only where something of ours has come
    between, every other target is.

    Of an acknowledgement it settles only that a person has put it right there. Raises Conflict
    where the unit may not become that: it is scrapped, or somebody is still asked about it. Where
    two people must want it, this one must not be who asked, and be one who may approve it.
    """
    reason = changes.checked_reason(choice.reason)
    with recorded(actor=actor, at=at) as trail:
        change = _taken(actor, choice)
        state = State.AGREED
        if change.about == About.DISPOSITION:
            kind = changes.chosen_kind(change, choice.kind)
            if kind != change.unit.disposition:
                standing = _check_theirs(actor, change, kind, at=at)
                _take_over(trail, change, standing, kind, reason)
                state = State.THEIRS_STANDS
        changes.close(trail=trail, change=change, state=state, reason=reason)
    return change


def _taken(actor: Actor, choice: Choice) -> MesChange:
    """The change with its unit, locked. Raises Conflict for who is judging the unit himself, before
    any other refusal could tell him how it stands."""
    found = changes.find(actor=actor, capability=Capability.RESOLVE_WRITE_BACKS, uuid=choice.change)
    own_bench.check_is_not_his(actor, found.unit_id)
    return changes.take_open(actor=actor, uuid=choice.change, revision=choice.revision)


def _check_ours(change: MesChange, *, at: datetime) -> Disposition:
    """What stands here, to be told again. Raises Conflict where it cannot be."""
    standing = _standing(change)
    changes.check_was_told(change)
    _check_becomes(standing, DispositionKind(standing.kind), DeciderKind.INSPECTOR, at=at)
    return standing


def _check_theirs(
    actor: Actor, change: MesChange, kind: DispositionKind, *, at: datetime
) -> Disposition:
    """What stands here, to give way. Raises where the unit may not become that by this person."""
    standing = _standing(change)
    if kind != change.unit.disposition:
        is_concession = _is_concession(standing, kind)
        _check_two_people(actor, change, kind, is_concession=is_concession, at=at)
        _check_becomes(standing, kind, DeciderKind.MES, at=at)
    return standing


def _check_becomes(
    standing: Disposition, kind: DispositionKind, by: DeciderKind, *, at: datetime
) -> None:
    """Raise Conflict where the unit would become something else than was chosen."""
    comes_to = foreseen(_next(standing, kind, by=(by, ""), reason=""), at=at)
    if comes_to.kind != kind:
        raise Conflict(comes_to.reason)


def _is_concession(standing: Disposition, kind: DispositionKind) -> bool:
    return kind is DispositionKind.ACCEPT and bool(standing.nonconformities)


def _take_over(
    trail: Trail, change: MesChange, standing: Disposition, kind: DispositionKind, reason: str
) -> None:
    said_by = f"{change.target} {change.by}".strip()[:150]
    draft = _next(standing, kind, by=(DeciderKind.MES, said_by), reason=reason)
    if _is_concession(standing, kind):
        given = approvals.concession(
            reason=reason, asked_by=said_by, approved_by=trail.actor.badge, at=trail.at
        )
        draft = replace(draft, concession=given)
    told = set() if _is_undone_there(change) else {change.target}
    _dispose(trail, draft, without=told, reason=reason)


def _is_undone_there(change: MesChange) -> bool:
    """Whether something of ours comes after the target's own word, or came after it already."""
    # The target's clock may be ahead: nothing it did was later than when we heard of it.
    since = min(change.changed_at, change.received_at)
    came = Q(state=WriteBack.State.ACKNOWLEDGED, settled_at__gt=since)
    return WriteBack.objects.filter(
        Q(settled_at__isnull=True) | came, unit=change.unit, target=change.target
    ).exists()


def _check_two_people(
    actor: Actor, change: MesChange, kind: DispositionKind, *, is_concession: bool, at: datetime
) -> None:
    """Where two must want it, one is who changed it in the MES, and the other may approve it."""
    if kind is not DispositionKind.SCRAP and not is_concession:
        return
    if Approval.objects.filter(
        unit=change.unit, state=Approval.State.OPEN, asked_by=actor.user_id
    ).exists():
        raise Conflict(
            _("You have asked for it yourself. Somebody else has to answer."), code="same_person"
        )
    if not _takes_two(change, is_concession=is_concession, at=at):
        return
    if not change.kind:
        raise Invalid(
            _(
                "The mapping does not say what their word means, and this takes two people's word. "
                "Put the word into the mapping, or judge the unit at the bench."
            )
        )
    if not MesChange.objects.filter(
        actor.within(Capability.APPROVE_DISPOSITIONS), pk=change.pk
    ).exists():
        raise NotAllowed(
            _("This takes somebody who may approve scrap and concessions; ask a lead.")
        )


def _takes_two(change: MesChange, *, is_concession: bool, at: datetime) -> bool:
    """Whether the policy its question came under, or the one in force now, wants two people."""
    task = ReviewTask.objects.filter(unit=change.unit).order_by("-pk").first()
    if is_concession and (task is None or task.second_for_concession):
        return True
    if not is_concession and task is not None and task.second_for_scrap:
        return True
    seen = change.unit.inspection_set.select_related("line").order_by("-pk").first()
    revision = change.unit.part_revision
    now = second_persons.in_force(
        site_id=change.unit.site_id,
        line=seen.line.code if seen else "",
        part_number=revision.part_number.number if revision else "",
        defect_class=task.defect_class if task else "",
        at=at,
    )
    return now.for_concession if is_concession else now.for_scrap


def _standing(change: MesChange) -> Disposition:
    found = changes.standing(change.unit)
    if found is None:
        raise Conflict(_("Nothing is decided about this unit here any more; judge it first."))
    return found


def _next(
    standing: Disposition, kind: DispositionKind, *, by: tuple[DeciderKind, str], reason: str
) -> Draft:
    decider_kind, decider = by
    return Draft(
        inspection=standing.inspection,
        kind=kind,
        decider_kind=decider_kind,
        decider=decider,
        policy_version=standing.policy_version,
        nonconformities=standing.nonconformities,
        concession=standing.concession if kind == standing.kind else None,
        reason=reason,
    )


def _dispose(trail: Trail, draft: Draft, *, without: Collection[str], reason: str) -> None:
    """The unit's next revision, due now: a choice made with a reason has no undo window."""
    [made] = dispose_all(
        trail=trail, drafts=[draft], due_at=trail.at, units_are_locked=True, without=without
    )
    if made.kind != draft.kind:
        # Undoes everything: what the person chose is not what the unit would become.
        raise Conflict(made.reason)
