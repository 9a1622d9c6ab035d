"""The loop a worker hosts: several at once, and nothing twice."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, connections, transaction

from mes_integration import delivery, leases, relay
from mes_integration.models import WriteBack
from tests import factories
from tests.mes_integration.conftest import Configure
from tests.mes_integration.plant import (
    DemoMes,
    Request,
    ScriptedMes,
    enqueued,
    somebody_waits_for_a_lock,
    state_of,
)

pytestmark = pytest.mark.django_db(transaction=True)

PAST = datetime(2026, 1, 1, tzinfo=UTC)


def wait_until(condition: Callable[[], bool], *, seconds: float = 90) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not come to that"
        time.sleep(0.02)


def acknowledged() -> int:
    return WriteBack.objects.filter(state="ACKNOWLEDGED").count()


@contextmanager
def relays(number: int = 1) -> Iterator[None]:
    """That many relay loops, each as a worker of its own would host it."""
    stop = threading.Event()
    loops = [threading.Thread(target=relay.run, args=(stop,)) for _ in range(number)]
    for loop in loops:
        loop.start()
    try:
        yield
    finally:
        stop.set()
        for loop in loops:
            loop.join(timeout=60)
        assert not any(loop.is_alive() for loop in loops)
        # Daemons of the crew give their connections back before the database goes.
        wait_until(lambda: not _carriers())


def _carriers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "relay-carrier"]


def test_two_relays_at_once_send_nothing_twice_and_nothing_out_of_order(demo: DemoMes) -> None:
    before = demo.deliveries()
    inspections = [factories.inspection() for _ in range(15)]
    with relays(2):
        for kind in ("ACCEPT", "HOLD", "REWORK"):
            for seen in inspections:
                enqueued(inspection=seen, kind=kind, at=PAST)
        wait_until(lambda: not WriteBack.objects.filter(settled_at=None).exists())
    after = demo.deliveries()
    assert after["applied"] - before["applied"] == acknowledged()
    assert (after["repeated"], after["stale"]) == (before["repeated"], before["stale"])
    last = WriteBack.objects.filter(revision=3)
    assert {row.state for row in last} == {"ACKNOWLEDGED"}
    assert {held["state"] for row in last if (held := demo.held(row))} == {"REWORK"}


def test_a_backlog_of_revisions_is_sent_as_its_last_word(demo: DemoMes) -> None:
    before = demo.deliveries()
    inspections = [factories.inspection() for _ in range(10)]
    for kind in ("ACCEPT", "HOLD"):
        for seen in inspections:
            enqueued(inspection=seen, kind=kind, at=PAST)
    with relays(2):
        wait_until(lambda: not WriteBack.objects.filter(settled_at=None).exists())
    assert demo.deliveries() == {**before, "applied": before["applied"] + len(inspections)}
    assert WriteBack.objects.filter(revision=1, state="SUPERSEDED").count() == len(inspections)


def test_two_that_reach_for_the_same_row_get_it_once(demo: DemoMes) -> None:
    enqueued(at=PAST)
    ready = threading.Barrier(4)
    got: list[leases.Lease] = []

    def reach() -> None:
        try:
            ready.wait(timeout=60)
            lease = leases.take_lease(at=PAST)
            if lease is not None:
                got.append(lease)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=reach) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1


def test_an_earlier_revision_that_leaves_meanwhile_is_not_superseded(demo: DemoMes) -> None:
    seen = factories.inspection()
    first, second = enqueued(inspection=seen, at=PAST), enqueued(inspection=seen, at=PAST)
    got: list[leases.Lease | None] = []

    def reach() -> None:
        try:
            got.append(leases.take_lease(at=PAST))
        finally:
            connections.close_all()

    other = threading.Thread(target=reach)
    with transaction.atomic():
        WriteBack.objects.filter(pk=first.pk).update(
            state="SENDING", lease_expires_at=datetime.now(UTC) + timedelta(hours=1)
        )
        other.start()
        wait_until(somebody_waits_for_a_lock)
    other.join(timeout=60)
    assert got == [None]
    assert (state_of(first), state_of(second)) == ("SENDING", "PENDING")


def test_one_slow_call_does_not_keep_the_others_waiting(scripted: ScriptedMes) -> None:
    slow = enqueued(at=PAST)
    others = [enqueued(at=PAST + timedelta(seconds=1)) for _ in range(5)]
    release = threading.Event()

    def during(request: Request) -> None:
        if str(slow.uuid).encode() in request.body:
            release.wait(timeout=60)

    scripted.during = during
    with relays():
        wait_until(lambda: acknowledged() == len(others))
        assert state_of(slow) == "SENDING"
        release.set()
        wait_until(lambda: acknowledged() == len(others) + 1)


def test_no_transaction_is_open_while_the_mes_thinks(scripted: ScriptedMes) -> None:
    enqueued(at=PAST)
    seen: list[int] = []

    def during(_request: Request) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND state LIKE 'idle in transaction%'"
            )
            seen.append(cursor.fetchone()[0])
        connections.close_all()

    scripted.during = during
    assert delivery.deliver_due(at=PAST, limit=1) == 1
    assert seen == [0]


def test_the_relay_outlives_the_databases_restart(demo: DemoMes) -> None:
    enqueued(at=PAST)
    with relays():
        wait_until(lambda: acknowledged() == 1)
        _cut_all_other_connections()
        enqueued(at=PAST)
        wait_until(lambda: acknowledged() == 2)


def _cut_all_other_connections() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_without_an_mes_the_relay_waits_and_starts_when_there_is_one(
    configure: Configure, demo: DemoMes
) -> None:
    configure("")
    row = enqueued(at=PAST)
    with relays():
        assert not _carriers()
        assert state_of(row) == "PENDING"
        configure(demo.url)
        wait_until(lambda: acknowledged() == 1)


def test_stopping_does_not_wait_for_an_mes_that_hangs(scripted: ScriptedMes) -> None:
    # It answers neither now nor later: whoever waited for it would wait for a minute. That it takes
    # less than what a worker gives it is the loop's doing, more is now and then the machine's.
    took = [_end_while_the_mes_hangs(scripted) for _time in range(3)]
    assert max(took) < 45
    assert statistics.median(took) < 4.5, took


def _end_while_the_mes_hangs(scripted: ScriptedMes) -> float:
    """Seconds from being told to stop to the end of the loop."""
    release = threading.Event()
    asked = threading.Event()

    def during(_request: Request) -> None:
        asked.set()
        release.wait(timeout=60)

    scripted.during = during
    enqueued(at=PAST)
    stop = threading.Event()
    loop = threading.Thread(target=relay.run, args=(stop,))
    loop.start()
    assert asked.wait(timeout=60)
    started = time.monotonic()
    stop.set()
    loop.join(timeout=60)
    took = time.monotonic() - started
    assert not loop.is_alive()
    release.set()
    wait_until(lambda: not _carriers())
    return took
