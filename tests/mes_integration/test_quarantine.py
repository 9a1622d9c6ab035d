"""A target that takes a key twice is not told again while it may still be at work on it."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client

from governance.roles import Role
from mes_integration import delivery, inbound, leases, relay, resolution, rests, transitions
from mes_integration.adapters.http_line import Line, Unanswered
from mes_integration.adapters.protocol import Handed
from mes_integration.database_clock import DatabaseClock
from mes_integration.delivery import Called
from mes_integration.mappings import shipped_document
from mes_integration.models import MappingProfile, WriteBack
from mes_integration.targets import adapter_of
from tests import factories
from tests.mes_integration.plant import NOW, Reply, ScriptedMes, enqueued, outcomes, state_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("standing")]
LONGEST_S = 30


@pytest.fixture(autouse=True)
def _knows_no_keys() -> None:
    """The site's MES can be asked, and applies a key as often as it is sent."""
    document: dict[str, Any] = shipped_document("generic")
    document["capabilities"] |= {"key": False, "max_processing_s": LONGEST_S}
    MappingProfile.objects.create(
        site=factories.site(), target="mes", version=1, document=document, author="test", at=NOW
    )


def deliver(*, seconds: float = 0) -> int:
    return delivery.deliver_due(at=NOW + timedelta(seconds=seconds), limit=1)


def reject(row: WriteBack, *, seconds: float) -> None:
    inbound.acknowledge(
        target="mes",
        key=str(row.uuid),
        state="rejected",
        reference="",
        reason="No.",
        at=NOW + timedelta(seconds=seconds),
    )


def test_what_a_gateway_gave_up_on_rests_until_the_system_behind_it_must_be_done(
    scripted: ScriptedMes,
) -> None:
    row = enqueued()
    scripted.says(Reply(504, b'{"detail": "no answer from behind"}'), Reply())
    assert deliver() == 1
    assert (state_of(row), outcomes(row)) == ("RETRY", ["FAILED"])
    assert deliver(seconds=LONGEST_S - 1) == 0
    assert deliver(seconds=LONGEST_S + 1) == 1
    assert state_of(row) == "ACKNOWLEDGED"
    assert len(scripted.posted()) == 1


