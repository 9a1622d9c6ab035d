"""What a person does about a write-back that does not get through."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.utils.translation import gettext as _

from governance import unseen
from governance.access import Actor
from governance.audit import Trail, recorded
from governance.roles import Capability
from mes_integration import messages, transitions
from mes_integration.models import DeliveryAttempt, WriteBack
from mes_integration.rests import resting
from mes_integration.targets import target
from mes_integration.transitions import RESOLVABLE, Outcome, State
from traceability.models import Unit
from traceability.refusals import Conflict, Invalid, Refusal, Unknown

LINE: Final = "disposition__inspection__line_id"
LONGEST_REASON: Final = 1000


@dataclass(frozen=True, slots=True)
class Seen:
    """A write-back as it stood when whoever asks looked: how often it had been tried, and where it
    stood. What asks a person by itself is not tried once more by that."""

    attempts: int
    state: str


def find(*, actor: Actor, capability: Capability, uuid: UUID) -> WriteBack:
    """The actor's write-back; Unknown when it is not there or not his."""
    row = (
        WriteBack.objects.filter(actor.within(capability, line=LINE), uuid=uuid)
        .select_related("unit", "site", "disposition__inspection")
        .first()
    )
    if row is None:
        raise Unknown(
            _("There is no such write-back here for you. The list shows those you may see.")
        )
    return row


def why_not_resend(write_back: WriteBack) -> str:
    """The sentence that says why it cannot be sent again; empty when it can."""
    state = State(write_back.state)
    if state not in RESOLVABLE:
        return _why_not(state)
    if state in {State.RETRY, State.SENT, State.UNCERTAIN}:
        return ""
    newest = (
        WriteBack.objects.filter(
            unit=write_back.unit_id,
            target=write_back.target,
            revision__gt=write_back.revision,
        )
        .exclude(state=State.WITHDRAWN)
        .order_by("-revision")
        .first()
    )
    if newest is None:
        return ""
    return _(
        "Revision %(newest)s of this unit has been decided since and goes to the MES. Settle this "
        "one by hand."
    ) % {"newest": newest.revision}


def why_untold() -> str:
    """The same for who is judging the unit: that it was decided anew is no news for him."""
    return _(
        "It cannot be sent again now. You are judging the unit at the bench; why not is told after "
        "your verdict."
    )


def why_not_settle(write_back: WriteBack, *, at: datetime, is_withheld: bool = False) -> str:
    """The sentence that says why it cannot be settled by hand; empty when it can. `is_withheld`:
    it is for who is judging the unit, as with `why_untold`."""
    state = State(write_back.state)
    # What is due and has nowhere to go would never leave by itself.
    is_stranded = (
        state is State.PENDING and write_back.due_at < at and target(write_back.target) is None
    )
    if state in RESOLVABLE or is_stranded:
        return ""
    return _why_not_settle_untold() if is_withheld else _why_not(state)


def _why_not_settle_untold() -> str:
    return _(
        "It cannot be settled by hand now. You are judging the unit at the bench; why not is told "
        "after your verdict."
    )


def _why_not(state: State) -> str:
    """With what a person can do instead."""
    match state:
        case State.SENDING:
            return _("It is being sent right now; wait for the answer, then look again.")
        case State.PENDING:
            return _(
                "It has not been sent yet; it leaves by itself. Decide the unit anew where it is "
                "to be another."
            )
        case State.ACKNOWLEDGED:
            return _(
                "It is settled: the MES has acknowledged it. Where the MES does not have it, "
                "reconcile the two; where it is wrong, decide the unit anew."
            )
        case State.WITHDRAWN:
            return _(
                "It is settled: the verdict was taken back before it left. Decide the unit anew."
            )
        case _:
            return _("It is settled: a later revision of this unit goes instead. See to that one.")


def resend(
    *, actor: Actor, write_back: WriteBack, at: datetime, seen: Seen | None = None
) -> WriteBack:
    """Make it due at once, under the same key; read back first when it may have arrived.

    `seen`: who sends one again that needs a person has looked at the target, so a retry by itself
    must not count as that. Conflict where it stands otherwise than it was seen; asked for a second
    time before it has left it stays as it is.
    """
    row = find(actor=actor, capability=Capability.RESOLVE_WRITE_BACKS, uuid=write_back.uuid)
    with recorded(actor=actor, at=at) as trail:
        # A new revision locks the unit: none can come between the look and the write.
        Unit.objects.select_for_update(no_key=True).get(pk=row.unit_id)
        row = (
            WriteBack.objects.select_for_update(of=("self",)).select_related("unit").get(pk=row.pk)
        )
        if sentence := why_not_resend(row):
            is_withheld = row.unit_id in unseen.units(actor)
            raise Conflict(why_untold() if is_withheld else sentence)
        if seen is not None and _is_asked_already(row, seen=seen, at=at):
            trail.nothing_changed()
            return row
        before = make_due(trail, row, rests=row.pk in resting([row], at=at))
        row.save(update_fields=RESENT_FIELDS)
        if before is State.NEEDS_PERSON and not can_be_asked(row):
            looked_there(row, at=at).save()
    return row


