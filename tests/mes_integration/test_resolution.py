"""What a person does about one that does not get through."""

from __future__ import annotations

from datetime import timedelta

import pytest

from governance.models import AuditEntry
from governance.roles import Role
from mes_integration import changes, delivery, exceptions, resolution
from mes_integration.models import MesChange, ReconciliationException, WriteBack
from tests import factories
from tests.mes_integration.plant import NOW, DemoMes, enqueued, outcomes, state_of
from traceability.refusals import Conflict, Invalid, Unknown

pytestmark = pytest.mark.django_db

STUCK = ["REJECTED", "NEEDS_PERSON", "RETRY", "UNCERTAIN"]


def put(row: WriteBack, state: str) -> WriteBack:
    WriteBack.objects.filter(pk=row.pk).update(
        state=state,
        due_at=NOW + timedelta(minutes=1),
        lease_expires_at=NOW if state == "SENDING" else None,
        settled_at=NOW if state in {"ACKNOWLEDGED", "WITHDRAWN", "SUPERSEDED"} else None,
    )
    row.refresh_from_db()
    return row


@pytest.mark.parametrize("state", STUCK)
def test_what_is_stuck_is_sent_again_at_once_under_its_own_key(demo: DemoMes, state: str) -> None:
    row = put(enqueued(), state)
    lead = factories.actor(Role.LEAD)
    resolution.resend(actor=lead, write_back=row, at=NOW)
    assert state_of(row) == "RETRY"
    assert row.due_at == NOW
    delivery.deliver_due(at=NOW, limit=5)
    held = demo.held(row)
    assert held is not None
    assert held["id"] == str(row.uuid)
    entry = AuditEntry.objects.get(action="write_back.resend")
    assert (entry.actor, entry.detail["was"]) == (lead.name, state)


def test_what_may_have_arrived_is_asked_for_even_when_a_person_sends_it_again(
    demo: DemoMes,
) -> None:
    demo.fault("reset_after_apply")
    row = enqueued()
    delivery.deliver_due(at=NOW, limit=5)
    demo.fault("ok")
    before = demo.deliveries()
    resolution.resend(actor=factories.actor(Role.LEAD), write_back=row, at=NOW)
    delivery.deliver_due(at=NOW, limit=5)
    assert state_of(row) == "ACKNOWLEDGED"
    assert outcomes(row) == ["UNCERTAIN", "APPLIED"]
    assert demo.deliveries() == before


@pytest.mark.parametrize("state", STUCK)
def test_what_is_stuck_is_settled_on_a_persons_word(state: str) -> None:
    row = put(enqueued(), state)
    lead = factories.actor(Role.LEAD)
    resolution.settle(
        actor=lead, write_back=row, reference=" MES-1 ", reason="Typed in by hand.", at=NOW
    )
    assert state_of(row) == "ACKNOWLEDGED"
    assert (row.reference, row.settled_at) == ("MES-1", NOW)
    entry = AuditEntry.objects.get(action="write_back.settle")
    assert (entry.reason, entry.detail["was"]) == ("Typed in by hand.", state)


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ("PENDING", "leaves by itself"),
        ("SENDING", "wait for the answer"),
        ("ACKNOWLEDGED", "has acknowledged it"),
        ("WITHDRAWN", "taken back before it left"),
        ("SUPERSEDED", "a later revision of this unit goes instead"),
    ],
)
def test_what_is_not_stuck_is_left_alone_and_says_why(state: str, sentence: str) -> None:
    row = put(enqueued(), state)
    lead = factories.actor(Role.LEAD)
    assert sentence in resolution.why_not_resend(row)
    with pytest.raises(Conflict, match=sentence):
        resolution.resend(actor=lead, write_back=row, at=NOW)
    with pytest.raises(Conflict, match=sentence):
        resolution.settle(actor=lead, write_back=row, reference="", reason="Checked.", at=NOW)
    assert state_of(row) == state


def test_a_refused_revision_is_not_sent_over_a_later_one(demo: DemoMes) -> None:
    unit = factories.unit()
    first = put(enqueued(unit, kind="ACCEPT"), "REJECTED")
    enqueued(unit, kind="HOLD")
    lead = factories.actor(Role.LEAD)
    with pytest.raises(Conflict, match="Revision 2 of this unit has been decided since"):
        resolution.resend(actor=lead, write_back=first, at=NOW)
    assert state_of(first) == "REJECTED"
    resolution.settle(actor=lead, write_back=first, reference="", reason="Moot.", at=NOW)
    assert state_of(first) == "ACKNOWLEDGED"


