"""Who hears of dispositions that do not get through, and when."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from django.db import close_old_connections, connections

from config.celery import app
from governance.models import AuditEntry
from mes_integration import alarms, delivery
from mes_integration.models import WriteBack, WriteBackAlarm
from tests import factories
from tests.mes_integration.conftest import Configure
from tests.mes_integration.plant import NOW, DemoMes, enqueued

pytestmark = pytest.mark.django_db
LIMIT = timedelta(seconds=300)


@pytest.fixture(autouse=True)
def _no_mes(configure: Configure) -> None:
    """Nothing is delivered unless a test says where to."""


def watched(at: datetime) -> list[WriteBackAlarm]:
    alarms.watch(at=at)
    return list(WriteBackAlarm.objects.order_by("pk"))


def test_five_minutes_undelivered_raise_one_alarm_for_site_and_target() -> None:
    enqueued()
    enqueued(at=NOW + timedelta(seconds=10))
    assert watched(NOW + LIMIT) == []
    [alarm] = watched(NOW + LIMIT + timedelta(seconds=1))
    assert (alarm.target, alarm.kind, alarm.waiting) == ("mes", "DELAYED", 2)
    assert alarm.oldest_at == NOW
    assert len(watched(NOW + LIMIT + timedelta(seconds=31))) == 1
    assert AuditEntry.objects.filter(action="write_back_alarm.raise").count() == 1


def test_it_clears_when_nothing_is_late_any_more(demo: DemoMes) -> None:
    enqueued()
    late = NOW + LIMIT + timedelta(seconds=1)
    watched(late)
    enqueued(at=late)
    delivery.deliver_due(at=late, limit=1)
    [alarm] = watched(late + timedelta(seconds=30))
    assert alarm.cleared_at == late + timedelta(seconds=30)


def test_it_is_not_raised_again_soon_after_it_has_cleared() -> None:
    row = enqueued()
    late = NOW + LIMIT + timedelta(seconds=1)
    watched(late)
    WriteBack.objects.filter(pk=row.pk).update(state="WITHDRAWN", settled_at=late)
    watched(late)
    again = enqueued(at=NOW)
    assert len(watched(late + timedelta(seconds=599))) == 1
    assert again.settled_at is None
    assert len(watched(late + timedelta(seconds=600))) == 2


def test_an_old_refusal_does_not_hide_that_the_mes_is_away() -> None:
    refused = enqueued()
    WriteBack.objects.filter(pk=refused.pk).update(state="REJECTED")
    later = NOW + timedelta(hours=1)
    assert [alarm.kind for alarm in watched(later)] == ["PERSON"]
    enqueued(at=later)
    kinds = [alarm.kind for alarm in watched(later + LIMIT + timedelta(seconds=1))]
    assert kinds == ["PERSON", "DELAYED"]


def test_sites_and_targets_have_alarms_of_their_own(configure: Configure) -> None:
    enqueued()
    row = enqueued(factories.unit(at=factories.site("plant-2")))
    WriteBack.objects.filter(pk=row.pk).update(target="qms")
    found = watched(NOW + timedelta(hours=1))
    assert sorted((alarm.site.code, alarm.target) for alarm in found) == [
        ("plant-1", "mes"),
        ("plant-2", "qms"),
    ]


def test_what_the_beat_does_shows_an_alarm_within_a_minute() -> None:
    beat = {entry["task"]: entry["schedule"] for entry in app.conf.beat_schedule.values()}
    raised = beat["mes_integration.tasks.raise_alarms"]
    assert raised + beat["inference_bridge.tasks.publish_alerts"] <= 60


@pytest.mark.django_db(transaction=True)
def test_two_who_watch_at_the_same_time_raise_it_once() -> None:
    enqueued()

    def watch(_number: int) -> None:
        try:
            alarms.watch(at=NOW + timedelta(hours=1))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(watch, range(4)))
    close_old_connections()
    assert WriteBackAlarm.objects.count() == 1
    assert AuditEntry.objects.filter(action="write_back_alarm.raise").count() == 1
