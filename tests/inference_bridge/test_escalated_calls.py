"""A call nobody answers reaches the alert topic, soon after its time is up and once."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from config.celery import app
from governance.access import Actor
from governance.models import AuditEntry
from governance.roles import Role
from inference_bridge import alerts, tasks
from inference_bridge.gateways import sns
from inference_bridge.gateways.sqs import SqsQueue
from review.line import calls
from review.models import AndonCall
from tests import factories
from tests.inference_bridge.conftest import REGION, Queues
from tests.inference_bridge.test_consumer import attributes
from traceability.identifiers import new_id

pytestmark = pytest.mark.django_db


def called(at: datetime, kind: str = AndonCall.Kind.HELP) -> AndonCall:
    tablet, _token = factories.tablet(factories.station())
    return calls.call(actor=operator(), device=tablet, kind=kind, key=new_id(), made_at=at, at=at)


def operator() -> Actor:
    return factories.actor(Role.OPERATOR, on=factories.line())


@pytest.fixture
def heard(queues: Queues, settings: Settings) -> SqsQueue:
    """What subscribers of the alert topic are told."""
    name = f"calls-{queues.names[0]}"
    settings.LOUPE = settings.LOUPE.model_copy(
        update={"aws_endpoint_url": queues.endpoint, "aws_region": REGION, "alert_topic": name}
    )
    client = sns.client(endpoint=queues.endpoint, region=REGION)
    topic = sns.ensure_topic(client, name)
    client.subscribe(
        TopicArn=topic.arn, Protocol="sqs", Endpoint=attributes(queues.dead)["QueueArn"]
    )
    return queues.dead


def told(heard: SqsQueue) -> list[dict[str, Any]]:
    return [json.loads(json.loads(message.body)["Message"]) for message in heard.receive(wait_s=1)]


def test_a_call_nobody_answers_is_told_once(heard: SqsQueue) -> None:
    made = called(timezone.now() - timedelta(seconds=181), AndonCall.Kind.STOP)
    tasks.escalate_calls()
    tasks.escalate_calls()
    [message] = told(heard)
    assert (message["id"], message["kind"]) == (str(made.uuid), "CALL_STOP")
    assert (message["site"], message["line"], message["station"]) == ("plant-1", "line-1", "st-1")
    made.refresh_from_db()
    assert made.escalated_at is not None
    assert made.published_at is not None
    assert AuditEntry.objects.filter(action="call.publish").count() == 1


def test_a_call_that_can_still_be_answered_in_time_is_told_nobody(
    heard: SqsQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = timezone.now()
    called(at)
    # However long the machine takes: a second is left.
    monkeypatch.setattr(timezone, "now", lambda: at + timedelta(seconds=179))
    tasks.escalate_calls()
    assert AndonCall.objects.get().escalated_at is None
    assert told(heard) == []
    monkeypatch.setattr(timezone, "now", lambda: at + timedelta(seconds=181))
    tasks.escalate_calls()
    assert len(told(heard)) == 1


def test_what_a_killed_worker_has_marked_and_not_told_is_told_by_the_next(
    heard: SqsQueue, now: datetime
) -> None:
    called(now)
    calls.escalate_overdue(at=now + timedelta(seconds=180))
    down = sns.SnsTopic(sns.client(endpoint="http://127.0.0.1:9", region=REGION), "arn:x")
    assert alerts.publish_calls(topic=down, at=now) == 0
    assert AndonCall.objects.get().published_at is None
    tasks.escalate_calls()
    assert len(told(heard)) == 1


def test_who_answers_before_the_topic_does_stops_the_alert(heard: SqsQueue, now: datetime) -> None:
    made = called(now)
    later = now + timedelta(seconds=200)
    calls.escalate_overdue(at=later)
    calls.answer(actor=factories.actor(Role.LEAD), call_id=made.uuid, at=later)
    tasks.escalate_calls()
    assert told(heard) == []


def test_without_a_topic_calls_escalate_all_the_same(settings: Settings) -> None:
    settings.LOUPE = settings.LOUPE.model_copy(update={"alert_topic": ""})
    called(timezone.now() - timedelta(minutes=10))
    tasks.escalate_calls()
    assert AndonCall.objects.get().escalated_at is not None


def test_a_thousand_presses_are_told_once(heard: SqsQueue, now: datetime) -> None:
    tablet, _token = factories.tablet(factories.station())
    who = operator()
    for n in range(1000):
        at = now + timedelta(milliseconds=n)
        calls.call(actor=who, device=tablet, kind="HELP", key=new_id(), made_at=at, at=at)
    tasks.escalate_calls()
    assert len(told(heard)) == 1


def test_it_is_looked_often_enough_for_five_seconds() -> None:
    [entry] = [
        entry
        for entry in app.conf.beat_schedule.values()
        if entry["task"] == "inference_bridge.tasks.escalate_calls"
    ]
    assert entry["schedule"] <= 3
