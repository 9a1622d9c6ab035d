"""The alert topic hears once that dispositions do not get through, and once that they do again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from inference_bridge import tasks
from inference_bridge.gateways.sqs import SqsQueue
from mes_integration.models import WriteBack, WriteBackAlarm
from mes_integration.tasks import raise_alarms
from tests.inference_bridge.test_escalated_calls import heard, told
from tests.mes_integration.plant import enqueued

__all__ = ["heard"]
pytestmark = pytest.mark.django_db


def test_what_does_not_get_through_is_told_once_and_so_is_its_end(heard: SqsQueue) -> None:
    row = enqueued(at=timezone.now() - timedelta(seconds=301))
    for _round in range(2):
        raise_alarms()
        tasks.publish_alerts()
    [message] = told(heard)
    assert message["kind"] == "WRITE_BACK_DELAYED_RAISED"
    assert (message["site"], message["target"], message["waiting"]) == ("plant-1", "mes", "1")
    WriteBack.objects.filter(pk=row.pk).update(
        state="ACKNOWLEDGED", reference="R-1", settled_at=timezone.now()
    )
    for _round in range(2):
        raise_alarms()
        tasks.publish_alerts()
    [message] = told(heard)
    assert message["kind"] == "WRITE_BACK_DELAYED_CLEARED"
    assert "again" in message["text"]


def test_one_that_came_and_went_while_nobody_published_is_told_in_order(heard: SqsQueue) -> None:
    row = enqueued(at=timezone.now() - timedelta(seconds=301))
    raise_alarms()
    WriteBack.objects.filter(pk=row.pk).update(state="WITHDRAWN", settled_at=timezone.now())
    raise_alarms()
    tasks.publish_alerts()
    kinds = [message["kind"] for message in told(heard)]
    assert sorted(kinds) == ["WRITE_BACK_DELAYED_CLEARED", "WRITE_BACK_DELAYED_RAISED"]
    alarm = WriteBackAlarm.objects.get()
    assert alarm.published_at is not None
    assert alarm.clearing_published_at is not None


def test_without_a_topic_the_alarm_waits() -> None:
    enqueued(at=timezone.now() - timedelta(seconds=301))
    raise_alarms()
    tasks.publish_alerts()
    assert WriteBackAlarm.objects.get().published_at is None