def test_a_person_who_sends_again_does_not_cut_the_rest_short(scripted: ScriptedMes) -> None:
    row = enqueued()
    scripted.says(Reply(reset=True), Reply())
    assert deliver() == 1
    assert state_of(row) == "UNCERTAIN"
    later = NOW + timedelta(seconds=1)
    resolution.resend(actor=factories.actor(Role.LEAD), write_back=row, at=later)
    assert deliver(seconds=LONGEST_S - 1) == 0
    assert deliver(seconds=LONGEST_S + 1) == 1
    assert outcomes(row) == ["UNCERTAIN", "APPLIED"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("reply", [Reply(404), Reply(503), Reply(reset=True)])
def test_rejected_while_it_is_only_asked_for_it_has_nothing_to_wait_for(
    scripted: ScriptedMes, reply: Reply
) -> None:
    row = enqueued()
    scripted.says(Reply(reset=True), reply, Reply())
    assert deliver() == 1

    def say(_request: Any) -> None:
        try:
            reject(row, seconds=LONGEST_S + 1)
        finally:
            scripted.during = lambda request: None
            connection.close()

    scripted.during = say
    assert deliver(seconds=LONGEST_S + 1) == 1
    assert (state_of(row), outcomes(row)) == ("REJECTED", ["UNCERTAIN", "REFUSED"])
    later = NOW + timedelta(seconds=LONGEST_S + 3)
    resolution.resend(actor=factories.actor(Role.LEAD), write_back=row, at=later)
    assert deliver(seconds=LONGEST_S + 3) == 1
    assert (state_of(row), len(scripted.posted())) == ("ACKNOWLEDGED", 2)


@pytest.mark.usefixtures("configure")
def test_rejected_while_its_acknowledgement_is_looked_for_it_rests_for_what_lies_there() -> None:
    row = enqueued()
    first = leases.take_lease(at=NOW)
    assert first is not None
    handed = Handed("It lies in the folder.", again_s=2)
    called = Called(*transitions.after_post(handed), handed)
    assert delivery.record(lease=first, called=called, at=NOW)
    looked = leases.take_lease(at=NOW + timedelta(seconds=2))
    assert looked is not None
    assert looked.reads_back
    reject(row, seconds=2)
    can = looked.message.profile.capabilities
    none_yet = Called(*transitions.after_silence(can, waits_on=True), None)
    delivery.record(lease=looked, called=none_yet, at=NOW + timedelta(seconds=3))
    row.refresh_from_db()
    assert (row.state, row.due_at) == ("REJECTED", NOW + timedelta(seconds=LONGEST_S))


def test_what_is_only_asked_for_is_hurried_and_rejected_at_once(scripted: ScriptedMes) -> None:
    row = enqueued()
    scripted.says(Reply(reset=True))
    seconds = 0.0
    for _call in range(7):
        assert deliver(seconds=seconds) == 1
        row.refresh_from_db()
        seconds = (row.due_at - NOW).total_seconds() + 0.1
    assert outcomes(row) == ["UNCERTAIN", *["UNREAD"] * 6]
    at = row.due_at - timedelta(seconds=5)
    assert rests.resting([row], at=at) == set()
    with transaction.atomic():
        reject(row, seconds=(at - NOW).total_seconds())
        row.refresh_from_db()
        assert row.due_at == at
        transaction.set_rollback(True)
    resolution.resend(actor=factories.actor(Role.LEAD), write_back=row, at=at)
    row.refresh_from_db()
    assert (row.state, row.due_at) == ("RETRY", at)
    scripted.says(Reply(404), Reply())
    assert deliver(seconds=(at - NOW).total_seconds()) == 1
    assert (state_of(row), len(scripted.posted())) == ("RETRY", 1)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("RETRY", "the MES is asked whether it has it, and it is sent only if not"),
        ("REJECTED", "Leaves at"),
        ("NEEDS_PERSON", "the MES is asked whether it has it, and it is sent only if not"),
        ("SENT", "Its acknowledgement is looked for again at"),
        ("UNCERTAIN", "Rests until"),
    ],
)
def test_the_page_says_that_it_leaves_only_of_what_is_to_leave(
    scripted: ScriptedMes, state: str, said: str
) -> None:
    row = enqueued()
    scripted.says(Reply(504))
    assert deliver() == 1
    if state == "REJECTED":
        reject(row, seconds=1)
    WriteBack.objects.filter(pk=row.pk).update(state=state, due_at=NOW + timedelta(days=4000))
    client = Client(headers={"Accept-Language": "en"})
    client.force_login(factories.user(Role.LEAD))
    page = client.get(f"/write-backs/{row.uuid}/").content.decode()
    assert "Goes out at once" not in page
    asked = "the MES is asked whether it has it, and it is sent only if not"
    words = ["Leaves at", asked, "Its acknowledgement is looked for again at", "Rests until"]
    assert [each for each in words if each in page] == [said]


def test_a_relay_that_stood_still_past_its_lease_sends_nothing(scripted: ScriptedMes) -> None:
    row = enqueued()
    lease = leases.take_lease(at=NOW)
    mes = adapter_of("mes")
    assert lease is not None
    assert mes is not None
    assert time.monotonic() < lease.until
    called = delivery.call(mes, replace(lease, until=time.monotonic()))
    assert scripted.requests == []
    assert delivery.record(lease=lease, called=called, at=NOW)
    assert (state_of(row), outcomes(row)) == ("RETRY", ["NOT_TAKEN"])
    assert deliver(seconds=2) == 1
    assert state_of(row) == "ACKNOWLEDGED"


def test_a_body_does_not_leave_after_its_time(
    scripted: ScriptedMes, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Line(url=scripted.url, timeout_s=60)
    ends = time.monotonic() + 60
    passes = iter([ends - 1, ends - 1])
    # It stands still between the last look at the clock and the body.
    monkeypatch.setattr(
        "mes_integration.adapters.http_line.time.monotonic", lambda: next(passes, ends + 1)
    )
    with pytest.raises(Unanswered) as silence:
        line.call("POST", "/dispositions", headers={}, body=b"{}", ends=ends)
    assert silence.value.sent is False
    assert all(request.body == b"" for request in scripted.requests)
    line.close()


def test_the_relay_asks_the_database_for_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "_clock", DatabaseClock())
    monkeypatch.setattr(time, "time", lambda: 0.0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        before: datetime = cursor.fetchone()[0]
    first, second = relay._now(), relay._now()
    assert before <= first <= second <= before + timedelta(seconds=120)
    assert WriteBack.objects.count() == 0
