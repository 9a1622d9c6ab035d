"""What a person does about a write-back that a reconciliation found wanting."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.utils.translation import gettext as _

from governance import unseen
from governance.access import Actor
from governance.audit import Trail, recorded
from governance.roles import Capability
from mes_integration import reconciliation, resolution, transitions
from mes_integration.bulk import newest_revisions
from mes_integration.models import DeliveryAttempt, ReconciliationException, WriteBack
from mes_integration.transitions import Outcome, State
from traceability.models import Unit
from traceability.refusals import Conflict, Invalid, Unknown

LONGEST_REASON = 1000
Kind = ReconciliationException.Kind


def find(*, actor: Actor, capability: Capability, uuid: UUID) -> ReconciliationException:
    """The actor's exception; Unknown when it is not there or not his."""
    found = (
        ReconciliationException.objects.filter(actor.within(capability), uuid=uuid)
        .select_related("write_back__unit", "site")
        .first()
    )
    if found is None:
        raise Unknown(
            _("There is no such exception here for you. The report shows those you may see.")
        )
    return found


def why_not_send(found: ReconciliationException, newest: int) -> str:
    """The sentence that says why it cannot be sent again; empty when it can.

    `newest` is the unit's last revision that goes to the target.
    """
    if found.state != ReconciliationException.State.OPEN:
        return _closed(found)
    if found.kind != Kind.MISSING:
        return _("Only what is missing there is sent again; mend this one in the MES.")
    if newest <= found.write_back.revision:
        return ""
    return _(
        "Revision %(newest)s of this unit has been decided since and goes to the MES. Close this "
        "one with a reason."
    ) % {"newest": newest}


def _closed(found: ReconciliationException) -> str:
    """With what a person can do instead."""
    match ReconciliationException.State(found.state):
        case ReconciliationException.State.SENT_AGAIN:
            return _("It is settled: it was sent again. See how its write-back goes.")
        case ReconciliationException.State.AGREED:
            return _("It is settled: both sides agree again. There is nothing to do.")
        case _:
            return _(
                "It is settled: a person has closed it. Where the two still differ, the next "
                "comparison says so anew."
            )


def send_missing(*, actor: Actor, uuid: UUID, at: datetime) -> WriteBack:
    """Send it once more under the same key; the target is asked first, for it may hold it now."""
    found = find(actor=actor, capability=Capability.RESOLVE_WRITE_BACKS, uuid=uuid)
    with recorded(actor=actor, at=at) as trail:
        # A new revision locks the unit: none can come between the look and the write.
        Unit.objects.select_for_update(no_key=True).get(pk=found.write_back.unit_id)
        row = (
            WriteBack.objects.select_for_update(of=("self",))
            .select_related("unit")
            .get(pk=found.write_back_id)
        )
        found = _locked(found, row)
        newest = newest_revisions([row.unit_id])[row.unit_id, row.target]
        if sentence := why_not_send(found, newest):
            is_withheld = row.unit_id in unseen.units(actor)
            raise Conflict(resolution.why_untold() if is_withheld else sentence)
        _reopen(trail, row, found)
    return row


def _locked(found: ReconciliationException, row: WriteBack) -> ReconciliationException:
    fresh = ReconciliationException.objects.select_for_update().get(pk=found.pk)
    fresh.write_back = row
    return fresh


def _reopen(trail: Trail, row: WriteBack, found: ReconciliationException) -> None:
    transitions.check(State(row.state), State.RETRY)
    was = row.reference
    row.state, row.due_at, row.settled_at, row.reference = State.RETRY, trail.at, None, ""
    row.last_error = found.theirs
    row.save(update_fields=["state", "due_at", "settled_at", "reference", "last_error"])
    DeliveryAttempt.objects.create(
        site_id=row.site_id,
        write_back=row,
        at=trail.at,
        outcome=Outcome.REOPENED,
        answer=found.theirs,
    )
    reconciliation.close(trail=trail, found=found, state=ReconciliationException.State.SENT_AGAIN)
    trail.add(
        "write_back.reopen",
        subject_kind="unit",
        subject=row.unit.serial,
        site_id=row.site_id,
        detail={
            "write_back": str(row.uuid),
            "revision": row.revision,
            "target": row.target,
            "reference": was,
        },
    )


def close_by_hand(
    *, actor: Actor, uuid: UUID, reason: str, at: datetime
) -> ReconciliationException:
    """Take a person's word that it is in order; the next comparison may find it again."""
    reason = reason.strip()
    if not reason:
        raise Invalid(_("Say why it is in order: what stands in the MES, and who checked it."))
    if len(reason) > LONGEST_REASON or "\0" in reason:
        raise Invalid(_("Keep the reason below %(most)s characters.") % {"most": LONGEST_REASON})
    found = find(actor=actor, capability=Capability.RESOLVE_WRITE_BACKS, uuid=uuid)
    with recorded(actor=actor, at=at) as trail:
        found = _locked(found, found.write_back)
        if found.state != ReconciliationException.State.OPEN:
            raise Conflict(_closed(found))
        reconciliation.close(
            trail=trail,
            found=found,
            state=ReconciliationException.State.CLOSED,
            reason=reason,
        )
    return found
