"""Rejected by the MES's own word while its call is open: sent again, it is not there twice.

The target can neither be asked nor told twice.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from benchmarks.ledger_watch import Watch
from governance.roles import Role
from mes_integration import bulk, delivery, inbound, leases, messages, resolution
from mes_integration.adapters.protocol import Answer, Applied, Refused, TryLater, Uncertain
from mes_integration.delivery import Called
from mes_integration.leases import Lease
from mes_integration.mappings import shipped_document
from mes_integration.models import MappingProfile, MesChange, WriteBack
from mes_integration.transitions import after_post
from tests import factories
from tests.mes_integration.plant import (
    NOW,
    Reply,
    ScriptedMes,
    enqueued,
    expire_lease,
    outcomes,
    state_of,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("standing")]
LONGEST_S = 30
Again = Callable[[WriteBack], None]


@pytest.fixture(autouse=True)
def _knows_no_keys() -> None:
    document: dict[str, Any] = shipped_document("generic")
    can = {"key": False, "read_back": False, "upsert": False, "max_processing_s": LONGEST_S}
    document["capabilities"] |= can
    MappingProfile.objects.create(
        site=factories.site(), target="mes", version=1, document=document, author="test", at=NOW
    )


def deliver(*, seconds: float = 0) -> int:
    return delivery.deliver_due(at=NOW + timedelta(seconds=seconds), limit=9)


def reject(row: WriteBack) -> None:
    inbound.acknowledge(
        target="mes", key=str(row.uuid), state="rejected", reference="", reason="No.", at=NOW
    )


def press(row: WriteBack) -> None:
    """Send again, as a person does on its page."""
    resolution.resend(actor=factories.actor(Role.LEAD), write_back=row, at=NOW)


def press_many(row: WriteBack) -> None:
    rows = WriteBack.objects.filter(pk=row.pk)
    assert bulk.resend(actor=factories.actor(Role.LEAD), rows=rows, at=NOW) == 1


def while_it_is_open(scripted: ScriptedMes, reply: Reply, *acts: Again) -> WriteBack:
    """The row of whose call the target answers `reply` after all that."""
    row = enqueued()
    factories.actor(Role.LEAD)
    scripted.says(reply, Reply())

    def act(_request: Any) -> None:
        try:
            for each in acts:
                each(row)
        finally:
            scripted.during = lambda request: None
            connection.close()

    scripted.during = act
    deliver()
    return row


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("again", [press, press_many])
def test_sent_again_at_once_it_waits_until_the_open_call_must_be_done(
    scripted: ScriptedMes, again: Again
) -> None:
    row = while_it_is_open(scripted, Reply(reset=True), reject, again)
    assert (state_of(row), len(scripted.posted())) == ("RETRY", 1)
    assert deliver(seconds=LONGEST_S - 2) == 0
    assert deliver(seconds=LONGEST_S + 5) == 1
    assert (state_of(row), len(scripted.posted())) == ("ACKNOWLEDGED", 2)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("again", [press, press_many])
def test_sent_again_after_the_call_fell_silent_it_still_waits(
    scripted: ScriptedMes, again: Again
) -> None:
    row = while_it_is_open(scripted, Reply(reset=True), reject)
    assert state_of(row) == "REJECTED"
    again(row)
    assert deliver(seconds=LONGEST_S - 2) == 0
    assert deliver(seconds=LONGEST_S + 5) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("reply", [Reply(422, b'{"detail": "No."}'), Reply(429)])
def test_once_the_call_has_answered_that_it_did_nothing_there_is_nothing_to_wait_for(
    scripted: ScriptedMes, reply: Reply
) -> None:
    row = while_it_is_open(scripted, reply, reject)
    assert state_of(row) == "REJECTED"
    press(row)
    row.refresh_from_db()
    assert row.due_at <= NOW + timedelta(seconds=5)
    assert deliver(seconds=6) == 1
    assert state_of(row) == "ACKNOWLEDGED"


def test_while_nobody_knows_when_the_call_leaves_its_whole_lease_goes_by_first(
    scripted: ScriptedMes,
) -> None:
    row = enqueued()
    assert leases.take_lease(at=NOW) is not None
    reject(row)
    press(row)
    row.refresh_from_db()
    latest = messages.lease_time(row) + timedelta(seconds=LONGEST_S)
    assert row.due_at == NOW + latest
    press(row)
    assert deliver(seconds=latest.total_seconds() - 1) == 0
    assert deliver(seconds=latest.total_seconds() + 1) == 1


@pytest.mark.parametrize("again", [press, press_many])
def test_what_is_rejected_after_its_call_fell_silent_waits_for_that_call(
    scripted: ScriptedMes, again: Again
) -> None:
    row = enqueued()
    scripted.says(Reply(reset=True), Reply())
    assert deliver() == 1
    reject(row)
    again(row)
    assert deliver(seconds=LONGEST_S - 2) == 0
    assert deliver(seconds=LONGEST_S + 2) == 1
    assert outcomes(row) == ["UNCERTAIN", "REFUSED", "APPLIED"]


@pytest.mark.parametrize("again", [press, press_many])
def test_what_the_target_refused_in_its_answer_leaves_at_once(
    scripted: ScriptedMes, again: Again
) -> None:
    row = enqueued()
    scripted.says(Reply(422, b'{"detail": "No such unit."}'), Reply())
    assert deliver() == 1
    assert state_of(row) == "REJECTED"
    row.refresh_from_db()
    seconds = (row.due_at - NOW).total_seconds()
    assert seconds < 2
    again(row)
    assert deliver(seconds=seconds) == 1
    assert state_of(row) == "ACKNOWLEDGED"


def test_what_certainly_did_not_arrive_is_hurried(scripted: ScriptedMes) -> None:
    row = enqueued()
    scripted.says(Reply(429, headers={"Retry-After": "20"}), Reply())
    assert deliver() == 1
    assert outcomes(row) == ["NOT_TAKEN"]
    press(row)
    row.refresh_from_db()
    assert row.due_at == NOW


def open_call_rejected_and_pressed() -> tuple[WriteBack, WriteBack, Lease]:
    """Its call is open, it is to be sent again, and its unit has been decided anew."""
    first = enqueued()
    lease = leases.take_lease(at=NOW)
    assert lease is not None
    reject(first)
    press(first)
    assert state_of(first) == "RETRY"
    return first, enqueued(first.unit, kind="SCRAP", at=NOW + timedelta(seconds=1)), lease


def verdicts(scripted: ScriptedMes) -> list[str]:
    """What it was sent, in order."""
    return [sent["data"]["disposition"] for sent in scripted.posted()]


def answered(lease: Lease, answer: Answer, *, seconds: float) -> bool:
    """The open call has come to an end after all."""
    called = Called(*after_post(answer), answer)
    return delivery.record(lease=lease, called=called, at=NOW + timedelta(seconds=seconds))


def test_while_its_call_is_open_no_later_revision_overtakes_it(scripted: ScriptedMes) -> None:
    first, later, lease = open_call_rejected_and_pressed()
    assert deliver(seconds=2) == 0
    assert (state_of(first), state_of(later), scripted.posted()) == ("RETRY", "PENDING", [])
    assert answered(lease, Applied("MES-1"), seconds=3)
    assert (state_of(first), first.reference) == ("ACKNOWLEDGED", "MES-1")
    assert outcomes(first) == ["LOST", "REFUSED", "APPLIED"]
    assert deliver(seconds=LONGEST_S + 5) == 1
    assert state_of(later) == "ACKNOWLEDGED"
    assert verdicts(scripted) == ["SCRAP"]


def test_once_its_call_must_be_over_it_leaves_and_the_later_revision_after_it(
    scripted: ScriptedMes,
) -> None:
    first, later, _lease = open_call_rejected_and_pressed()
    first.refresh_from_db()
    rest = (first.due_at - NOW).total_seconds()
    assert deliver(seconds=rest - 1) == 0
    deliver(seconds=rest + 1)
    deliver(seconds=rest + LONGEST_S + 3)
    assert verdicts(scripted) == ["HOLD", "SCRAP"]
    assert (state_of(first), state_of(later)) == ("ACKNOWLEDGED", "ACKNOWLEDGED")


@pytest.mark.parametrize(
    ("answer", "rest"),
    [
        (Refused(422, "No."), 0),
        (TryLater("Busy.", 429), 0),
        (TryLater("Broken.", 500, may_have_arrived=True), LONGEST_S),
        (Uncertain("Silence."), LONGEST_S),
    ],
)
def test_once_its_call_has_ended_it_leaves_when_the_target_must_be_done(
    scripted: ScriptedMes, answer: Answer, rest: int
) -> None:
    first, _later, lease = open_call_rejected_and_pressed()
    assert state_of(first) == "RETRY"
    assert not answered(lease, answer, seconds=3)
    if rest:
        assert deliver(seconds=rest + 2) == 0
    deliver(seconds=rest + 4)
    deliver(seconds=rest + LONGEST_S + 6)
    assert verdicts(scripted) == ["HOLD", "SCRAP"]


def test_a_call_that_lands_after_a_later_revision_went_in_its_place_is_told(
    scripted: ScriptedMes,
) -> None:
    first, _later, lease = open_call_rejected_and_pressed()
    # As an earlier version of the relay left it, or a restored backup.
    WriteBack.objects.filter(pk=first.pk).update(state="SUPERSEDED", settled_at=NOW)
    assert answered(lease, Applied("MES-1"), seconds=3)
    assert not answered(lease, Applied("MES-1"), seconds=4)
    assert state_of(first) == "SUPERSEDED"
    [conflict] = MesChange.objects.all()
    assert (conflict.state, conflict.word, conflict.reference) == ("OPEN", "applied", "MES-1")
    assert "A later revision has gone in its place" in conflict.remark
    assert "MES-1" in conflict.remark


def test_a_call_that_is_refused_after_a_later_revision_went_in_its_place_says_nothing_new(
    scripted: ScriptedMes,
) -> None:
    first, _later, lease = open_call_rejected_and_pressed()
    WriteBack.objects.filter(pk=first.pk).update(state="SUPERSEDED", settled_at=NOW)
    assert not answered(lease, Refused(422, "No."), seconds=3)
    assert not MesChange.objects.exists()


def test_rejected_once_more_while_it_rests_its_rest_is_not_cut_short(
    scripted: ScriptedMes,
) -> None:
    row = enqueued()
    assert leases.take_lease(at=NOW) is not None
    for _again in range(2):
        reject(row)
        press(row)
    row.refresh_from_db()
    assert row.due_at == NOW + messages.lease_time(row) + timedelta(seconds=LONGEST_S)


def test_the_fault_programme_takes_it_for_no_lease_that_ran_out_early(
    scripted: ScriptedMes,
) -> None:
    row = enqueued()
    assert leases.take_lease(at=NOW) is not None
    watch = Watch("")
    watch._look(connection.connection)
    reject(row)
    watch._look(connection.connection)
    assert outcomes(row) == ["LOST", "REFUSED"]
    assert watch.found == {}
    cut_off = enqueued()
    assert leases.take_lease(at=NOW) is not None
    watch._look(connection.connection)
    expire_lease(cut_off)
    assert leases.recover(at=NOW) == 1
    watch._look(connection.connection)
    assert [found.invariant for found in watch.found.values()] == ["I14"]


def test_the_page_says_that_the_call_was_open_when_it_was_rejected(
    scripted: ScriptedMes,
) -> None:
    row = enqueued()
    assert leases.take_lease(at=NOW) is not None
    reject(row)
    client = Client(headers={"Accept-Language": "en"})
    client.force_login(factories.user(Role.LEAD))
    text = client.get(f"/write-backs/{row.uuid}/").content.decode()
    assert "Its call was still open when it was rejected" in text


def test_the_page_says_when_it_leaves_and_why_not_before(scripted: ScriptedMes) -> None:
    row = enqueued()
    assert leases.take_lease(at=NOW) is not None
    reject(row)
    client = Client(headers={"Accept-Language": "en"})
    client.force_login(factories.user(Role.LEAD))
    WriteBack.objects.filter(pk=row.pk).update(due_at=NOW + timedelta(days=4000))
    words = "until then the earlier call may still be at work there."
    before = client.get(f"/write-backs/{row.uuid}/").content.decode()
    assert words in before
    assert "Goes out at once" not in before
    answer = client.post(f"/write-backs/{row.uuid}/resend/", follow=True)
    assert answer.content.decode().count(words) >= 2
    assert "It is sent again now." not in answer.content.decode()
    due = f"Leaves at {NOW + timedelta(days=4000):%Y-%m-%d %H:%M} UTC"
    for path in ("/write-backs/undelivered/", "/write-backs/rows/"):
        text = client.get(path).content.decode()
        assert f"{due}: {words}" in text
