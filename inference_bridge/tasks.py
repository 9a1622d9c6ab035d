"""The bridge's periodic work."""

from __future__ import annotations

import logging

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from inference_bridge import alerts, settling
from inference_bridge.gateways import sns

log = logging.getLogger(__name__)


@shared_task
def hold_incomplete() -> None:
    """Hold units of inspections that miss a view."""
    settling.hold_incomplete(at=timezone.now())


@shared_task
def publish_alerts() -> None:
    """Send what has not been sent to the alert topic."""
    environment = settings.LOUPE
    if not environment.alert_topic:
        return
    client = sns.client(endpoint=environment.aws_endpoint_url, region=environment.aws_region)
    try:
        topic = sns.ensure_topic(client, environment.alert_topic)
    except sns.TopicUnavailable as reason:
        log.warning("alerts wait: %s", reason)
        return
    alerts.publish(topic=topic, at=timezone.now())
