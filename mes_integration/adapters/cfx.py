"""Dispositions as IPC-CFX over AMQP 1.0, and the acknowledgements CFX itself has none of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from django.utils.translation import gettext as _
from proton import Message as AmqpMessage
from proton import symbol
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mes_integration import document_faults
from mes_integration.adapters import cfx_answers, cfx_envelopes
from mes_integration.adapters.cfx_connection import Place
from mes_integration.adapters.cfx_desk import Desk, Request
from mes_integration.adapters.cfx_envelopes import Unsayable, Wire
from mes_integration.adapters.cfx_link import BrokerLink
from mes_integration.adapters.cfx_messages import (
    EndpointConnected,
    Envelope,
    Heartbeat,
    SaidBody,
)
from mes_integration.adapters.cfx_parcels import Arrival, Fate, Settled
from mes_integration.adapters.protocol import (
    Answer,
    Applied,
    Handed,
    MesAdapter,
    Message,
    Refused,
    TryLater,
    Uncertain,
)
from mes_integration.targets import Target
from traceability.refusals import Invalid

CONTENT_TYPE: Final = 'application/json; charset="utf-8"'
A_DAY_S: Final = 86400.0


class Options(BaseModel):
    """What the settings say of a CFX target in `options`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str = Field(min_length=1, description="Where messages are published.")
    handle: str = Field(
        default="",
        pattern=r"^(|[^.\s]+\.[^.\s]+\.[^.\s]+)$",
        description="Vendor.Model.Serial of this endpoint.",
    )
    ack_queue: str | None = Field(default=None, description="Where acknowledgements are read.")
    request_queue: str | None = Field(default=None, description="Where requests are read.")
    answer_address: str = Field(
        default="{reply_to}", description="Where an answer goes, made of the asker's reply-to."
    )
    ends_at_mes: bool = Field(
        default=False, description="No broker in between: what is accepted the MES has applied."
    )
    presence: bool = Field(default=True, description="Send EndpointConnected and Heartbeat.")
    heartbeat_s: int = Field(default=60, ge=1, le=300)
    idle_s: float = Field(default=30, ge=1, le=300, description="Silence after which it is dead.")
    ca_file: str | None = None
    certificate: str | None = None
    key: str | None = None


class CfxMes:
    """An MES behind a broker's queue, or at the other end of the link itself."""

    def __init__(self, target: Target, options: Options) -> None:
        self._target, self._options = target, options
        self._handle = options.handle or f"Loupe.Disposition.{target.name}"
        queues = {q for q in (options.ack_queue, options.request_queue) if q}
        self._desk = (
            Desk(
                target=target.name,
                ack_queue=options.ack_queue,
                answer=self._answer,
                settle=self._settle,
            )
            if queues
            else None
        )
        self._link = BrokerLink(
            Place(
                target.url,
                target.user,
                target.secret,
                options.ca_file,
                options.certificate,
                options.key,
            ),
            # Each process has its own: to a broker two of one name are one that came twice.
            name=f"{self._handle}-{uuid4().hex[:8]}",
            address=options.address,
            queues=tuple(sorted(queues)),
            idle_s=options.idle_s,
            on_arrival=self._arrived,
            greeting=self._greeting,
            pulse=self._pulse,
            pulse_s=options.heartbeat_s,
        )
        self._link.start()

    def close(self) -> None:
        """Say goodbye to the broker; what is not taken by now it keeps."""
        if self._desk is not None:
            self._desk.close()
        self._link.close()

    def post(self, message: Message) -> Answer:
        """Send every message it comes to, each one after the broker has taken the one before.

        So a part is never there without what goes before it, and a repetition carries the same ids.
        """
        try:
            wire = cfx_envelopes.wire_of(message.profile.wire)
            envelopes = cfx_envelopes.envelopes_of(message.key, message.body, handle=self._handle)
        except Unsayable as unsayable:
            return Refused(None, unsayable.sentence)
        for number, envelope in enumerate(envelopes):
            settled = self._link.send(encoded(envelope), timeout_s=self._target.timeout_s)
            if settled.fate is not Fate.ACCEPTED:
                return _not_taken(settled, envelope, is_first=number == 0)
        return self._taken(message.key, wire)

    def read_back(self, message: Message) -> Answer | None:
        """CFX has no way to ask. Without an acknowledgement to wait for, only a person can tell."""
        try:
            wire = cfx_envelopes.wire_of(message.profile.wire)
        except Unsayable as unsayable:
            return Uncertain(unsayable.sentence)
        if self._options.ack_queue or wire.settled_is_applied or self._options.ends_at_mes:
            return None
        return self._handed(wire)

    def _taken(self, key: str, wire: Wire) -> Answer:
        if self._options.ends_at_mes or wire.settled_is_applied:
            return Applied(key)
        return self._handed(wire)

    def _handed(self, wire: Wire) -> Handed:
        if self._options.ack_queue:
            return Handed(_("The broker has it; the acknowledgement of the MES is awaited."))
        return Handed(
            _(
                "The broker has it, and nothing will acknowledge it. Set “ack_queue” in the "
                "target's options, or settle it by hand."
            ),
            again_s=A_DAY_S,
        )

    # What the connection's thread and the desk call.

    def _arrived(self, arrival: Arrival) -> None:
        if self._desk is not None:
            self._desk.put(arrival)

    def _settle(self, arrival: Arrival, taken: bool | None) -> None:  # noqa: FBT001  # a callback
        self._link.settle(arrival, taken=taken)

    def _answer(self, request: Request) -> None:
        asked = request.envelope
        body = cfx_answers.answer_to(
            asked,
            target=self._target.name,
            handle=self._handle,
            uri=self._target.url,
            queue=self._options.request_queue,
        )
        reply_to = request.reply_to or asked.source or ""
        if body is None or not reply_to:
            return
        answer = self._event(body, target=asked.source, request_id=asked.request_id)
        address = self._options.answer_address.replace("{reply_to}", reply_to)
        self._link.reply(address, encoded(answer))

    def _greeting(self) -> bytes | None:
        if not self._options.presence:
            return None
        me = EndpointConnected(
            cfx_handle=self._handle,
            request_network_uri=self._target.url,
            request_target_address=self._options.request_queue,
        )
        return encoded(self._event(me))

    def _pulse(self) -> bytes | None:
        if not self._options.presence:
            return None
        minutes, seconds = divmod(self._options.heartbeat_s, 60)
        often = f"00:{minutes:02d}:{seconds:02d}"
        return encoded(self._event(Heartbeat(cfx_handle=self._handle, heartbeat_frequency=often)))

    def _event(
        self, body: SaidBody, *, target: str | None = None, request_id: str | None = None
    ) -> Envelope:
        """An envelope of now, for what is not sent twice."""
        return Envelope(
            unique_id=uuid4(),
            time_stamp=datetime.now(UTC),
            source=self._handle,
            target=target,
            request_id=request_id,
            message_body=body,
        )


