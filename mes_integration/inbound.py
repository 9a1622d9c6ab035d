"""Acknowledgements that come by themselves: late, twice, out of order, or against each other."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from django.db.models import Q
from django.utils.translation import gettext as _

from governance.access import Actor, system
from governance.audit import Trail, recorded
from mes_integration import changes, journal, rests, transitions
from mes_integration.adapters.protocol import Answer, Applied, Refused
from mes_integration.models import MesChange, WriteBack
from mes_integration.transitions import Outcome, State
from traceability.models import Unit
from traceability.refusals import Conflict, Invalid, Unknown

Said = Literal["applied", "duplicate", "rejected"]
_MES: Final = system("mes")
_CLOSED_MEANWHILE: Final = frozenset({State.ACKNOWLEDGED, State.REJECTED, State.RETRY})
"""Where an acknowledgement, or a person after it, may have put what was still being sent."""
LONGEST_REFERENCE: Final = 200
LONGEST_REASON: Final = 500


@dataclass(frozen=True, slots=True)
class _Acknowledgement:
    """What the target says of one key; `reference` is its own name for what it holds."""

    state: Said
    reference: str
    reason: str

    @property
    def holds(self) -> bool:
        """Whether the target says that it has it, now or from before."""
        return self.state != "rejected"


def acknowledge(
    *,
    target: str,
    key: str,
    state: Said,
    reference: str,
    reason: str,
    at: datetime,
    actor: Actor = _MES,
    within: Q | None = None,
) -> bool:
    """Take a target's word on one of our keys; False when it says nothing new.

    Raises Unknown for a key that is not this target's (or not `within` the rows the sender may
    speak of), and Conflict where the word contradicts what is known; the contradiction is then
    kept as an open conflict for a person, once.
    """
    said = _checked(state, reference, reason)
    sentence = ""
    with recorded(actor=actor, at=at) as trail:
        row = _locked(target, key, within or Q())
        sentence = _why_not(row, said)
        changed = _contradict(trail, row, said, sentence) if sentence else _take(trail, row, said)
        if not changed:
            trail.nothing_changed()
    if sentence:
        raise Conflict(sentence, code="contradiction")
    return changed


def answered_after(*, pk: int, fence: int, answer: Answer, at: datetime) -> bool:
    """Take what a call answered once its row was closed meanwhile; False when it says nothing new.

    Which of the two the target said last nobody can tell. What either says is held counts as held,
    for it must not be sent again, and the contradiction is an open conflict.
    """
    said = _of_call(answer)
    if said is None or _says_the_same(pk, said):
        return False
    with recorded(actor=_MES, at=at) as trail:
        row = _locked_at(pk, fence)
        is_new = row is not None and _take_late(trail, row, said)
        if not is_new:
            trail.nothing_changed()
    return is_new


def _of_call(answer: Answer) -> _Acknowledgement | None:
    match answer:
        case Applied():
            return _Acknowledgement("applied", answer.reference, "")
        case Refused():
            return _Acknowledgement("rejected", "", answer.sentence[:LONGEST_REASON])
        case _:
            return None


def _says_the_same(pk: int, said: _Acknowledgement) -> bool:
    """Whether the call says what the acknowledgement did: so it is where those come first."""
    known = WriteBack.objects.filter(pk=pk, state=State.ACKNOWLEDGED, reference=said.reference)
    return said.holds and known.exists()


def _locked_at(pk: int, fence: int) -> WriteBack | None:
    """The row while nobody has taken it anew, its unit locked before it."""
    found = WriteBack.objects.filter(pk=pk, fence=fence).only("unit_id").first()
    if found is None:
        return None
    Unit.objects.select_for_update(no_key=True).only("pk").get(pk=found.unit_id)
    rows = WriteBack.objects.select_related("unit", "disposition__inspection")
    return rows.select_for_update(of=("self",)).filter(pk=pk, fence=fence).first()


def _take_late(trail: Trail, row: WriteBack, said: _Acknowledgement) -> bool:
    before, reason = State(row.state), row.last_error
    if not said.holds and before is not State.ACKNOWLEDGED:
        return False
    if before is State.SUPERSEDED:
        sentence = _(
            "A later revision has gone in its place, and its own call then answered that it is "
            "held as %(reference)s. Look there which of the two stands."
        ) % {"reference": said.reference}
        return _contradict(trail, row, said, sentence)
    if before not in _CLOSED_MEANWHILE:
        return False
    if sentence := _why_not(row, said):
        return _contradict(trail, row, said, sentence)
    is_new = _take(trail, row, said)
    if before is State.REJECTED:
        sentence = _(
            "It was rejected while it was being sent (%(reason)s), and the call then answered that "
            "it is held as %(reference)s. Look there which of the two stands."
        ) % {"reason": reason, "reference": said.reference}
        _contradict(trail, row, _Acknowledgement("rejected", "", reason), sentence)
    return is_new


def _checked(state: str, reference: str, reason: str) -> _Acknowledgement:
    reference, reason = reference.strip(), " ".join(reason.split())[:LONGEST_REASON]
    if state not in {"applied", "duplicate", "rejected"}:
        raise Invalid(_("“state” is one of: applied, duplicate, rejected."))
    if state != "rejected" and not reference:
        raise Invalid(_("Say under which reference you hold it: “reference” is empty."))
    if state == "rejected" and not reason:
        raise Invalid(_("Say why it is rejected: “reason” is empty."))
    if len(reference) > LONGEST_REFERENCE or not reference.isprintable():
        raise Invalid(_("The reference is one line of at most 200 characters."))
    if "\0" in reason:
        raise Invalid(_("The reason holds a NUL character; send it without."))
    return _Acknowledgement(state, reference, reason)  # type: ignore[arg-type]  # checked above


def _locked(target: str, key: str, within: Q) -> WriteBack:
    found = _found(target, key, within)
    # The unit before the row, as an undo and a person's "send again" take them.
    Unit.objects.select_for_update(no_key=True).only("pk").get(pk=found.unit_id)
    rows = WriteBack.objects.select_related("unit", "disposition__inspection")
    return rows.select_for_update(of=("self",)).get(pk=found.pk)


def _found(target: str, key: str, within: Q) -> WriteBack:
    nothing = Unknown(
        _("Nothing was sent to %(target)s under the key %(key)s.")
        % {"target": target[:40], "key": key[:80]}
    )
    try:
        named = WriteBack.objects.filter(within, uuid=UUID(key), target=target)
    except ValueError:
        raise nothing from None
    row = named.only("unit_id").first()
    if row is None:
        raise nothing
    return row


def _why_not(row: WriteBack, said: _Acknowledgement) -> str:
    """How it contradicts what is known; empty when it does not."""
    state = State(row.state)
    # A restored backup has it waiting, and it may have left since.
    if state is State.PENDING and not row.attempts:
        return _("It has not been sent yet.")
    if state in {State.WITHDRAWN, State.SUPERSEDED}:
        return _("It was never sent: %(state)s.") % {"state": state.label}
    if state is State.ACKNOWLEDGED and not said.holds:
        return _("It is acknowledged under %(reference)s, and now rejected: %(reason)s") % {
            "reference": row.reference or "–",
            "reason": said.reason,
        }
    if state is State.ACKNOWLEDGED and row.reference not in {"", said.reference}:
        return _("It is acknowledged under %(reference)s, and now under %(other)s as well.") % {
            "reference": row.reference,
            "other": said.reference,
        }
    if state is State.REJECTED and said.holds and _is_overtaken(row):
        return _("It was rejected, a later revision has gone since, and now it is taken after all.")
    return ""


def _is_overtaken(row: WriteBack) -> bool:
    return (
        WriteBack.objects.filter(
            unit=row.unit_id, target=row.target, revision__gt=row.revision, attempts__gt=0
        )
        .exclude(state__in=[State.WITHDRAWN, State.SUPERSEDED])
        .exists()
    )


def _take(trail: Trail, row: WriteBack, said: _Acknowledgement) -> bool:
    """Write it down; False when it was known."""
    before = State(row.state)
    if before is State.ACKNOWLEDGED:
        return _name(trail, row, said)
    after = State.ACKNOWLEDGED if said.holds else State.REJECTED
    if before is after:
        return False
    transitions.check(before, after)
    if not said.holds:
        _doubt_open_call(row, at=trail.at)
        # Sent again, it is not applied beside what a call before it may still be applying.
        row.due_at = rests.until(row, at=trail.at)
    row.state, row.lease_expires_at = after, None
    row.reference, row.last_error = said.reference, "" if said.holds else said.reason
    row.settled_at = trail.at if said.holds else None
    row.save(
        update_fields=[
            *("state", "lease_expires_at", "due_at", "reference", "last_error", "settled_at"),
        ]
    )
    outcome = Outcome.APPLIED if said.holds else Outcome.REFUSED
    answer = said.reference if said.holds else said.reason
    journal.attempted(row, outcome, answer, at=trail.at)
    _note(trail, row, said, was=before)
    return True


def _doubt_open_call(row: WriteBack, *, at: datetime) -> None:
    """Keep what is being sent from being overtaken: its call may be applied yet."""
    if row.lease_expires_at is not None and rests.may_be_sending(row):
        said = _("Its call was still open when it was rejected; what that comes to is not known.")
        journal.attempted(row, Outcome.LOST, said, at=at)


def _name(trail: Trail, row: WriteBack, said: _Acknowledgement) -> bool:
    """Fill in the reference of what a person had settled without one."""
    if row.reference:
        return False
    row.reference = said.reference
    row.save(update_fields=["reference"])
    _note(trail, row, said, was=State.ACKNOWLEDGED)
    return True


def _note(trail: Trail, row: WriteBack, said: _Acknowledgement, *, was: State) -> None:
    trail.add(
        "write_back.acknowledge" if said.holds else "write_back.reject",
        subject_kind="unit",
        subject=row.unit.serial,
        site_id=row.site_id,
        detail={
            "write_back": str(row.uuid),
            "target": row.target,
            "revision": row.revision,
            "was": was.value,
            "said": said.state,
            "reference": said.reference,
            "error": said.reason,
        },
    )


def _contradict(trail: Trail, row: WriteBack, said: _Acknowledgement, sentence: str) -> bool:
    """Keep the contradiction for a person, once however often it is said."""
    digest = hashlib.sha256(f"{said.state} {said.reference}".encode()).hexdigest()[:16]
    return changes.open_conflict(
        trail=trail,
        change=MesChange(
            site_id=row.site_id,
            line_id=row.disposition.inspection.line_id,
            unit=row.unit,
            target=row.target,
            event_id=f"acknowledgement {row.uuid} {digest}",
            about=MesChange.About.ACKNOWLEDGEMENT,
            write_back=row,
            word=said.state,
            reference=said.reference,
            remark=sentence[:LONGEST_REASON],
            changed_at=trail.at,
            received_at=trail.at,
            our_revision=row.unit.disposition_revision,
            our_kind=row.unit.disposition,
            state=MesChange.State.OPEN,
        ),
    )
