"""What a person does about a write-back that does not get through."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from django.utils.translation import gettext as _

from governance.access import Actor
from governance.audit import recorded
from governance.roles import Capability
from mes_integration import transitions
from mes_integration.models import WriteBack
from mes_integration.transitions import RESOLVABLE, State
from traceability.models import Unit
from traceability.refusals import Conflict, Invalid, Unknown

LINE: Final = "disposition__inspection__line_id"
LONGEST_REASON: Final = 1000


def find(*, actor: Actor, capability: Capability, uuid: UUID) -> WriteBack:
    """The actor's write-back; Unknown when it is not there or not his."""
    row = (
        WriteBack.objects.filter(actor.within(capability, line=LINE), uuid=uuid)
        .select_related("unit", "site", "disposition")
        .first()
    )
    if row is None:
        raise Unknown(_("There is no such write-back here for you."))
    return row


def why_not_resend(write_back: WriteBack) -> str:
    """The sentence that says why it cannot be sent again; empty when it can."""
    state = State(write_back.state)
    if state not in RESOLVABLE:
        return _why_not(state)
    if state in {State.RETRY, State.UNCERTAIN}:
        return ""
    newest = (
        WriteBack.objects.filter(unit=write_back.unit_id, revision__gt=write_back.revision)
        .exclude(state=State.WITHDRAWN)
        .order_by("-revision")
        .first()
    )
    if newest is None:
        return ""
    return _("Revision %(newest)s of this unit has been decided since and goes to the MES.") % {
        "newest": newest.revision
    }


def why_not_settle(write_back: WriteBack) -> str:
    """The sentence that says why it cannot be settled by hand; empty when it can."""
    state = State(write_back.state)
    return "" if state in RESOLVABLE else _why_not(state)


def _why_not(state: State) -> str:
    if state is State.SENDING:
        return _("It is being sent right now; wait for the answer.")
    if state is State.PENDING:
        return _("It has not been sent yet; it leaves by itself.")
    return _("It is settled: %(state)s.") % {"state": state.label}


def resend(*, actor: Actor, write_back: WriteBack, at: datetime) -> WriteBack:
    """Make it due at once, under the same key; read back first when it may have arrived."""
    row = find(actor=actor, capability=Capability.RESOLVE_WRITE_BACKS, uuid=write_back.uuid)
    with recorded(actor=actor, at=at) as trail:
        # A new revision locks the unit: none can come between the look and the write.
        Unit.objects.select_for_update(no_key=True).get(pk=row.unit_id)
        row = (
            WriteBack.objects.select_for_update(of=("self",)).select_related("unit").get(pk=row.pk)
        )
        if sentence := why_not_resend(row):
            raise Conflict(sentence)
        before = State(row.state)
        transitions.check(before, State.RETRY)
        row.state, row.due_at = State.RETRY, at
        row.save(update_fields=["state", "due_at"])
        trail.add(
            "write_back.resend",
            subject_kind="unit",
            subject=row.unit.serial,
            site_id=row.site_id,
            detail={"write_back": str(row.uuid), "revision": row.revision, "was": before.value},
        )
    return row


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
        if sentence := why_not_settle(row):
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
