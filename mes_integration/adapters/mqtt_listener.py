"""Takes acknowledgements off the broker, which forgets one only when it is in the database.

Of all workers one listens for a target; the broker keeps what comes while none does.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final, Protocol

from django.db import DatabaseError, InterfaceError, OperationalError, connection, connections
from paho.mqtt.client import MQTTMessage

from mes_integration import database_clock
from mes_integration.adapters.mqtt_connection import (
    TAKEN_OVER,
    Access,
    Connection,
    Unreachable,
    open_connection,
)
from mes_integration.adapters.mqtt_wire import (
    Acknowledgement,
    Unreadable,
    acknowledgement_of,
    all_acknowledgements,
)
from mes_integration.adapters.protocol import Applied
from mes_integration.inbound import Said
from mes_integration.models import WriteBack
from mes_integration.transitions import State, backoff
from traceability.refusals import Refusal

_DATABASE_AWAY: Final = (OperationalError, InterfaceError)
_LONGEST_PAUSE_S: Final = 30.0
_SEAT_PAUSE_S: Final = 5.0
_TAKEN_OVER_PAUSE_S: Final = 60.0
_AT_ONCE: Final = 20
_TOGETHER_S: Final = 0.05
"""Time in which whoever waited for the answer mostly writes it down, which spares doing it here."""
_KEY: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_log = logging.getLogger(__name__)


class Acknowledge(Protocol):
    """Writes a target's word on one key down."""

    def __call__(
        self, *, target: str, key: str, state: Said, reference: str, reason: str, at: datetime
    ) -> bool: ...


Check = Callable[[MQTTMessage], None]
Heard = Callable[[Acknowledgement | Unreadable], None]


class Listener:
    """One thread that listens while it has the seat, and waits for it otherwise."""

    def __init__(
        self,
        *,
        target: str,
        access: Access,
        client: str,
        acknowledge: Acknowledge,
        heard: Heard,
        check: Check,
    ) -> None:
        self._target = target
        self._access = access
        self._client = client
        self._acknowledge = acknowledge
        self._heard = heard
        self._check = check
        self._stop = threading.Event()
        self._listening = threading.Event()
        # None wakes the thread.
        self._inbox: queue.SimpleQueue[MQTTMessage | None] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen from now on; again is harmless."""
        with self._starting:
            if self._stop.is_set() or (self._thread is not None and self._thread.is_alive()):
                return
            self._thread = threading.Thread(target=self._run, name="mqtt-listener", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop; what is not written down stays with the broker."""
        with self._starting:
            self._stop.set()
        self._inbox.put(None)
        if self._thread is not None:
            self._thread.join(timeout=10)

    @property
    def is_listening(self) -> bool:
        """Whether this one has the seat and the broker's ear."""
        return self._listening.is_set()

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            pause = _SEAT_PAUSE_S
            try:
                with seat(f"mqtt {self._target}") as is_ours:
                    if is_ours:
                        pause = self._attend()
                failures = 0
            except (Unreachable, *_DATABASE_AWAY) as error:
                failures += 1
                pause = min(_LONGEST_PAUSE_S, backoff(failures, jitter=0))
                _log.warning("%s: not listening for %.0f s: %s", self._target, pause, error)
            finally:
                self._listening.clear()
                connections.close_all()
            self._stop.wait(pause)

    def _attend(self) -> float:
        """Listen until the connection is lost; seconds until the next try."""
        # What an earlier connection has left comes again on this one.
        inbox = self._inbox = queue.SimpleQueue()
        line = open_connection(
            self._access,
            client_id=self._client,
            heard=inbox.put,
            session_s=self._access.options.session_days * 86400,
        )
        try:
            topic = all_acknowledgements(self._client)
            line.subscribe(topic, qos=1, patience_s=self._access.patience_s)
            self._listening.set()
            while line.is_open and not self._stop.is_set():
                self._take(line, inbox)
        finally:
            line.close()
        return _TAKEN_OVER_PAUSE_S if line.reason == TAKEN_OVER else 1.0

    def _take(self, line: Connection, inbox: queue.SimpleQueue[MQTTMessage | None]) -> None:
        """What has come, each written down before the broker may forget it."""
        messages = _next(inbox)
        found = [(message, self._read(message)) for message in messages]
        held = _held(self._target, [said.key for _message, said in found if said is not None])
        for message, said in found:
            if said is None or held.get(said.key) == said.answer or self._record(said):
                line.acknowledge(message)

    def _read(self, message: MQTTMessage) -> Acknowledgement | None:
        """What it says, told to whoever waits for it; None when it says nothing."""
        try:
            self._check(message)
            found = acknowledgement_of(message.payload, message.properties)
        except Unreadable as unreadable:
            _log.warning("%s: %s (key %r)", self._target, unreadable.sentence, unreadable.key)
            self._heard(unreadable)
            return None
        self._heard(found)
        return found

    def _record(self, found: Acknowledgement) -> bool:
        """Whether the broker may forget it."""
        try:
            self._acknowledge(
                target=self._target,
                key=found.key,
                state=found.state,
                reference=found.reference,
                reason=found.reason,
                at=now(),
            )
        except Refusal as refusal:
            # It would be refused however often it comes; a contradiction is kept for a person.
            _log.warning("%s: acknowledgement of %r: %s", self._target, found.key, refusal)
        except _DATABASE_AWAY:
            raise
        except DatabaseError:
            # A fault of the program: the others go on, this one comes again with a new connection.
            _log.exception("%s: acknowledgement of %r is left", self._target, found.key)
            return False
        return True


def now() -> datetime:
    """When an acknowledgement counts as taken: not for this host's clock to say."""
    return database_clock.read()


def _next(inbox: queue.SimpleQueue[MQTTMessage | None]) -> list[MQTTMessage]:
    """What comes together; waits a while for the first, and a moment for more."""
    found: list[MQTTMessage] = []
    with contextlib.suppress(queue.Empty):
        message = inbox.get(timeout=0.5)
        ends = time.monotonic() + _TOGETHER_S
        while message is not None:
            found.append(message)
            if len(found) == _AT_ONCE:
                break
            message = inbox.get(timeout=max(0.0, ends - time.monotonic()))
    return found


def _held(target: str, keys: list[str]) -> dict[str, Applied]:
    """What the ledger has of these keys already: mostly whoever sent it was faster."""
    valid = [key for key in keys if _KEY.fullmatch(key)]
    if not valid:
        return {}
    rows = WriteBack.objects.filter(target=target, uuid__in=valid, state=State.ACKNOWLEDGED)
    return {str(uuid): Applied(said) for uuid, said in rows.values_list("uuid", "reference")}


@contextmanager
def seat(name: str) -> Iterator[bool]:
    """Whether this thread is the one of its kind; gone with its database connection."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    number = int.from_bytes(digest, signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [number])
        (is_ours,) = cursor.fetchone()
    yield is_ours