class Misconfigured:
    """Stands in for a target whose settings cannot be used, and says so on every row."""

    def __init__(self, sentence: str) -> None:
        self._sentence = sentence

    def post(self, _message: Message) -> Answer:
        """Nothing is sent."""
        return TryLater(self._sentence)

    def read_back(self, _message: Message) -> Answer | None:
        """Nothing is asked."""
        return TryLater(self._sentence)

    def close(self) -> None:
        """Nothing is open."""


def encoded(envelope: Envelope) -> bytes:
    """The AMQP message of an envelope: the same bytes for the same envelope."""
    source, name = envelope.source, envelope.message_name
    message = AmqpMessage(
        body=json.dumps(envelope.as_json(), ensure_ascii=False, separators=(",", ":")).encode(),
        inferred=True,
        durable=True,
        properties={
            "cfx-topic": envelope.topic,
            "cfx-message": name,
            "cfx-handle": source,
            "cfx-target": envelope.target,
        },
    )
    message.id = str(envelope.unique_id)
    message.subject = f"{source}.{name}"
    message.reply_to = source
    if envelope.target:
        message.address = envelope.target
    message.correlation_id = envelope.request_id
    message.content_type = symbol(CONTENT_TYPE)
    message.creation_time = envelope.time_stamp.timestamp()
    return message.encode()


def _not_taken(settled: Settled, envelope: Envelope, *, is_first: bool) -> Answer:
    name = envelope.message_name.rpartition(".")[2]
    match settled.fate:
        case Fate.REJECTED:
            return Refused(
                None,
                _("The broker refused %(message)s: %(said)s")
                % {"message": name, "said": settled.sentence},
            )
        case Fate.UNKNOWN:
            return Uncertain(settled.sentence)
        case _:
            # With an earlier message there already, it is no longer as if nothing had been sent.
            return TryLater(settled.sentence, may_have_arrived=not is_first)


def fault_of(target: Target) -> str:
    """What is wrong with a target's settings; empty when nothing is."""
    fault = Place(target.url).fault()
    if fault:
        return fault
    try:
        Options.model_validate(_plain(target.options))
    except ValidationError as error:
        return _("The options of the target %(name)s cannot be used. %(faults)s") % {
            "name": target.name,
            "faults": document_faults.said(error, under="options"),
        }
    return ""


def check_wire(wire: Mapping[str, Any]) -> None:
    """Invalid names each place that is wrong."""
    try:
        cfx_envelopes.wire_of(wire)
    except Unsayable as unsayable:
        raise Invalid(unsayable.sentence) from unsayable


def open_target(target: Target) -> MesAdapter:
    """The adapter of a target in the settings."""
    fault = fault_of(target)
    if fault:
        return Misconfigured(fault)
    return CfxMes(target, Options.model_validate(_plain(target.options)))


def _plain(given: Mapping[str, Any]) -> dict[str, Any]:
    return dict(given)
