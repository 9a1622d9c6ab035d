"""Reads predictions from SQS: receive, take, commit, and only then delete."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from django.conf import settings
from django.db import Error, close_old_connections, connection
from django.utils import timezone

from governance.access import Actor, system
from inference_bridge import intake
from inference_bridge.gateways import sqs
from inference_bridge.gateways.sqs import Queue, QueueUnavailable, Received
from inference_bridge.intake import Incoming, Outcome, Status

log = logging.getLogger(__name__)

# Long polls are cut into slices, so that a stop is noticed.
SLICE_S: Final = 2
LONGEST_REST_S: Final = 15.0
DELETE_TRIES: Final = 3
READERS: Final = 2
# A batch that could not be taken is tried again while nobody else can have it yet.
HOLD_ON_S: Final = sqs.VISIBILITY_S * 0.6


class Consumer:
    """One reader of the queue. Safe beside others: a message given out twice is taken once."""

    def __init__(
        self,
        queue: Queue,
        dead: Queue,
        *,
        clock: Callable[[], datetime] = timezone.now,
        fetch: intake.Fetch = intake.fetch_sidecar,
    ) -> None:
        self._queue = queue
        self._dead = dead
        self._clock = clock
        self._fetch = fetch
        self._actor: Actor = system("consumer")

    def run(self, stop: threading.Event) -> None:
        """Read until told to stop; whatever fails is said and waited for."""
        rest = Rest(stop)
        while not stop.is_set():
            try:
                self._turn(stop, rest)
            except Exception:
                # A reader that ends with a fault would leave its queue unread without a word.
                log.exception("a reader of the prediction queue met a fault")
                rest.take("the prediction queue is read again after a fault")
        connection.close()

    def _turn(self, stop: threading.Event, rest: Rest) -> None:
        """Receive once and take what came, unless something outside is away."""
        try:
            # First: the queue gives a message out a few times only, and none may be spent while
            # nothing can be written.
            close_old_connections()
            connection.ensure_connection()
        except Error as reason:
            connection.close()
            rest.take(f"the database does not answer: {reason}")
            return
        try:
            received = self._queue.receive(wait_s=SLICE_S)
        except QueueUnavailable as reason:
            rest.take(f"the prediction queue cannot be read: {reason}")
            return
        if received:
            self._take_patiently(received, stop, rest)
        rest.over()

    def step(self, *, wait_s: int = 0) -> int:
        """Receive once and take what came; returns how many messages that were."""
        received = self._queue.receive(wait_s=wait_s)
        if received:
            self.take(received)
        return len(received)

    def take(self, received: Sequence[Received]) -> list[Outcome]:
        """Commit a batch, then delete it. A message that was not taken stays in the queue."""
        # A standard queue may give the same message out twice, also at once.
        once = {m.message_id: Incoming(message_id=m.message_id, body=m.body) for m in received}
        outcomes = intake.take(
            actor=self._actor,
            messages=list(once.values()),
            at=self._clock(),
            fetch=self._fetch,
        )
        self._acknowledge(received, outcomes)
        return outcomes

    def _take_patiently(
        self, received: Sequence[Received], stop: threading.Event, rest: Rest
    ) -> None:
        """Hold a batch while the database is away; give it back to the queue after a while."""
        until = time.monotonic() + HOLD_ON_S
        while not stop.is_set() and time.monotonic() < until:
            try:
                self.take(received)
            except Error as reason:
                connection.close()
                rest.take(f"the database cannot be written: {reason}")
            else:
                return

    def _acknowledge(self, received: Sequence[Received], outcomes: Sequence[Outcome]) -> None:
        by_message: dict[str, list[Outcome]] = defaultdict(list)
        for outcome in outcomes:
            by_message[outcome.message_id].append(outcome)
        done, waiting = [], []
        put_away: dict[str, bool] = {}
        for message in received:
            fates = by_message[message.message_id]
            if any(fate.status is Status.NOT_NOW for fate in fates):
                log.warning("message %s waits: %s", message.message_id, fates[0].sentence)
                waiting.append(message)
                continue
            refused = next((fate for fate in fates if fate.status is Status.REFUSED), None)
            if message.message_id not in put_away:
                put_away[message.message_id] = refused is None or self._bury(message, refused)
            if put_away[message.message_id]:
                done.append(message.receipt)
        self._delete(done)
        if waiting:
            self._postpone(waiting)

    def _bury(self, message: Received, refused: Outcome) -> bool:
        """Put a poison message into the dead-letter queue; its row is committed already."""
        log.warning(
            "message %s refused (%s): %s", message.message_id, refused.code, refused.sentence
        )
        try:
            self._dead.send(message.body, note=refused.code)
        except QueueUnavailable as reason:
            log.warning("message %s stays in the queue: %s", message.message_id, reason)
            return False
        return True

    def _postpone(self, waiting: Sequence[Received]) -> None:
        """Offer again later what waits for something outside; few tries are spent meanwhile."""
        try:
            self._queue.postpone(waiting)
        except QueueUnavailable as reason:
            log.warning("%d messages come back on their own: %s", len(waiting), reason)

    def _delete(self, receipts: Sequence[str]) -> None:
        """Delete, again where an entry failed; what is left comes back and changes nothing."""
        left = list(receipts)
        for _try in range(DELETE_TRIES):
            if not left:
                return
            try:
                failed = self._queue.delete(left)
            except QueueUnavailable as reason:
                log.warning("%d messages are not deleted yet: %s", len(left), reason)
                continue
            for entry in failed:
                log.warning("a message is not deleted: %s", entry.reason)
            left = [entry.receipt for entry in failed if not entry.is_final]


class Rest:
    """Longer and longer pauses while something outside is away; says so once each time."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._seconds = 0.0

    def take(self, why: str) -> None:
        """Wait, or return at once when told to stop."""
        self._seconds = min(LONGEST_REST_S, self._seconds * 2 or 0.5)
        log.warning("%s; next try in %.1f s", why, self._seconds)
        self._stop.wait(self._seconds)

    def over(self) -> None:
        """It works again."""
        self._seconds = 0.0


def run(stop: threading.Event) -> None:
    """What the worker hosts: read the configured queue until told to stop."""
    environment = settings.LOUPE
    if not environment.prediction_queue:
        log.info("no prediction queue is set; predictions come by the API alone")
        return
    client = sqs.client(endpoint=environment.aws_endpoint_url, region=environment.aws_region)
    rest = Rest(stop)
    while not stop.is_set():
        try:
            queue = sqs.find_queue(client, environment.prediction_queue)
            dead = sqs.find_queue(client, environment.dead_letter_queue)
        except QueueUnavailable as reason:
            rest.take(str(reason))
            continue
        read_together(queue, dead, stop)


def read_together(queue: Queue, dead: Queue, stop: threading.Event) -> None:
    """READERS consumers until told to stop: one's wait for SQS is another's time to write."""
    readers = [
        threading.Thread(target=Consumer(queue, dead).run, args=(stop,), name=f"consumer-{number}")
        for number in range(1, READERS)
    ]
    for reader in readers:
        reader.start()
    Consumer(queue, dead).run(stop)
    for reader in readers:
        reader.join()
