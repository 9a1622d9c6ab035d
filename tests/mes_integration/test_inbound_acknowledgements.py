"""Acknowledgements that come by themselves: late, twice, out of order, against each other."""

from __future__ import annotations

import threading
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone
from knox.models import AuthToken

from governance.models import AuditEntry
from governance.roles import Role
from mes_integration import delivery, inbound, resolution, turns
from mes_integration.models import DeliveryAttempt, MesChange, WriteBack
from mes_integration.transitions import State
from tests import factories
from tests.mes_integration.plant import (
    NOW,
    Reply,
    ScriptedMes,
    enqueued,
    outcomes,
    state_of,
)
from traceability.refusals import Conflict, Invalid, Unknown

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("configure")]
LATER = NOW + timedelta(hours=1)
WAITING = [State.SENDING, State.SENT, State.RETRY, State.UNCERTAIN, State.NEEDS_PERSON]


def put(row: WriteBack, state: State, **fields: Any) -> WriteBack:
    """As if the relay had brought it there."""
    values: dict[str, Any] = {"state": state, "attempts": 1, **fields}
    if state is State.SENDING:
        values["lease_expires_at"] = Now() + timedelta(minutes=1)
    if state in {State.ACKNOWLEDGED, State.WITHDRAWN, State.SUPERSEDED}:
        values["settled_at"] = NOW
    WriteBack.objects.filter(pk=row.pk).update(**values)
    row.refresh_from_db()
    return row


def acknowledge(row: WriteBack, state: str = "applied", **more: Any) -> bool:
    given: dict[str, Any] = {
        "target": "mes",
        "key": str(row.uuid),
        "state": state,
        "reference": "" if state == "rejected" else "MES-1",
        "reason": "No such unit." if state == "rejected" else "",
        "at": LATER,
        **more,
    }
    return inbound.acknowledge(**given)


def conflicts() -> list[MesChange]:
    return list(MesChange.objects.order_by("pk"))


@pytest.mark.parametrize("said", ["applied", "duplicate"])
@pytest.mark.parametrize("state", WAITING)
def test_whatever_waits_for_it_is_acknowledged(state: State, said: str) -> None:
    row = put(enqueued(), state)
    assert acknowledge(row, said)
    assert state_of(row) == State.ACKNOWLEDGED
    assert (row.reference, row.settled_at, row.lease_expires_at) == ("MES-1", LATER, None)
    assert outcomes(row) == ["APPLIED"]
    entry = AuditEntry.objects.get(action="write_back.acknowledge")
    assert entry.detail["was"] == state
    assert entry.detail["reference"] == "MES-1"


@pytest.mark.parametrize("state", WAITING)
def test_what_the_mes_rejects_is_shown_with_its_reason(state: State) -> None:
    row = put(enqueued(), state)
    assert acknowledge(row, "rejected")
    assert state_of(row) == State.REJECTED
    assert row.last_error == "No such unit."
    # What an open call comes to is not known.
    assert outcomes(row) == (["LOST", "REFUSED"] if state is State.SENDING else ["REFUSED"])


def test_a_rejection_that_names_something_is_kept_with_its_reason_all_the_same() -> None:
    row = put(enqueued(), State.SENT)
    assert acknowledge(row, "rejected", reference="NCR-7")
    [attempt] = row.delivery_attempts.filter(outcome="REFUSED")
    assert attempt.answer == "No such unit."


@pytest.mark.parametrize("said", ["applied", "rejected"])
def test_the_same_word_again_changes_nothing(said: str) -> None:
    row = put(enqueued(), State.SENT)
    assert acknowledge(row, said)
    before = AuditEntry.objects.count()
    assert not acknowledge(row, said)
    assert AuditEntry.objects.count() == before
    assert len(outcomes(row)) == 1


