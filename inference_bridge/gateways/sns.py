"""The alert topic on SNS."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

MOST_IN_SUBJECT = 99


class TopicUnavailable(Exception):
    """SNS does not answer, or refuses; trying again later may help."""


class Topic(Protocol):
    """Where alerts are published."""

    def publish(self, *, subject: str, message: Mapping[str, str]) -> None:
        """Send one message; TopicUnavailable when it was not taken."""


class SnsTopic:
    """A topic by its ARN."""

    def __init__(self, client: SNSClient, arn: str) -> None:
        self._client = client
        self.arn = arn

    def publish(self, *, subject: str, message: Mapping[str, str]) -> None:
        # A subject is ASCII without control characters and shorter than 100.
        plain = "".join(c for c in subject if " " <= c <= "~")[:MOST_IN_SUBJECT].strip()
        try:
            self._client.publish(
                TopicArn=self.arn, Subject=plain or "Loupe", Message=json.dumps(message)
            )
        except (BotoCoreError, ClientError) as error:
            raise TopicUnavailable(str(error)) from error


def client(*, endpoint: str, region: str) -> SNSClient:
    """SNS itself, or the emulator at `endpoint`."""
    return boto3.client(
        "sns",
        region_name=region,
        endpoint_url=endpoint or None,
        config=Config(
            retries={"mode": "standard", "max_attempts": 3}, connect_timeout=3, read_timeout=10
        ),
    )


def ensure_topic(client: SNSClient, name: str) -> SnsTopic:
    """The topic of this name, made when it is not there; creating one twice is no error."""
    try:
        return SnsTopic(client, client.create_topic(Name=name)["TopicArn"])
    except (BotoCoreError, ClientError) as error:
        raise TopicUnavailable(f"The topic {name} cannot be reached: {error}") from error
