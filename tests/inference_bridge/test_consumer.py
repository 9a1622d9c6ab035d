"""The consumer on a queue: nothing lost, nothing doubled, deleted only after the commit."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from pytest_django import Settings

from inference_bridge import alerts, intake, tasks
from inference_bridge.consumer import Consumer, run
from inference_bridge.gateways import sns, sqs
from inference_bridge.gateways.sqs import NotDeleted, QueueMissing, Received, SqsQueue, find_queue
from inference_bridge.intake import Status
from inference_bridge.models import Alert, DeadLetter
from review.models import ReviewTask
from tests.inference_bridge import messages
from tests.inference_bridge.conftest import REGION, Queues
from tests.inference_bridge.messages import event
from traceability.gateways import object_store
from traceability.gateways.contract import StoreUnavailable
from traceability.models import Capture, Disposition, Prediction

pytestmark = pytest.mark.usefixtures("plant")


def consumer(queues: Queues, at: datetime, **changes: object) -> Consumer:
    parts = {"queue": queues.main, "dead": queues.dead, "clock": lambda: at, **changes}
    return Consumer(**parts)  # type: ignore[arg-type]  # a test's own queue in between


def attributes(queue: SqsQueue) -> dict[Any, str]:
    return queue._client.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["All"])[
        "Attributes"
    ]


def left(queue: SqsQueue) -> int:
    found = attributes(queue)
    visible, hidden = "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"
    return int(found[visible]) + int(found[hidden])


def until(holds: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "did not come true in time"
        time.sleep(0.02)


def drain(reader: Consumer, queue: SqsQueue) -> None:
    def step() -> bool:
        reader.step(wait_s=1)
        return left(queue) == 0

    until(step)


@contextmanager
def running(body: Callable[[threading.Event], None]) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=body, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=90)
        assert not thread.is_alive()


def test_nine_of_ten_are_taken_and_the_tenth_is_a_dead_letter(
    queues: Queues, now: datetime
) -> None:
    queues.send(*[event(now) for _ in range(4)], "{broken", *[event(now) for _ in range(5)])
    assert consumer(queues, now).step() == 10
    assert Prediction.objects.count() == 9
    assert DeadLetter.objects.get().code == "not_json"
    assert left(queues.main) == 0
    [dead] = queues.dead.receive(wait_s=0)
    assert dead.body == "{broken"


def test_a_message_given_out_again_changes_nothing(queues: Queues, now: datetime) -> None:
    sent = event(now, score=0.1)
    queues.send(sent, sent)
    drain(consumer(queues, now), queues.main)
    assert (Prediction.objects.count(), Capture.objects.count()) == (1, 1)
    assert Disposition.objects.count() == 1
    assert not DeadLetter.objects.exists()


def test_poison_given_out_twice_at_once_is_one_dead_letter(queues: Queues, now: datetime) -> None:
    queues.send("{broken")
    [first] = queues.main.receive(wait_s=1)
    queues.main._client.change_message_visibility(
        QueueUrl=queues.main.url, ReceiptHandle=first.receipt, VisibilityTimeout=0
    )
    [second] = queues.main.receive(wait_s=1)
    assert len(consumer(queues, now).take([first, second])) == 1
    assert DeadLetter.objects.count() == 1
    assert left(queues.main) == 0
    assert left(queues.dead) == 1


def test_a_batch_that_does_not_commit_stays_in_the_queue(
    queues: Queues, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues.send(event(now))
    with monkeypatch.context() as patch:
        patch.setattr("inference_bridge.dead_letters.keep", _refuse)
        with pytest.raises(OperationalError):
            consumer(queues, now).step()
    assert left(queues.main) == 1
    assert not Prediction.objects.exists()
    drain(consumer(queues, now), queues.main)
    assert Prediction.objects.count() == 1


def _refuse(**_arguments: object) -> None:
    raise OperationalError("the server closed the connection")


@pytest.mark.django_db(transaction=True)
def test_the_commit_comes_before_the_delete(queues: Queues, now: datetime) -> None:
    seen: list[int] = []

    class Watched(SqsQueue):
        def delete(self, receipts: Sequence[str]) -> list[NotDeleted]:
            thread = threading.Thread(target=self._look)
            thread.start()
            thread.join()
            return super().delete(receipts)

        def _look(self) -> None:
            # Another connection sees only what is committed.
            seen.append(Prediction.objects.count())
            connection.close()

    queues.send(event(now))
    watched = Watched(queues.main._client, queues.main.url)
    consumer(queues, now, queue=watched).step()
    assert seen == [1]


def test_an_entry_that_is_not_deleted_is_tried_again(queues: Queues, now: datetime) -> None:
    class Forgetful(SqsQueue):
        calls = 0

        def delete(self, receipts: Sequence[str]) -> list[NotDeleted]:
            self.calls += 1
            if self.calls > 1:
                return super().delete(receipts)
            failed = super().delete(receipts[1:])
            return [*failed, NotDeleted(receipts[0], "InternalError", is_final=False)]

    queues.send(event(now), event(now), event(now))
    forgetful = Forgetful(queues.main._client, queues.main.url)
    consumer(queues, now, queue=forgetful).step()
    assert forgetful.calls == 2
    assert left(queues.main) == 0


def test_a_delete_batch_tells_which_entry_failed(queues: Queues, now: datetime) -> None:
    queues.send(event(now))
    [message] = queues.main.receive(wait_s=1)
    failed = queues.main.delete([message.receipt, "no-such-receipt"])
    assert [entry.receipt for entry in failed] == ["no-such-receipt"]
    assert failed[0].is_final


def test_poison_stays_until_it_is_in_the_dead_letter_queue(queues: Queues, now: datetime) -> None:
    gone = SqsQueue(queues.dead._client, queues.dead.url + "-gone")
    queues.send("{broken")
    consumer(queues, now, dead=gone).step()
    assert left(queues.main) == 1
    drain(consumer(queues, now), queues.main)
    assert DeadLetter.objects.count() == 1
    assert left(queues.dead) == 1


# --- sidecars ---


def test_an_s3_notification_brings_its_sidecar(
    queues: Queues, now: datetime, settings: Settings, tmp_path: Path
) -> None:
    settings.LOUPE = settings.LOUPE.model_copy(update={"state": tmp_path})
    for number in (1, 2):
        key = f"st 1/ü-{number}.prediction.json"
        object_store.store("loupe-images").put(key, json.dumps(event(now)).encode())
    queues.send(
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "loupe-images"},
        messages.s3("loupe-images", "st+1%2F%C3%BC-1.prediction.json"),
        messages.sns(messages.s3_by_eventbridge("loupe-images", "st 1/ü-2.prediction.json")),
    )
    drain(consumer(queues, now), queues.main)
    assert Prediction.objects.count() == 2
    assert not DeadLetter.objects.exists()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("object_missing", messages.s3("loupe-images", "gone.prediction.json")),
        ("bucket_not_allowed", messages.s3("other", "a.prediction.json")),
        ("not_a_sidecar", messages.s3("loupe-images", "a.jpg")),
    ],
)
def test_a_sidecar_that_cannot_be_had_is_refused(
    queues: Queues, now: datetime, code: str, message: dict[str, object]
) -> None:
    queues.send(message)
    consumer(queues, now).step()
    assert DeadLetter.objects.get().code == code


def test_a_sidecar_of_any_size_is_not_read(
    queues: Queues, now: datetime, settings: Settings, tmp_path: Path
) -> None:
    settings.LOUPE = settings.LOUPE.model_copy(update={"state": tmp_path})
    object_store.store("loupe-images").put("a.prediction.json", b" " * (2**20 + 1))
    queues.send(messages.s3("loupe-images", "a.prediction.json"))
    consumer(queues, now).step()
    assert DeadLetter.objects.get().code == "too_large"


def test_a_store_that_is_away_leaves_the_message(queues: Queues, now: datetime) -> None:
    def away(_address: object) -> bytes:
        raise StoreUnavailable("loupe-images", "no answer")

    queues.send(messages.s3("loupe-images", "a.prediction.json"), event(now))
    outcomes = consumer(queues, now, fetch=away).take(queues.main.receive(wait_s=1))
    assert sorted(o.status.value for o in outcomes) == ["not_now", "taken"]
    assert left(queues.main) == 1
    assert not DeadLetter.objects.exists()


def test_a_message_outlives_a_store_that_is_away_for_hours(queues: Queues, now: datetime) -> None:
    def away(_address: object) -> bytes:
        raise StoreUnavailable("loupe-images", "no answer")

    client = queues.main._client
    # However long it takes to put each off: none comes back by itself meanwhile.
    client.set_queue_attributes(QueueUrl=queues.main.url, Attributes={"VisibilityTimeout": "900"})
    queues.send(messages.s3("loupe-images", "a.prediction.json"))
    reader = consumer(queues, now, fetch=away)
    for _time in range(20):
        [message] = queues.main.receive(wait_s=1)
        reader.take([message])
        # It rests; here it is wanted at once.
        assert not queues.main.receive(wait_s=0)
        client.change_message_visibility(
            QueueUrl=queues.main.url, ReceiptHandle=message.receipt, VisibilityTimeout=0
        )
    [message] = queues.main.receive(wait_s=1)
    assert message.receives > 20
    assert not queues.dead.receive(wait_s=0)

    body = json.dumps(event(now)).encode()
    consumer(queues, now, fetch=lambda _address: body).take([message])
    assert Prediction.objects.count() == 1
    assert left(queues.main) == 0


def test_what_waits_comes_back_later_and_later() -> None:
    assert [sqs.postponed_s(n) for n in (1, 2, 15, 99)] == [60, 120, 900, 900]
    tried_for = sum(sqs.postponed_s(n) for n in range(1, sqs.MOST_RECEIVES))
    assert tried_for > 20 * 3600


def test_a_queue_that_cannot_postpone_harms_nothing(queues: Queues, now: datetime) -> None:
    def away(_address: object) -> bytes:
        raise StoreUnavailable("loupe-images", "no answer")

    gone = SqsQueue(queues.main._client, queues.main.url + "-gone")
    queues.send(messages.s3("loupe-images", "a.prediction.json"))
    received = queues.main.receive(wait_s=1)
    [outcome] = consumer(queues, now, queue=gone, fetch=away).take(received)
    assert outcome.status is Status.NOT_NOW


# --- the loop ---


@pytest.mark.django_db(transaction=True)
def test_the_hosted_loop_takes_what_is_sent_and_stops_when_told(
    queues: Queues, now: datetime, settings: Settings
) -> None:
    _use(settings, queues)
    with running(run):
        queues.send(event(datetime.now(UTC)))
        until(lambda: ReviewTask.objects.count() == 1)
    assert left(queues.main) == 0


@pytest.mark.django_db(transaction=True)
def test_the_loop_holds_a_batch_while_the_database_is_away(
    queues: Queues, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []
    plain = intake.take

    def take(**arguments: object) -> object:
        tries.append(1)
        if len(tries) < 3:
            raise OperationalError("the server closed the connection")
        return plain(**arguments)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(intake, "take", take)
    queues.send(event(now))
    with running(consumer(queues, now).run):
        until(lambda: left(queues.main) == 0)
    assert len(tries) == 3
    assert Prediction.objects.count() == 1


def test_the_loop_outlives_a_queue_that_does_not_answer(now: datetime) -> None:
    class Deaf:
        asked = 0

        def receive(self, *, wait_s: int) -> list[Received]:
            self.asked += 1
            raise QueueMissing("gone")

    deaf = Deaf()
    with running(Consumer(deaf, deaf, clock=lambda: now).run):  # type: ignore[arg-type]  # only read
        until(lambda: deaf.asked >= 2)


def test_nothing_is_received_while_the_database_is_away(
    now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    class Counting:
        asked = 0

        def receive(self, *, wait_s: int) -> list[Received]:
            self.asked += 1
            return []

    def away(_self: object) -> None:
        tries.append(queue.asked)
        if len(tries) < 3:
            raise OperationalError("the server does not answer")

    queue = Counting()
    monkeypatch.setattr(BaseDatabaseWrapper, "ensure_connection", away)
    with running(Consumer(queue, queue, clock=lambda: now).run):  # type: ignore[arg-type]  # only read
        until(lambda: queue.asked > 0)
    assert tries[:3] == [0, 0, 0]


def test_a_reader_outlives_a_fault(now: datetime) -> None:
    class Broken:
        asked = 0

        def receive(self, *, wait_s: int) -> list[Received]:
            self.asked += 1
            raise RuntimeError("nobody thought of this")

    broken = Broken()
    with running(Consumer(broken, broken, clock=lambda: now).run):  # type: ignore[arg-type]  # only read
        until(lambda: broken.asked >= 2)


_CONSUMER = """
import os, sys, threading
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.test"
import django; django.setup()
from datetime import datetime
from inference_bridge import intake
from inference_bridge.consumer import Consumer
from inference_bridge.gateways.sqs import client, find_queue
reach = client(endpoint=sys.argv[1], region="eu-central-1")
at = datetime.fromisoformat(sys.argv[4])
whole, taken = intake.take, []
def take(**given):
    # Whoever kills it may be late: it never comes to the end of what there is.
    if sum(taken) > 80:
        threading.Event().wait()
    taken.append(len(given["messages"]))
    return whole(**given)