def test_a_second_one_under_another_reference_is_kept_as_a_conflict_once() -> None:
    row = put(enqueued(), State.SENT)
    acknowledge(row)
    for _again in range(2):
        with pytest.raises(Conflict, match="MES-1, and now under MES-2"):
            acknowledge(row, reference="MES-2")
    assert state_of(row) == State.ACKNOWLEDGED
    assert row.reference == "MES-1"
    [kept] = conflicts()
    assert (kept.state, kept.about, kept.write_back) == ("OPEN", "ACKNOWLEDGEMENT", row)
    assert AuditEntry.objects.filter(action="mes_change.record").count() == 1


def test_rejected_after_acknowledged_is_kept_as_a_conflict() -> None:
    row = put(enqueued(), State.SENT)
    acknowledge(row)
    with pytest.raises(Conflict, match="now rejected: No such unit"):
        acknowledge(row, "rejected")
    assert state_of(row) == State.ACKNOWLEDGED
    assert [kept.word for kept in conflicts()] == ["rejected"]


def test_taken_after_all_is_taken_unless_a_later_revision_has_gone() -> None:
    row = put(enqueued(), State.REJECTED)
    assert acknowledge(row)
    assert state_of(row) == State.ACKNOWLEDGED

    overtaken = put(enqueued(), State.REJECTED)
    put(enqueued(overtaken.unit, kind="ACCEPT"), State.ACKNOWLEDGED, reference="MES-9")
    with pytest.raises(Conflict, match="a later revision has gone"):
        acknowledge(overtaken)
    assert state_of(overtaken) == State.REJECTED
    assert len(conflicts()) == 1


@pytest.mark.parametrize("state", [State.PENDING, State.WITHDRAWN, State.SUPERSEDED])
def test_what_never_left_cannot_be_acknowledged(state: State) -> None:
    row = put(enqueued(), state, attempts=0)
    with pytest.raises(Conflict):
        acknowledge(row)
    assert state_of(row) == state
    assert len(conflicts()) == 1


def test_the_reference_of_what_a_person_settled_without_one_is_filled_in() -> None:
    row = put(enqueued(), State.ACKNOWLEDGED)
    assert acknowledge(row)
    row.refresh_from_db()
    assert row.reference == "MES-1"
    assert not acknowledge(row)


@pytest.mark.parametrize(
    "more",
    [{"key": str(uuid.uuid4())}, {"key": "no key"}, {"key": ""}, {"target": "qms"}],
)
def test_a_key_nobody_sent_there_is_unknown(more: dict[str, str]) -> None:
    row = put(enqueued(), State.SENT)
    with pytest.raises(Unknown):
        acknowledge(row, **more)
    assert state_of(row) == State.SENT


@pytest.mark.parametrize(
    ("said", "more"),
    [
        ("applied", {"reference": " "}),
        ("duplicate", {"reference": ""}),
        ("rejected", {"reason": ""}),
        ("applied", {"reference": "R" * 201}),
        ("applied", {"reference": "two\nlines"}),
        ("rejected", {"reason": "a\0b"}),
        ("maybe", {}),
    ],
)
def test_a_word_that_says_nothing_is_refused(said: str, more: dict[str, str]) -> None:
    row = put(enqueued(), State.SENT)
    with pytest.raises(Invalid):
        acknowledge(row, said, **more)
    assert state_of(row) == State.SENT


def test_once_acknowledged_the_next_revision_may_go() -> None:
    first = put(enqueued(), State.SENT)
    second = enqueued(first.unit, kind="ACCEPT", at=NOW)
    assert second.pk not in turns.deliverable(at=LATER, target="mes", limit=9)
    acknowledge(first)
    assert second.pk in turns.deliverable(at=LATER, target="mes", limit=9)


@pytest.mark.django_db(transaction=True)
def test_one_that_comes_while_the_call_is_still_open_counts_once(scripted: ScriptedMes) -> None:
    row = enqueued()
    scripted.says(Reply(body=b'{"reference": "MES-1"}'))
    said: list[bool] = []

    def tell(_request: Any) -> None:
        try:
            said.append(acknowledge(row))
        finally:
            connection.close()

    scripted.during = tell
    assert delivery.deliver_due(at=LATER, limit=5) == 1
    assert said == [True]
    assert state_of(row) == State.ACKNOWLEDGED
    assert outcomes(row) == ["APPLIED"]
    assert conflicts() == []


