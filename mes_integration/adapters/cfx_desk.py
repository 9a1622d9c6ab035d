"""What comes in from the queues of a CFX target: acknowledgements, and requests to be answered.

Read by a thread of its own, because it needs the database. The broker is told that a message is
taken only after what it says is committed; one that nobody can use is rejected, so that the broker
puts it aside and the next one gets its turn.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from django.db import InterfaceError, OperationalError, close_old_connections, connections
from proton import Message, ProtonException
from pydantic import ValidationError

from mes_integration import database_clock, inbound
from mes_integration.adapters import cfx_envelopes
from mes_integration.adapters.cfx_messages import HeardEnvelope, HeardResult
from mes_integration.adapters.cfx_parcels import Arrival
from mes_integration.inbound import Said
from mes_integration.models import WriteBack
from traceability.refusals import Conflict, Invalid, Unknown

LARGEST: Final = 1024 * 1024
_DATABASE_AWAY: Final = (OperationalError, InterfaceError)
_PAUSE_S: Final = 1.0
_log = logging.getLogger(__name__)


class Unusable(Exception):
    """A message that says nothing Loupe can use."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What a peer says became of a disposition."""

    key: str
    state: Said
    reference: str
    reason: str


@dataclass(frozen=True, slots=True)
class Request:
    """A CFX request, and the address its answer goes to."""

    envelope: HeardEnvelope
    reply_to: str


class Desk:
    """Takes what arrives, one after the other, until it is closed."""

    def __init__(
        self,
        *,
        target: str,
        ack_queue: str | None,
        answer: Callable[[Request], None],
        settle: Callable[[Arrival, bool | None], None],
    ) -> None:
        self._target, self._ack_queue = target, ack_queue
        self._answer, self._settle = answer, settle
        self._arrivals: queue.SimpleQueue[Arrival | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread = self._manned()

    def put(self, arrival: Arrival) -> None:
        """From the connection's thread; one that a fault has ended is replaced."""
        self._arrivals.put(arrival)
        if not self._thread.is_alive() and not self._stopping.is_set():
            self._thread = self._manned()

    def _manned(self) -> threading.Thread:
        name = f"cfx-desk-{self._target}"
        thread = threading.Thread(target=self._run, name=name, daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        """What is not taken by now the broker keeps."""
        self._stopping.set()
        self._arrivals.put(None)
        self._thread.join(timeout=5)

    def _run(self) -> None:
        try:
            while (arrival := self._arrivals.get()) is not None:
                taken = self._take(arrival)
                self._settle(arrival, taken)
        finally:
            connections.close_all()

    def _take(self, arrival: Arrival) -> bool | None:
        """True: taken, False: unusable, None: not now."""
        while not self._stopping.is_set():
            try:
                close_old_connections()
                self._read(arrival)
            except _DATABASE_AWAY as error:
                _log.warning("The database does not answer, trying again in a second: %s", error)
                connections.close_all()
                self._stopping.wait(_PAUSE_S)
            except (Unusable, Unknown, Invalid) as error:
                _log.warning("From %s came what cannot be used: %s", arrival.queue, error)
                return False
            else:
                return True
        return None

    def _read(self, arrival: Arrival) -> None:
        for item, reply_to in items_of(arrival.data):
            if arrival.queue == self._ack_queue:
                self._acknowledge(item)
            else:
                self._answer(Request(envelope_of(item), reply_to))

    def _acknowledge(self, item: dict[str, Any]) -> None:
        said = acknowledgement_of(item)
        try:
            self._write(said)
        except Conflict as conflict:
            # It is kept for a person; told again it would say nothing new.
            _log.warning("%s contradicts itself: %s", self._target, conflict)
        except Unknown:
            whole = self._whole_of(said)
            # An earlier message that was taken says nothing of the last; refused, it does.
            if said.state == "rejected":
                self._write(whole)

    def _write(self, said: Acknowledgement) -> None:
        inbound.acknowledge(
            target=self._target,
            key=said.key,
            state=said.state,
            reference=said.reference,
            reason=said.reason,
            at=database_clock.read(),
        )

    def _whole_of(self, said: Acknowledgement) -> Acknowledgement:
        """The same of the disposition whose earlier message it names; Unknown where it is none."""
        keys = cfx_envelopes.keys_of_earlier(said.key)
        row = WriteBack.objects.filter(uuid__in=keys, target=self._target).first()
        if row is None:
            raise Unknown(f"no disposition has the id {said.key}")
        return replace(said, key=str(row.uuid))


def items_of(data: bytes) -> Iterator[tuple[dict[str, Any], str]]:
    """The JSON objects of an AMQP message, and where an answer goes; Unusable where there is none.

    CFX allows one envelope or a list of them, plain or compressed.
    """
    message = Message()
    try:
        message.decode(data)
        value = json.loads(_text(message))
    except (ProtonException, ValueError, RecursionError, zlib.error) as error:
        raise Unusable(f"it cannot be read ({type(error).__name__})") from error
    reply_to = message.reply_to or ""
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, dict):
            raise Unusable("it is no JSON object")
        yield item, reply_to


def _text(message: Message) -> bytes:
    body: object = message.body
    if not isinstance(body, str | bytes | memoryview):
        raise Unusable("it carries no text")
    raw = body.encode() if isinstance(body, str) else bytes(body)
    if str(message.content_encoding or "").lower() != "gzip":
        return raw
    unpacks = zlib.decompressobj(wbits=31)
    text = unpacks.decompress(raw, LARGEST)
    if unpacks.unconsumed_tail:
        raise ValueError
    return text


def acknowledgement_of(item: dict[str, Any]) -> Acknowledgement:
    """Loupe's own form, or a CFX response to one of our messages; Unusable for anything else."""
    if "MessageName" in item:
        return _of_response(item)
    # As over MQTT (status, peer_ref), or as over REST.
    state = item.get("status", item.get("state"))
    if not isinstance(state, str):
        raise Unusable("it has no “status”")
    return Acknowledgement(
        key=_line(item, "disposition_id"),
        state=state,  # type: ignore[arg-type]  # acknowledge() refuses another word
        reference=_line(item, "peer_ref") or _line(item, "reference"),
        reason=_line(item, "reason"),
    )


def _line(item: dict[str, Any], name: str) -> str:
    value = item.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Unusable(f"“{name}” is no text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise Unusable(f"“{name}” holds half a character") from error
    return value


def _of_response(item: dict[str, Any]) -> Acknowledgement:
    """A response has no reference of its own: what it answers is what both sides can look up."""
    envelope = envelope_of(item)
    body = envelope.message_body
    key = envelope.request_id or ""
    try:
        result = HeardResult.model_validate(body.get("Result") or body.get("RequestResult"))
    except ValidationError as error:
        raise Unusable(f"{envelope.message_name} has no result") from error
    if result.result == "Failed":
        reason = result.message or f"{envelope.message_name}: {result.result_code}"
        return Acknowledgement(key, "rejected", "", reason)
    return Acknowledgement(key, "applied", key, "")


def envelope_of(item: dict[str, Any]) -> HeardEnvelope:
    """The item as a CFX envelope; Unusable where it is none."""
    try:
        return HeardEnvelope.model_validate(item)
    except ValidationError as error:
        raise Unusable("it is no CFX envelope") from error
