"""The bridge's periodic work."""

from __future__ import annotations

import logging

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from inference_bridge import alerts, nonconformance_alerts, settling, write_back_alerts
from inference_bridge.gateways import sns
from review.line import calls

log = logging.getLogger(__name__)


@shared_task
def hold_incomplete() -> None:
    """Hold units of inspections that miss a view."""
    settling.hold_incomplete(at=timezone.now())


@shared_task
def publish_alerts() -> None:
    """Send what has not been sent to the alert topic."""
    if (topic := _alert_topic()) is not None:
        alerts.publish(topic=topic, at=timezone.now())
        write_back_alerts.publish(topic=topic, at=timezone.now())
        nonconformance_alerts.publish(topic=topic, at=timezone.now())


@shared_task
def escalate_calls() -> None:
    """Mark the calls nobody has answered in time, and tell the alert topic of them.

    Every other second, so nothing but two look-ups while no call waits; what a worker that was
    killed has marked and not told is told by the next.
    """
    calls.escalate_overdue(at=timezone.now())
    if not alerts.calls_to_publish().exists():
        return
    if (topic := _alert_topic()) is not None:
        alerts.publish_calls(topic=topic, at=timezone.now())


def _alert_topic() -> sns.SnsTopic | None:
    environment = settings.LOUPE
    if not environment.alert_topic:
        return None
    client = sns.client(endpoint=environment.aws_endpoint_url, region=environment.aws_region)
    try:
        return sns.ensure_topic(client, environment.alert_topic)
    except sns.TopicUnavailable as reason:
        log.warning("alerts wait: %s", reason)
        return None
