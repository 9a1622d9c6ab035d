"""A station calls: one call however often it is pressed, one person who comes, and an end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from governance.access import Actor, system
from governance.models import AuditEntry, Device
from governance.roles import Role
from review.line import calls
from review.models import AndonCall
from tests import factories
from tests.review.test_comments import client_of
from traceability.identifiers import new_id
from traceability.models import Station
from traceability.refusals import Conflict, NotAllowed, Refusal, Unknown

pytestmark = pytest.mark.django_db
HELP, STOP = AndonCall.Kind.HELP, AndonCall.Kind.STOP


@pytest.fixture
def station() -> Station:
    return factories.station()


@pytest.fixture
def device(station: Station) -> Device:
    return factories.tablet(station)[0]


@pytest.fixture
def operator(station: Station) -> Actor:
    return factories.actor(Role.OPERATOR, on=station.line)


def press(actor: Actor, device: Device, at: datetime, kind: str = HELP, **fields: Any) -> AndonCall:
    values = {"key": new_id(), "made_at": at, **fields}
    return calls.call(actor=actor, device=device, kind=kind, at=at, **values)


def audited(action: str) -> int:
    return AuditEntry.objects.filter(action=action).count()


def at_once(*works: Callable[[], object]) -> list[object]:
    """What each came to, all begun at the same moment on connections of their own."""
    begin = threading.Barrier(len(works))
    found: list[object] = []

    def run(work: Callable[[], object]) -> None:
        begin.wait(timeout=120)
        try:
            found.append(work())
        except Refusal as refusal:
            found.append(refusal)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    return found


def test_a_call_says_who_where_and_when(operator: Actor, device: Device, now: datetime) -> None:
    made = press(operator, device, now, made_at=now - timedelta(seconds=3))
    assert (made.station_id, made.kind) == (device.station_id, HELP)
    assert (made.called_by_id, made.called_at) == (operator.user_id, now)
    assert made.made_at == now - timedelta(seconds=3)
    entry = AuditEntry.objects.get(action="call.open")
    assert (entry.actor, entry.subject) == (operator.name, str(made.uuid))


def test_a_thousand_presses_are_one_call(operator: Actor, device: Device, now: datetime) -> None:
    for n in range(1000):
        press(operator, device, now + timedelta(milliseconds=n))
    assert AndonCall.objects.count() == audited("call.open") == 1


def test_help_and_stop_are_two_calls(operator: Actor, device: Device, now: datetime) -> None:
    press(operator, device, now)
    press(operator, device, now, STOP)
    assert [call.kind for call in calls.open_at(device.station_id)] == [STOP, HELP]


def test_the_same_press_again_is_the_same_call_even_when_it_is_closed(
    operator: Actor, device: Device, now: datetime
) -> None:
    made = press(operator, device, now)
    calls.close(actor=operator, call_id=made.uuid, at=now, station=device.station)
    again = press(operator, device, now + timedelta(minutes=1), key=made.key, made_at=now)
    assert again.pk == made.pk
    assert calls.open_at(device.station_id) == []


def test_a_press_that_arrives_after_the_call_it_belonged_to_was_closed_makes_no_new_one(
    operator: Actor, device: Device, now: datetime
) -> None:
    made = press(operator, device, now)
    later = now + timedelta(minutes=2)
    calls.close(actor=operator, call_id=made.uuid, at=later, station=device.station)
    late = press(operator, device, later + timedelta(minutes=1), made_at=now + timedelta(minutes=1))
    assert late.pk == made.pk
    fresh = press(operator, device, later + timedelta(minutes=2))
    assert fresh.pk != made.pk


def test_a_press_from_a_clock_that_is_fast_counts_as_of_now(
    operator: Actor, device: Device, now: datetime
) -> None:
    assert press(operator, device, now, made_at=now + timedelta(hours=3)).made_at == now


def test_one_can_call_with_nobody_signed_in_at_the_tablet(device: Device, now: datetime) -> None:
    made = press(system("tablet"), device, now, STOP)
    assert made.called_by is None


def test_who_does_not_work_at_the_line_calls_nobody(device: Device, now: datetime) -> None:
    elsewhere = factories.line(factories.site(), "line-9")
    with pytest.raises(Unknown):
        press(factories.actor(Role.OPERATOR, on=elsewhere), device, now)
    assert AndonCall.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_two_presses_at_once_are_one_call(operator: Actor, device: Device, now: datetime) -> None:
    found = at_once(*[lambda: press(operator, device, now).pk] * 4)
    assert len(set(found)) == 1
    assert AndonCall.objects.count() == audited("call.open") == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_who_answer_at_once_one_comes_and_the_other_is_told_who(
    operator: Actor, device: Device, now: datetime
) -> None:
    made = press(operator, device, now)
    people = [factories.actor(Role.LEAD), factories.actor(Role.INSPECTOR)]
    found = at_once(*[lambda p=p: calls.answer(actor=p, call_id=made.uuid, at=now) for p in people])
    [won] = [each for each in found if isinstance(each, AndonCall)]
    [lost] = [each for each in found if isinstance(each, Conflict)]
    assert str(won.answered_by) in lost.sentence
    assert audited("call.answer") == 1


def test_answering_again_changes_nothing(operator: Actor, device: Device, now: datetime) -> None:
    made = press(operator, device, now)
    lead = factories.actor(Role.LEAD)
    calls.answer(actor=lead, call_id=made.uuid, at=now + timedelta(seconds=20))
    again = calls.answer(actor=lead, call_id=made.uuid, at=now + timedelta(seconds=50))
    assert again.answered_at == now + timedelta(seconds=20)
    assert audited("call.answer") == 1


def test_what_is_closed_is_not_answered_any_more(
    operator: Actor, device: Device, now: datetime
) -> None:
    made = press(operator, device, now)
    calls.close(actor=operator, call_id=made.uuid, at=now, station=device.station)
    with pytest.raises(Conflict):
        calls.answer(actor=factories.actor(Role.LEAD), call_id=made.uuid, at=now)


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMIN, Role.AUDITOR])
def test_who_has_not_the_right_answers_no_call(
    role: Role, operator: Actor, device: Device, now: datetime
) -> None:
    made = press(operator, device, now)
    with pytest.raises(Unknown):
        calls.answer(actor=factories.actor(role), call_id=made.uuid, at=now)


def test_help_is_over_when_the_operator_says_so_and_only_at_his_station(
    operator: Actor, device: Device, now: datetime
) -> None:
    made = press(operator, device, now)
    other = factories.station(device.station.line, "st-9")
    with pytest.raises(Unknown):
        calls.close(actor=operator, call_key=made.key, at=now, station=other)
    closed = calls.close(actor=operator, call_key=made.key, at=now, station=device.station)
    assert (closed.closed_by_id, closed.answered_at) == (operator.user_id, None)


def test_a_stop_is_released_by_who_may_answer_calls(
    operator: Actor, device: Device, now: datetime
) -> None:
    made = press(operator, device, now, STOP)
    with pytest.raises(NotAllowed) as refused:
        calls.close(actor=operator, call_id=made.uuid, at=now, station=device.station)
    assert refused.value.reason == "stop_not_released"
    assert calls.open_at(device.station_id) == [made]
    lead, later = factories.actor(Role.LEAD), now + timedelta(seconds=40)
    closed = calls.close(actor=lead, call_id=made.uuid, at=later, remark="Belt was torn.")
    assert (closed.closed_at, closed.remark) == (later, "Belt was torn.")
    # Whoever released it was there.
    assert (closed.answered_at, closed.answered_by_id) == (later, lead.user_id)
    assert AuditEntry.objects.get(action="call.close").reason == "Belt was torn."


def test_closing_again_changes_nothing(operator: Actor, device: Device, now: datetime) -> None:
    made = press(operator, device, now)
    for n in range(2):
        later = now + timedelta(seconds=n)
        calls.close(actor=operator, call_id=made.uuid, at=later, station=device.station)
    assert AndonCall.objects.get().closed_at == now
    assert audited("call.close") == 1


def escalates(now: datetime, seconds: float) -> int:
    return calls.escalate_overdue(at=now + timedelta(seconds=seconds))


def test_a_call_nobody_answers_escalates_on_time_and_once(
    operator: Actor, device: Device, now: datetime
) -> None:
    press(operator, device, now)
    assert escalates(now, 179.9) == 0
    assert escalates(now, 180) == 1
    assert escalates(now, 182) == 0
    assert AndonCall.objects.get().escalated_at == now + timedelta(seconds=180)
    assert audited("call.escalate") == 1


def test_what_is_answered_or_closed_in_time_does_not_escalate(
    operator: Actor, device: Device, now: datetime
) -> None:
    stop = press(operator, device, now, STOP)
    calls.answer(actor=factories.actor(Role.LEAD), call_id=stop.uuid, at=now)
    over = press(operator, device, now)
    calls.close(actor=operator, call_id=over.uuid, at=now, station=device.station)
    assert escalates(now, 1000) == 0


def test_looking_for_overdue_calls_is_one_statement_while_there_are_none(
    django_assert_num_queries: DjangoAssertNumQueries, now: datetime
) -> None:
    with django_assert_num_queries(1):
        calls.escalate_overdue(at=now)


@pytest.mark.django_db(transaction=True)
def test_two_workers_escalate_a_call_once(operator: Actor, device: Device, now: datetime) -> None:
    press(operator, device, now)
    found = at_once(*[lambda: escalates(now, 200)] * 3)
    assert sorted(found) == [0, 0, 1]  # type: ignore[type-var]  # numbers, all of them
    assert audited("call.escalate") == 1


def test_times_until_the_answer_are_those_that_were_taken(
    operator: Actor, device: Device, now: datetime
) -> None:
    lead = factories.actor(Role.LEAD)
    for n in range(1, 11):
        at = now - timedelta(days=2 if n > 5 else 0) + timedelta(minutes=10 * n)
        made = press(operator, device, at)
        calls.close(actor=lead, call_id=made.uuid, at=at + timedelta(seconds=10 * n))
    press(operator, device, now + timedelta(hours=2))
    today, week = calls.response_times(lead, device.station.site, at=now + timedelta(hours=3))
    assert (today.calls, today.unanswered, today.median_s, today.p90_s) == (6, 1, 30, 50)
    assert (week.calls, week.unanswered, week.median_s, week.p90_s) == (11, 1, 50, 90)


def test_without_calls_there_are_no_times(now: datetime) -> None:
    today, _week = calls.response_times(factories.actor(Role.LEAD), factories.site(), at=now)
    assert (today.calls, today.median_s, today.p90_s) == (0, None, None)


def test_each_sees_the_calls_of_his_lines(operator: Actor, device: Device, now: datetime) -> None:
    made = press(operator, device, now)
    elsewhere = factories.line(device.station.site, "line-9")
    assert calls.open_for(factories.actor(Role.INSPECTOR)) == [made]
    assert calls.open_for(factories.actor(Role.INSPECTOR, on=elsewhere)) == []
    assert calls.open_for(factories.actor(Role.LEAD, at=factories.site("plant-2"))) == []


def queue(client: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/api/v1/review/queue").json()["calls"]
    return found


def test_the_bench_hears_of_a_call_answers_and_closes_it(operator: Actor, device: Device) -> None:
    made = press(operator, device, timezone.now(), STOP)
    ines = factories.user(name="ines")
    client = client_of(ines)
    [shown] = queue(client)
    assert (shown["id"], shown["word"], shown["station"]) == (str(made.uuid), "Stop", "st-1")
    assert (shown["answered_by"], shown["may_answer"]) == (None, True)
    path = f"/api/v1/calls/{made.uuid}"
    assert client.post(f"{path}/answer").json()["answered_by"] == "ines"
    other = client_of(factories.user(Role.LEAD)).post(f"{path}/answer")
    assert (other.status_code, other.json()["code"]) == (409, "answered")
    done = client.post(f"{path}/close", {"remark": "Belt."}, "application/json")
    assert done.json()["closed_at"] is not None
    assert queue(client) == []
    everything = client.get("/api/v1/calls").json()
    assert (everything["calls"], everything["week"]["calls"]) == ([], 1)


def test_a_call_unknown_to_all_is_not_found(now: datetime) -> None:
    client = client_of(factories.user(Role.LEAD))
    assert client.post(f"/api/v1/calls/{UUID(int=7)}/answer").status_code == 404