intake.take = take
Consumer(find_queue(reach, sys.argv[2]), find_queue(reach, sys.argv[3]), clock=lambda: at).run(
    threading.Event()
)
"""


@pytest.mark.django_db(transaction=True)
def test_a_consumer_killed_in_the_middle_loses_and_doubles_nothing(
    queues: Queues, now: datetime
) -> None:
    sent = [event(now, score=score) for _ in range(40) for score in (0.1, 0.5, 0.95)]
    queues.send(*sent)
    database = connection.settings_dict
    environment = {
        **os.environ,
        "DATABASE_URL": f"postgresql://{database['USER']}:{database['PASSWORD']}@"
        f"{database['HOST']}:{database['PORT']}/{database['NAME']}",
        "LOUPE_CELERY_BROKER_URL": "memory://",
    }
    command = [sys.executable, "-c", _CONSUMER, queues.endpoint, *queues.names, now.isoformat()]
    with subprocess.Popen(command, env=environment, cwd=settings.BASE_DIR) as process:
        until(lambda: Prediction.objects.count() > 10)
        process.send_signal(signal.SIGKILL)
    assert Prediction.objects.count() < len(sent)
    _forget_dead_sessions()
    drain(consumer(queues, now), queues.main)

    assert Prediction.objects.count() == Capture.objects.count() == len(sent)
    assert Disposition.objects.count() == 80
    assert ReviewTask.objects.count() == 80
    assert not DeadLetter.objects.exists()


def _forget_dead_sessions() -> None:
    """The server notices a killed client when it next talks to it; until then locks may stay."""

    def alone() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND state <> 'idle'"
            )
            return bool(cursor.fetchone()[0] == 0)

    until(alone)


# --- set-up and alerts ---


def _use(settings: Settings, queues: Queues) -> None:
    settings.LOUPE = settings.LOUPE.model_copy(
        update={
            "aws_endpoint_url": queues.endpoint,
            "prediction_queue": queues.names[0],
            "dead_letter_queue": queues.names[1],
            "alert_topic": f"alerts-{queues.names[0]}",
        }
    )


def test_preparing_twice_makes_queues_with_their_limits_once(
    endpoint: str, settings: Settings
) -> None:
    names = {"prediction_queue": "prepared", "dead_letter_queue": "prepared-dead"}
    settings.LOUPE = settings.LOUPE.model_copy(
        update={**names, "aws_endpoint_url": endpoint, "alert_topic": "prepared-alerts"}
    )
    for _time in range(2):
        call_command("prepare", stdout=io.StringIO())
    client = boto3.client("sqs", endpoint_url=endpoint, region_name=REGION)
    found = attributes(find_queue(client, "prepared"))
    assert json.loads(found["RedrivePolicy"])["maxReceiveCount"] in (100, "100")
    assert json.loads(found["RedrivePolicy"])["deadLetterTargetArn"].endswith(":prepared-dead")
    assert (found["VisibilityTimeout"], found["MessageRetentionPeriod"]) == ("120", "1209600")


def test_preparing_says_when_sqs_does_not_answer(settings: Settings) -> None:
    settings.LOUPE = settings.LOUPE.model_copy(update={"aws_endpoint_url": "http://127.0.0.1:9"})
    with pytest.raises(CommandError, match=r"127\.0\.0\.1:9"):
        call_command("prepare")


def test_alerts_are_published_once_the_topic_answers(
    queues: Queues, now: datetime, settings: Settings
) -> None:
    _use(settings, queues)
    consumer(queues, now).take([_received(event(now, score=0.95))])
    down = sns.SnsTopic(sns.client(endpoint="http://127.0.0.1:9", region=REGION), "arn:x")
    assert alerts.publish(topic=down, at=now) == 0
    subscribed = _subscribe(queues)
    tasks.publish_alerts()
    tasks.publish_alerts()

    alert = Alert.objects.get()
    assert alert.published_at is not None
    [message] = subscribed.receive(wait_s=1)
    told = json.loads(json.loads(message.body)["Message"])
    assert (told["id"], told["site"], told["kind"]) == (str(alert.uuid), "plant-1", "CONTAIN")


def _received(body: object) -> Received:
    return Received("m-1", messages.text(body), "no-receipt")


def _subscribe(queues: Queues) -> SqsQueue:
    client = sns.client(endpoint=queues.endpoint, region=REGION)
    topic = sns.ensure_topic(client, f"alerts-{queues.names[0]}")
    arn = attributes(queues.dead)["QueueArn"]
    client.subscribe(TopicArn=topic.arn, Protocol="sqs", Endpoint=arn)
    return queues.dead


def test_a_repetition_is_acknowledged(queues: Queues, now: datetime) -> None:
    sent = event(now)
    queues.send(sent)
    reader = consumer(queues, now)
    reader.step()
    queues.send(sent)
    [outcome] = reader.take(queues.main.receive(wait_s=1))
    assert outcome.status is Status.REPEATED
    assert left(queues.main) == 0