@pytest.mark.django_db(transaction=True)
def test_two_same_ones_at_once_count_once_and_two_different_ones_are_a_conflict() -> None:
    for number in range(6):
        row = put(enqueued(), State.SENT)
        references = ["MES-1", "MES-1" if number % 2 else "MES-2"]
        answers: list[str] = []
        barrier = threading.Barrier(2)

        def say(
            reference: str,
            row: WriteBack = row,
            barrier: threading.Barrier = barrier,
            answers: list[str] = answers,
        ) -> None:
            barrier.wait()
            try:
                answers.append(str(acknowledge(row, reference=reference)))
            except Conflict:
                answers.append("conflict")
            finally:
                connection.close()

        threads = [threading.Thread(target=say, args=(each,)) for each in references]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers) == (["False", "True"] if number % 2 else ["True", "conflict"])
        assert outcomes(row) == ["APPLIED"]
    assert len(conflicts()) == 3


def in_flight(scripted: ScriptedMes, row: WriteBack, reply: Reply, state: str) -> None:
    """The target says `state` while the call that it will answer by `reply` is open."""
    scripted.says(reply)

    def tell(_request: Any) -> None:
        try:
            acknowledge(row, state)
        finally:
            connection.close()

    scripted.during = tell
    assert delivery.deliver_due(at=LATER, limit=1) == 1


@pytest.mark.django_db(transaction=True)
def test_a_rejection_in_flight_does_not_lose_that_the_call_was_applied(
    scripted: ScriptedMes,
) -> None:
    row = enqueued()
    in_flight(scripted, row, Reply(201, b'{"reference": "MES-1"}'), "rejected")
    assert state_of(row) == State.ACKNOWLEDGED
    assert (row.reference, row.last_error) == ("MES-1", "")
    assert outcomes(row) == ["LOST", "REFUSED", "APPLIED"]
    [conflict] = conflicts()
    assert (conflict.state, conflict.word) == ("OPEN", "rejected")
    assert "No such unit." in conflict.remark
    assert "MES-1" in conflict.remark
    assert not acknowledge_again(row, "rejected")


def acknowledge_again(row: WriteBack, state: str) -> bool:
    """Whether what contradicts was kept once more."""
    known = len(conflicts())
    with pytest.raises(Conflict):
        acknowledge(row, state)
    return len(conflicts()) > known


@pytest.mark.django_db(transaction=True)
def test_an_acknowledgement_in_flight_does_not_hide_that_the_call_was_refused(
    scripted: ScriptedMes,
) -> None:
    row = enqueued()
    in_flight(scripted, row, Reply(422, b'{"detail": "Unknown unit."}'), "applied")
    assert (state_of(row), row.reference) == (State.ACKNOWLEDGED, "MES-1")
    [conflict] = conflicts()
    assert conflict.word == "rejected"
    assert "Unknown unit." in conflict.remark


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("reply", [Reply(503), Reply(429), Reply(reset=True), Reply(200, b"")])
@pytest.mark.parametrize("said", ["applied", "rejected"])
def test_what_the_call_leaves_open_takes_nothing_back_from_what_was_said_in_flight(
    scripted: ScriptedMes, reply: Reply, said: str
) -> None:
    row = enqueued()
    in_flight(scripted, row, reply, said)
    assert state_of(row) == ("ACKNOWLEDGED" if said == "applied" else "REJECTED")
    assert outcomes(row) == (["APPLIED"] if said == "applied" else ["LOST", "REFUSED"])
    assert conflicts() == []


@pytest.mark.django_db(transaction=True)
def test_under_another_reference_in_flight_is_a_conflict(scripted: ScriptedMes) -> None:
    row = enqueued()
    in_flight(scripted, row, Reply(201, b'{"reference": "MES-2"}'), "applied")
    assert (state_of(row), row.reference) == (State.ACKNOWLEDGED, "MES-1")
    assert "under MES-2 as well" in conflicts()[0].remark


