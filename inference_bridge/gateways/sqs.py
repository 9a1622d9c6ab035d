"""The prediction queue and its dead-letter queue on SQS."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef

BATCH: Final = 10
VISIBILITY_S: Final = 120
KEPT_S: Final = 14 * 24 * 3600
# What cannot be taken is buried by the consumer with its reason; this is for what kills it. High,
# since a message also comes back while something outside is away, for a day if need be.
MOST_RECEIVES: Final = 100
POSTPONED_S: Final = 60
LONGEST_POSTPONED_S: Final = 900
_MISSING: Final = frozenset(
    {"QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", "NonExistentQueue"}
)


class QueueUnavailable(Exception):
    """SQS does not answer, or refuses; trying again later may help."""


class QueueMissing(QueueUnavailable):
    """There is no queue of this name."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message that is ours until its visibility runs out."""

    message_id: str
    body: str
    receipt: str
    receives: int = 1


@dataclass(frozen=True, slots=True)
class NotDeleted:
    """An entry of a delete batch that failed, though the call went well."""

    receipt: str
    reason: str
    is_final: bool


class PredictionQueue(Protocol):
    """A queue as its writer sees it."""

    def send(self, body: str, *, note: str = "") -> None:
        """Put one message, with a note beside it; QueueUnavailable when it was not taken."""


class Queue(PredictionQueue, Protocol):
    """A queue as its reader sees it; every method may raise QueueUnavailable."""

    def receive(self, *, wait_s: int) -> list[Received]:
        """At most BATCH messages; none when nothing came within `wait_s` seconds."""

    def delete(self, receipts: Sequence[str]) -> list[NotDeleted]:
        """Acknowledge at most BATCH messages; answers those that are still there."""

    def postpone(self, messages: Sequence[Received]) -> None:
        """Put at most BATCH messages back, each the longer the more often it came."""


class SqsQueue:
    """A queue by its address."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self.url = url

    def receive(self, *, wait_s: int) -> list[Received]:
        try:
            answer = self._client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=BATCH,
                WaitTimeSeconds=wait_s,
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
            )
        except (BotoCoreError, ClientError) as error:
            raise unavailable(error) from error
        return [
            Received(
                message["MessageId"],
                message["Body"],
                message["ReceiptHandle"],
                int(message.get("Attributes", {}).get("ApproximateReceiveCount", "1")),
            )
            for message in answer.get("Messages", [])
        ]

    def delete(self, receipts: Sequence[str]) -> list[NotDeleted]:
        if not receipts:
            return []
        try:
            answer = self._client.delete_message_batch(
                QueueUrl=self.url,
                Entries=[{"Id": str(n), "ReceiptHandle": r} for n, r in enumerate(receipts)],
            )
        except (BotoCoreError, ClientError) as error:
            raise unavailable(error) from error
        return [
            NotDeleted(
                receipt=receipts[int(failed["Id"])],
                reason=f"{failed['Code']}: {failed.get('Message', '')}",
                is_final=failed["SenderFault"],
            )
            for failed in answer.get("Failed", [])
        ]

    def postpone(self, messages: Sequence[Received]) -> None:
        if not messages:
            return
        try:
            # An entry that fails comes back after the queue's own time, which does no harm.
            self._client.change_message_visibility_batch(
                QueueUrl=self.url,
                Entries=[
                    {
                        "Id": str(n),
                        "ReceiptHandle": message.receipt,
                        "VisibilityTimeout": postponed_s(message.receives),
                    }
                    for n, message in enumerate(messages)
                ],
            )
        except (BotoCoreError, ClientError) as error:
            raise unavailable(error) from error

    def send(self, body: str, *, note: str = "") -> None:
        attributes: dict[str, MessageAttributeValueTypeDef] = {}
        if note:
            attributes["loupe-reason"] = {"DataType": "String", "StringValue": note}
        try:
            self._client.send_message(
                QueueUrl=self.url, MessageBody=body, MessageAttributes=attributes
            )
        except (BotoCoreError, ClientError) as error:
            raise unavailable(error) from error


def postponed_s(receives: int) -> int:
    """How long a message rests that could not be taken yet, after so many tries."""
    return min(POSTPONED_S * receives, LONGEST_POSTPONED_S)


def client(*, endpoint: str, region: str) -> SQSClient:
    """SQS itself, or the emulator at `endpoint`."""
    return boto3.client(
        "sqs",
        region_name=region,
        endpoint_url=endpoint or None,
        config=Config(
            retries={"mode": "standard", "max_attempts": 3},
            connect_timeout=3,
            read_timeout=15,
            tcp_keepalive=True,
        ),
    )


@lru_cache(maxsize=1)
def prediction_queue() -> SqsQueue:
    """The configured prediction queue, for whoever sends to it."""
    environment = settings.LOUPE
    return find_queue(
        client(endpoint=environment.aws_endpoint_url, region=environment.aws_region),
        environment.prediction_queue,
    )


def find_queue(client: SQSClient, name: str) -> SqsQueue:
    """The queue of this name; QueueMissing says how to make it."""
    try:
        return SqsQueue(client, client.get_queue_url(QueueName=name)["QueueUrl"])
    except (BotoCoreError, ClientError) as error:
        if isinstance(error, ClientError) and _is_missing(error):
            raise QueueMissing(
                f"There is no SQS queue {name}. Run `manage.py prepare`, or create it."
            ) from error
        raise unavailable(error) from error


def ensure_queues(
    client: SQSClient, *, main: str, dead: str, visibility_s: int = VISIBILITY_S
) -> tuple[SqsQueue, SqsQueue]:
    """Both queues, the main one sending to the dead one what failed MOST_RECEIVES times.

    Queues that are there already get the same attributes; doing it twice changes nothing.
    """
    dead_queue = _ensure(client, dead, {"MessageRetentionPeriod": str(KEPT_S)})
    try:
        found = client.get_queue_attributes(QueueUrl=dead_queue.url, AttributeNames=["QueueArn"])
    except (BotoCoreError, ClientError) as error:
        raise unavailable(error) from error
    redrive = {
        "deadLetterTargetArn": found["Attributes"]["QueueArn"],
        "maxReceiveCount": MOST_RECEIVES,
    }
    main_queue = _ensure(
        client,
        main,
        {
            "MessageRetentionPeriod": str(KEPT_S),
            "VisibilityTimeout": str(visibility_s),
            "RedrivePolicy": json.dumps(redrive),
        },
    )
    return main_queue, dead_queue


def _ensure(client: SQSClient, name: str, attributes: dict[str, str]) -> SqsQueue:
    try:
        queue = find_queue(client, name)
    except QueueMissing:
        try:
            queue = SqsQueue(client, client.create_queue(QueueName=name)["QueueUrl"])
        except (BotoCoreError, ClientError) as error:
            raise unavailable(error) from error
    try:
        client.set_queue_attributes(
            QueueUrl=queue.url,
            Attributes=attributes,  # type: ignore[arg-type]  # the stubs list the names one by one
        )
    except (BotoCoreError, ClientError) as error:
        raise unavailable(error) from error
    return queue


def unavailable(error: BotoCoreError | ClientError) -> QueueUnavailable:
    """What boto3 raises, as ours."""
    if isinstance(error, ClientError) and _is_missing(error):
        return QueueMissing(str(error))
    return QueueUnavailable(str(error))


def _is_missing(error: ClientError) -> bool:
    return error.response.get("Error", {}).get("Code") in _MISSING