def test_a_later_revision_that_was_taken_back_does_not_stand_in_the_way() -> None:
    unit = factories.unit()
    first = put(enqueued(unit), "REJECTED")
    put(enqueued(unit), "WITHDRAWN")
    resolution.resend(actor=factories.actor(Role.LEAD), write_back=first, at=NOW)
    assert state_of(first) == "RETRY"


def test_an_uncertain_revision_may_be_hurried_although_a_later_one_waits(demo: DemoMes) -> None:
    unit = factories.unit()
    first = put(enqueued(unit), "UNCERTAIN")
    enqueued(unit)
    resolution.resend(actor=factories.actor(Role.LEAD), write_back=first, at=NOW)
    assert state_of(first) == "RETRY"


@pytest.mark.parametrize(
    ("reference", "reason", "sentence"),
    [
        ("MES-1", "  ", "Say why"),
        ("MES-1", "x" * 1001, "below 1000"),
        ("MES-1", "a\0b", "below 1000"),
        ("x" * 201, "Checked.", "one line"),
        ("a\nb", "Checked.", "one line"),
    ],
)
def test_settling_asks_for_words_that_can_be_kept(
    reference: str, reason: str, sentence: str
) -> None:
    row = put(enqueued(), "REJECTED")
    with pytest.raises(Invalid, match=sentence):
        resolution.settle(
            actor=factories.actor(Role.LEAD),
            write_back=row,
            reference=reference,
            reason=reason,
            at=NOW,
        )
    assert state_of(row) == "REJECTED"


@pytest.mark.parametrize("role", [Role.INSPECTOR, Role.AUDITOR, Role.OPERATOR, Role.MACHINE])
def test_those_who_may_only_look_change_nothing(role: Role) -> None:
    row = put(enqueued(), "REJECTED")
    with pytest.raises(Unknown):
        resolution.resend(actor=factories.actor(role), write_back=row, at=NOW)
    assert state_of(row) == "REJECTED"


def test_a_lead_of_another_line_changes_nothing_here() -> None:
    row = put(enqueued(), "REJECTED")
    other = factories.actor(Role.LEAD, on=factories.line(code="line-2"))
    with pytest.raises(Unknown):
        resolution.settle(actor=other, write_back=row, reference="", reason="Mine.", at=NOW)
    own = factories.actor(Role.LEAD, on=factories.line(code="line-1"))
    resolution.settle(actor=own, write_back=row, reference="", reason="Mine.", at=NOW)
    assert state_of(row) == "ACKNOWLEDGED"


CURES = (
    *("decide the unit anew", "wait for the answer", "leaves by itself", "see to that one"),
    *("settle this one", "reconcile the two", "look at the unit", "there is nothing to"),
    *("see how", "mend this one", "close this one", "says so anew"),
)


def names_a_cure(sentence: str) -> bool:
    """Beyond how things stand, which its first clause says."""
    first, mark, rest = sentence.lower().partition(": ")
    return any(cure in (rest if mark else first) for cure in CURES)


@pytest.mark.parametrize(
    "sentence",
    [
        "It is settled: Acknowledged.",
        "It is settled: Ours stands.",
        "It is settled: a person has closed it.",
        "It is settled: it was sent again.",
        "It is only noted: a later change has come.",
    ],
)
def test_how_things_stand_is_no_cure(sentence: str) -> None:
    assert not names_a_cure(sentence)


@pytest.mark.parametrize("state", sorted(set(WriteBack.State) - set(STUCK) - {"SENT"}))
def test_every_refusal_says_what_can_be_done(state: str) -> None:
    row = put(enqueued(), state)
    sentence = resolution.why_not_resend(row)
    assert names_a_cure(sentence), sentence
    assert resolution.why_not_settle(row, at=NOW) == sentence


@pytest.mark.parametrize("state", sorted(set(MesChange.State) - {"OPEN"}))
def test_every_refusal_of_a_conflict_says_what_can_be_done(state: str) -> None:
    sentence = changes.why_not_resolve(MesChange(state=state))
    assert names_a_cure(sentence), sentence


@pytest.mark.parametrize("state", sorted(set(ReconciliationException.State) - {"OPEN"}))
def test_every_refusal_of_an_exception_says_what_can_be_done(state: str) -> None:
    sentence = exceptions.why_not_send(ReconciliationException(state=state), 1)
    assert names_a_cure(sentence), sentence