@pytest.mark.django_db(transaction=True)
def test_one_sent_again_while_its_first_call_is_open_is_not_sent_twice(
    scripted: ScriptedMes,
) -> None:
    row = enqueued()
    lead = factories.actor(Role.LEAD)
    scripted.says(Reply(201, b'{"reference": "MES-1"}'))

    def tell(_request: Any) -> None:
        try:
            acknowledge(row, "rejected")
            resolution.resend(actor=lead, write_back=row, at=LATER)
        finally:
            connection.close()

    scripted.during = tell
    delivery.deliver_due(at=LATER, limit=9)
    assert (state_of(row), row.reference) == (State.ACKNOWLEDGED, "MES-1")
    assert len(scripted.requests) == 1


# Over HTTP


def post(body: Any, *, at: str = "plant-1") -> Any:
    user = factories.user(Role.MES, at=factories.site(at))
    _row, token = AuthToken.objects.create(user)
    return Client().post(
        "/api/v1/mes/acknowledgements",
        body,
        "application/json",
        headers={"Authorization": f"Bearer {token}"},
    )


def test_the_mes_acknowledges_over_the_api() -> None:
    row = put(enqueued(), State.SENT)
    body = {"key": str(row.uuid), "state": "applied", "reference": "MES-1"}
    answers = [post(body), post(body), post({**body, "reference": "MES-2"})]
    assert [answer.status_code for answer in answers] == [201, 200, 409]
    assert [answer.json().get("is_new") for answer in answers] == [True, False, None]
    assert answers[2].json()["code"] == "contradiction"
    assert AuditEntry.objects.get(action="write_back.acknowledge").actor_kind == "machine"


def test_what_is_acknowledged_or_settled_is_dated_by_the_databases_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a unit's next revision waits for must not hang on the clock of a web host."""
    ahead = datetime.now(UTC) + timedelta(hours=3)
    monkeypatch.setattr(timezone, "now", lambda: ahead)
    row = put(enqueued(), State.SENT)
    said = {"target": "mes", "key": str(row.uuid), "state": "applied", "reference": "MES-1"}
    assert post(said).status_code == 201
    row.refresh_from_db()
    assert row.settled_at is not None
    assert row.settled_at < ahead - timedelta(hours=2)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"key": str(uuid.uuid4())}, 404),
        ({"key": "x"}, 422),
        ({"state": "done"}, 422),
        ({"reference": ""}, 422),
        ({"refernce": "R"}, 422),
        ({"target": "qms"}, 404),
    ],
)
def test_what_is_wrong_is_refused_with_its_status(changes: dict[str, str], status: int) -> None:
    row = put(enqueued(), State.SENT)
    body = {"key": str(row.uuid), "state": "applied", "reference": "MES-1", **changes}
    assert post(body).status_code == status
    assert not DeliveryAttempt.objects.exists()


def test_a_foreign_machine_does_not_find_it() -> None:
    row = put(enqueued(), State.SENT)
    body = {"key": str(row.uuid), "state": "applied", "reference": "MES-1"}
    there = post(body, at="plant-2")
    nowhere = post({**body, "key": str(uuid.uuid4())}, at="plant-2")
    assert (there.status_code, nowhere.status_code) == (404, 404)
    assert there.json()["code"] == nowhere.json()["code"]
    assert state_of(row) == State.SENT


def test_a_machine_of_another_line_does_not_find_it() -> None:
    row = put(enqueued(), State.SENT)
    user = factories.user(Role.MES, on=factories.line(code="line-2"))
    _row, token = AuthToken.objects.create(user)
    answer = Client().post(
        "/api/v1/mes/acknowledgements",
        {"key": str(row.uuid), "state": "applied", "reference": "MES-1"},
        "application/json",
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 404
    assert state_of(row) == State.SENT
