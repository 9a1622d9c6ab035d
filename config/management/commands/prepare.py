"""Makes the queues and the alert topic that are not there yet; run at every start."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from inference_bridge.gateways import sns, sqs


class Command(BaseCommand):
    """manage.py prepare"""

    help = "Create the prediction queue, its dead-letter queue and the alert topic."

    def handle(self, *args: Any, **options: Any) -> None:
        environment = settings.LOUPE
        reached = {"endpoint": environment.aws_endpoint_url, "region": environment.aws_region}
        try:
            if environment.prediction_queue:
                sqs.ensure_queues(
                    sqs.client(**reached),
                    main=environment.prediction_queue,
                    dead=environment.dead_letter_queue,
                )
                self.stdout.write(f"The queue {environment.prediction_queue} is there.")
            if environment.alert_topic:
                sns.ensure_topic(sns.client(**reached), environment.alert_topic)
                self.stdout.write(f"The topic {environment.alert_topic} is there.")
        except (sqs.QueueUnavailable, sns.TopicUnavailable) as reason:
            raise CommandError(str(reason)) from reason
