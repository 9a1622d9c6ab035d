"""Rejected while its call is open and not sent again: no later word goes before that call is over.

Else the call could land after the unit's next revision, and the MES would keep the older word.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client

from governance.roles import Role
from mes_integration import delivery, inbound, journal, leases, messages, turns
from mes_integration.adapters.protocol import Answer, Applied, Handed, Refused, TryLater, Uncertain
from mes_integration.delivery import Called
from mes_integration.leases import Lease
from mes_integration.mappings import shipped_document
from mes_integration.models import MappingProfile, MesChange, WriteBack
from mes_integration.transitions import Outcome, after_post, after_silence
from tests import factories
from tests.mes_integration.plant import (
    NOW,
    Reply,
    ScriptedMes,
    enqueued,
    somebody_waits_for_a_lock,
    state_of,
)
from tests.runner.waiting import wait_until
from traceability.refusals import Conflict

pytestmark = pytest.mark.django_db
LONGEST_S = 30
# Asked or told twice: what the adapters' profiles say of their targets.
TARGETS = {
    "can be asked": {"key": False, "read_back": True},
    "knows a key": {"key": True, "read_back": False},
    "can be asked and knows a key": {"key": True, "read_back": True},
    "updates what it has": {"key": False, "read_back": False, "upsert": True},
    "nothing of it": {"key": False, "read_back": False},
}

HARMLESS_AGAIN = ["knows a key", "can be asked and knows a key", "updates what it has"]
HARMLESS_UNASKED = ["knows a key", "updates what it has"]
NOT_SENT_AGAIN = ["can be asked", "can be asked and knows a key", "nothing of it"]


@pytest.fixture(params=TARGETS, autouse=True)
def _target(request: pytest.FixtureRequest, scripted: ScriptedMes) -> Iterator[None]:
    document: dict[str, Any] = shipped_document("generic")
    document["capabilities"] |= {"max_processing_s": LONGEST_S, **TARGETS[request.param]}
    MappingProfile.objects.create(
        site=factories.site(), target="mes", version=1, document=document, author="test", at=NOW
    )
    yield
    scripted.during = lambda request: None


def deliver(*, seconds: float) -> int:
    return delivery.deliver_due(at=NOW + timedelta(seconds=seconds), limit=9)


def reject(row: WriteBack, *, seconds: float = 0) -> None:
    inbound.acknowledge(
        target="mes",
        key=str(row.uuid),
        state="rejected",
        reference="",
        reason="No.",
        at=NOW + timedelta(seconds=seconds),
    )


def tried_before(*came_to: Outcome, ago: float = 3600) -> WriteBack:
    """One to be sent again now, whose calls came to that."""
    row = enqueued()
    WriteBack.objects.filter(pk=row.pk).update(state="RETRY", attempts=len(came_to))
    for outcome in came_to:
        journal.attempted(row, outcome, "So it was.", at=NOW - timedelta(seconds=ago))
    row.refresh_from_db()
    return row


def left_alone(before: WriteBack | None = None) -> tuple[WriteBack, WriteBack, Lease]:
    """Rejected while it was being sent; nobody sends it again, and its unit is decided anew."""
    first = before or enqueued()
    lease = leases.take_lease(at=NOW)
    assert lease is not None
    reject(first)
    assert state_of(first) == "REJECTED"
    return first, enqueued(first.unit, kind="SCRAP", at=NOW + timedelta(seconds=1)), lease


def ended(lease: Lease, answer: Answer, *, seconds: float) -> None:
    """The open call has come to an end after all."""
    called = Called(*after_post(answer), answer)
    delivery.record(lease=lease, called=called, at=NOW + timedelta(seconds=seconds))


def verdicts(scripted: ScriptedMes) -> list[str]:
    return [sent["data"]["disposition"] for sent in scripted.posted()]


def test_while_the_call_is_open_the_next_word_does_not_overtake_it(scripted: ScriptedMes) -> None:
    first, later, _lease = left_alone()
    latest = messages.lease_time(first).total_seconds() + LONGEST_S
    for seconds in (2.0, latest - 1):
        assert deliver(seconds=seconds) == 0
    assert (state_of(first), state_of(later), scripted.requests) == ("REJECTED", "PENDING", [])
    assert deliver(seconds=latest + 1) == 1
    assert state_of(later) == "ACKNOWLEDGED"
    assert verdicts(scripted) == ["SCRAP"]


@pytest.mark.parametrize(
    "answer",
    [
        Uncertain("Silence."),
        TryLater("Broken.", 500, may_have_arrived=True),
        Handed("A middleman has it."),
    ],
)
def test_a_call_that_may_still_land_is_waited_for(scripted: ScriptedMes, answer: Answer) -> None:
    _first, later, lease = left_alone()
    ended(lease, answer, seconds=3)
    assert deliver(seconds=LONGEST_S + 2) == 0
    assert deliver(seconds=LONGEST_S + 4) == 1
    assert state_of(later) == "ACKNOWLEDGED"
    assert verdicts(scripted) == ["SCRAP"]


@pytest.mark.parametrize("answer", [Refused(422, "No."), TryLater("Busy.", 429)])
def test_after_a_call_that_did_nothing_the_next_word_leaves_at_once(
    scripted: ScriptedMes, answer: Answer
) -> None:
    _first, later, lease = left_alone()
    ended(lease, answer, seconds=3)
    assert deliver(seconds=4) == 1
    assert state_of(later) == "ACKNOWLEDGED"


def test_a_call_that_lands_is_told_and_the_next_word_comes_after_it(scripted: ScriptedMes) -> None:
    first, later, lease = left_alone()
    assert deliver(seconds=2) == 0
    ended(lease, Applied("MES-1"), seconds=3)
    [conflict] = MesChange.objects.all()
    assert (conflict.state, conflict.write_back) == ("OPEN", first)
    assert "rejected while it was being sent" in conflict.remark
    assert deliver(seconds=4) == 1
    assert (state_of(first), state_of(later)) == ("ACKNOWLEDGED", "ACKNOWLEDGED")
    assert verdicts(scripted) == ["SCRAP"]


def test_one_that_lands_later_than_the_target_says_it_can_is_told(scripted: ScriptedMes) -> None:
    first, later, lease = left_alone()
    ended(lease, Uncertain("Silence."), seconds=3)
    assert deliver(seconds=LONGEST_S + 4) == 1
    with pytest.raises(Conflict, match="a later revision has gone since"):
        inbound.acknowledge(
            target="mes", key=str(first.uuid), state="applied", reference="M", reason="", at=NOW
        )
    [conflict] = MesChange.objects.all()
    assert (conflict.state, conflict.word) == ("OPEN", "applied")
    assert (state_of(first), state_of(later)) == ("REJECTED", "ACKNOWLEDGED")


def test_rejected_after_its_call_fell_silent_it_is_waited_for_too(scripted: ScriptedMes) -> None:
    first = enqueued()
    scripted.says(Reply(reset=True), Reply())
    assert deliver(seconds=0) == 1
    reject(first)
    enqueued(first.unit, kind="SCRAP", at=NOW + timedelta(seconds=1))
    assert deliver(seconds=LONGEST_S - 2) == 0
    assert deliver(seconds=LONGEST_S + 2) == 1
    assert verdicts(scripted) == ["HOLD", "SCRAP"]


def test_what_the_target_rejects_once_it_was_handed_over_holds_nothing_back(
    scripted: ScriptedMes,
) -> None:
    first = enqueued()
    lease = leases.take_lease(at=NOW)
    assert lease is not None
    ended(lease, Handed("A middleman has it."), seconds=0)
    reject(first)
    later = enqueued(first.unit, kind="SCRAP", at=NOW + timedelta(seconds=1))
    assert deliver(seconds=2) == 1
    assert state_of(later) == "ACKNOWLEDGED"


@pytest.mark.parametrize(
    "came_to",
    [
        (Outcome.HANDED, Outcome.SILENT),
        (Outcome.REOPENED, Outcome.NOT_FOUND),
        (Outcome.UNREAD, Outcome.NOT_FOUND),
    ],
)
def test_whatever_came_before_it_the_open_call_is_not_overtaken(
    scripted: ScriptedMes, came_to: tuple[Outcome, ...]
) -> None:
    first, later, lease = left_alone(tried_before(*came_to))
    assert not lease.reads_back
    latest = messages.lease_time(first).total_seconds() + LONGEST_S
    assert deliver(seconds=latest - 1) == 0
    assert deliver(seconds=latest + 1) == 1
    assert (state_of(later), verdicts(scripted)) == ("ACKNOWLEDGED", ["SCRAP"])


@pytest.mark.parametrize("_target", HARMLESS_UNASKED, indirect=True)
def test_sent_again_after_it_was_handed_over_its_open_call_is_not_overtaken(
    scripted: ScriptedMes,
) -> None:
    first, later, lease = left_alone(tried_before(Outcome.HANDED))
    assert not lease.reads_back
    assert deliver(seconds=2) == 0
    ended(lease, Refused(422, "No."), seconds=3)
    assert deliver(seconds=4) == 1
    assert (state_of(first), state_of(later)) == ("REJECTED", "ACKNOWLEDGED")


def test_rejected_while_its_acknowledgement_is_looked_for_it_holds_nothing_back(
    scripted: ScriptedMes,
) -> None:
    first = enqueued()
    lease = leases.take_lease(at=NOW)
    assert lease is not None
    ended(lease, Handed("A middleman has it."), seconds=0)
    looked = leases.take_lease(at=NOW + timedelta(seconds=LONGEST_S + 1))
    assert looked is not None
    assert looked.was_sent
    reject(first, seconds=LONGEST_S + 1)
    later = enqueued(first.unit, kind="SCRAP", at=NOW + timedelta(seconds=1))
    silent = after_silence(looked.message.profile.capabilities, waits_on=looked.waits_on)
    at = NOW + timedelta(seconds=LONGEST_S + 2)
    assert not delivery.record(lease=looked, called=Called(*silent, None), at=at)
    assert deliver(seconds=LONGEST_S + 3) == 1
    assert (state_of(first), state_of(later)) == ("REJECTED", "ACKNOWLEDGED")


@pytest.mark.parametrize("_target", NOT_SENT_AGAIN, indirect=True)
def test_what_is_only_looked_for_holds_nothing_back_even_then(scripted: ScriptedMes) -> None:
    first = enqueued()
    lease = leases.take_lease(at=NOW)
    assert lease is not None
    ended(lease, Handed("A middleman has it."), seconds=0)
    assert leases.take_lease(at=NOW + timedelta(seconds=LONGEST_S + 1)) is not None
    reject(first, seconds=LONGEST_S + 1)
    later = enqueued(first.unit, kind="SCRAP", at=NOW + timedelta(seconds=1))
    assert deliver(seconds=LONGEST_S + 2) == 1
    assert state_of(later) == "ACKNOWLEDGED"


def test_a_relay_that_looked_before_it_was_sent_does_not_overtake_it(scripted: ScriptedMes) -> None:
    """Between its two statements another has sent the earlier one, and that was rejected."""
    first = enqueued()
    later = enqueued(first.unit, kind="SCRAP", at=NOW + timedelta(seconds=1))
    chosen = turns.next_locked(at=NOW + timedelta(seconds=2), target="mes")
    assert chosen == later
    assert leases.take_lease(at=NOW) is not None
    reject(first)
    assert turns.earlier_locked(later, at=NOW + timedelta(seconds=2)) is None
    assert turns.earlier_locked(later, at=NOW + timedelta(hours=1)) == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("_target", ["nothing of it"], indirect=True)
def test_nor_does_one_that_waits_for_the_rejection_to_be_written(scripted: ScriptedMes) -> None:
    first = enqueued()
    later = enqueued(first.unit, kind="SCRAP", at=NOW + timedelta(seconds=1))
    is_rejected, at = threading.Event(), NOW + timedelta(seconds=2)

    def sent_and_rejected() -> None:
        try:
            assert leases.take_lease(at=NOW) is not None
            with transaction.atomic():
                reject(first)
                is_rejected.set()
                wait_until(somebody_waits_for_a_lock)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        assert turns.next_locked(at=at, target="mes") == later
        other = pool.submit(sent_and_rejected)
        assert is_rejected.wait(60), other.exception(0)
        assert turns.earlier_locked(later, at=at) is None
        other.result(60)


@pytest.mark.parametrize("status", [409, 422])
@pytest.mark.parametrize("_target", HARMLESS_AGAIN, indirect=True)
def test_refused_in_its_own_answer_what_failed_before_is_waited_for(
    scripted: ScriptedMes, request: pytest.FixtureRequest, status: int
) -> None:
    first = enqueued()
    asked = [Reply(404)] if "asked" in request.node.callspec.params["_target"] else []
    no = Reply(status, b'{"detail": "The same key is in progress."}')
    scripted.says(Reply(504), *asked, no, Reply())
    assert deliver(seconds=0) == 1
    assert deliver(seconds=2) == 1 + len(asked)
    assert state_of(first) == "REJECTED"
    later = enqueued(first.unit, kind="SCRAP", at=NOW + timedelta(seconds=2))
    assert deliver(seconds=LONGEST_S - 2) == 0
    assert deliver(seconds=LONGEST_S + 5) == 1
    assert (state_of(later), verdicts(scripted)) == ("ACKNOWLEDGED", ["HOLD", "HOLD", "SCRAP"])


@pytest.mark.parametrize("answer", [Refused(422, "No."), TryLater("Busy.", 429)])
def test_what_failed_before_a_call_that_did_nothing_is_waited_for(
    scripted: ScriptedMes, answer: Answer
) -> None:
    before = tried_before(Outcome.FAILED, Outcome.NOT_FOUND, ago=1)
    _first, later, lease = left_alone(before)
    ended(lease, answer, seconds=3)
    assert deliver(seconds=LONGEST_S - 2) == 0
    assert deliver(seconds=LONGEST_S) == 1
    assert state_of(later) == "ACKNOWLEDGED"


@pytest.mark.parametrize("_target", ["knows a key"], indirect=True)
def test_the_lists_say_of_the_next_word_when_it_leaves_and_why_not_before(
    scripted: ScriptedMes,
) -> None:
    first, later, _lease = left_alone()
    WriteBack.objects.filter(pk=first.pk).update(due_at=NOW + timedelta(days=4000))
    client = Client(headers={"Accept-Language": "en"})
    client.force_login(factories.user(Role.LEAD))
    said = (
        f"Leaves at {NOW + timedelta(days=4000):%Y-%m-%d %H:%M} UTC: until then the call of "
        "revision 1, which was rejected, may still be at work there."
    )
    for path in ("/write-backs/undelivered/", "/write-backs/rows/", f"/write-backs/{later.uuid}/"):
        assert said in client.get(path).content.decode()
    WriteBack.objects.filter(pk=first.pk).update(due_at=NOW)
    for path in ("/write-backs/undelivered/", "/write-backs/rows/"):
        assert "which was rejected" not in client.get(path).content.decode()


def test_another_unit_s_word_does_not_wait(scripted: ScriptedMes) -> None:
    left_alone()
    other = enqueued()
    assert deliver(seconds=2) == 1
    assert state_of(other) == "ACKNOWLEDGED"


def test_settled_by_hand_it_holds_nothing_back(scripted: ScriptedMes) -> None:
    first, later, _lease = left_alone()
    WriteBack.objects.filter(pk=first.pk).update(state="ACKNOWLEDGED", settled_at=NOW)
    assert deliver(seconds=2) == 1
    assert state_of(later) == "ACKNOWLEDGED"