def _is_asked_already(row: WriteBack, *, seen: Seen, at: datetime) -> bool:
    """Whether it leaves as soon as it may. Raises Conflict where it is not as `seen` any more."""
    if row.attempts != seen.attempts:
        raise Conflict(
            _("It was tried again meanwhile (%(n)s attempts so far); look at what came of it.")
            % {"n": row.attempts},
            code="stale",
        )
    if row.state == State.RETRY and (row.due_at <= at or row.pk in resting([row], at=at)):
        return True
    if row.state != seen.state:
        raise Conflict(
            _("It has become “%(state)s” meanwhile; look at what came of it, then ask again.")
            % {"state": State(row.state).label},
            code="stale",
        )
    return False


RESENT_FIELDS: Final = ["state", "due_at", "message", "profile_version", "profile_name"]


def make_due(trail: Trail, row: WriteBack, *, rests: bool) -> State:
    """The row as it is sent again, not saved yet; the state it was in. `rests`: an earlier call
    may still be at work at a target that would apply it twice."""
    before = State(row.state)
    transitions.check(before, State.RETRY)
    # What such a target may still be at work on is not asked for before it must be done.
    row.state, row.due_at = State.RETRY, max(row.due_at, trail.at) if rests else trail.at
    if before is State.REJECTED:
        # Said anew, by the mapping of now: the target did not keep what it refused.
        row.message = row.profile_version = row.profile_name = None
    trail.add(
        "write_back.resend",
        subject_kind="unit",
        subject=row.unit.serial,
        site_id=row.site_id,
        detail={"write_back": str(row.uuid), "revision": row.revision, "was": before.value},
    )
    return before


def looked_there(row: WriteBack, *, at: datetime) -> DeliveryAttempt:
    """A person has looked at the target, so it is sent although it may have arrived."""
    return DeliveryAttempt(site_id=row.site_id, write_back=row, at=at, outcome=Outcome.PERSON)


def can_be_asked(row: WriteBack) -> bool:
    """Whether the target can tell by itself what it holds; at its turn, where nobody knows."""
    try:
        _version, profile = messages.profile_of(row)
    except Refusal:
        # A mapping that cannot be read any more: it asks a person again, and stops no other.
        return True
    return profile.capabilities.read_back


def settle(
    *, actor: Actor, write_back: WriteBack, reference: str, reason: str, at: datetime
) -> WriteBack:
    """Take it as held by the MES on a person's word; `reference` may be empty, `reason` not."""
    row = find(actor=actor, capability=Capability.RESOLVE_WRITE_BACKS, uuid=write_back.uuid)
    reference, reason = reference.strip(), reason.strip()
    _check_words(reference, reason)
    with recorded(actor=actor, at=at) as trail:
        row = (
            WriteBack.objects.select_for_update(of=("self",)).select_related("unit").get(pk=row.pk)
        )
        is_withheld = row.unit_id in unseen.units(actor)
        if sentence := why_not_settle(row, at=at, is_withheld=is_withheld):
            raise Conflict(sentence)
        before = State(row.state)
        transitions.check(before, State.ACKNOWLEDGED)
        row.state, row.reference, row.settled_at = State.ACKNOWLEDGED, reference, at
        row.save(update_fields=["state", "reference", "settled_at"])
        trail.add(
            "write_back.settle",
            subject_kind="unit",
            subject=row.unit.serial,
            site_id=row.site_id,
            detail={
                "write_back": str(row.uuid),
                "revision": row.revision,
                "was": before.value,
                "reference": reference,
            },
            reason=reason,
        )
    return row


def _check_words(reference: str, reason: str) -> None:
    if not reason:
        raise Invalid(_("Say why this is settled: what stands in the MES, and who checked it."))
    if len(reason) > LONGEST_REASON or "\0" in reason:
        raise Invalid(_("Keep the reason below %(most)s characters.") % {"most": LONGEST_REASON})
    if len(reference) > 200 or not reference.isprintable():
        raise Invalid(_("The reference is one line of at most 200 characters."))
