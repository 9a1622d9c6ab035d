"""What one connection to a CFX broker holds, and what becomes of what is sent on it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from django.utils.translation import gettext as _
from proton import Delivery, Receiver, Sender

from mes_integration.adapters.cfx_connection import AmqpConnection, said

FINAL: Final = frozenset(
    {Delivery.ACCEPTED, Delivery.REJECTED, Delivery.RELEASED, Delivery.MODIFIED}
)
"""Nothing follows; "received" is no end."""


class Fate(Enum):
    """What became of bytes that were to be sent."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    # Released or modified: given back, certainly not kept.
    RETURNED = "returned"
    NOT_SENT = "not sent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Settled:
    """A fate, and in words why."""

    fate: Fate
    sentence: str = ""


@dataclass(slots=True)
class Parcel:
    data: bytes
    settled: Settled | None = None
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message from one of the queues that are listened to; its bytes are not decoded yet.

    `generation` tells the connection it came by: on another one there is nothing to settle.
    """

    queue: str
    data: bytes
    tag: str
    generation: int


@dataclass(slots=True)
class Live:
    """What belongs to one connection."""

    connection: AmqpConnection
    sender: Sender
    receivers: dict[str, Receiver]
    generation: int
    under_way: dict[str, Parcel] = field(default_factory=dict)
    arrived: dict[str, Delivery] = field(default_factory=dict)
    reply_links: OrderedDict[str, Sender] = field(default_factory=OrderedDict)
    is_open: bool = False
    next_tag: int = 0

    def tag(self) -> str:
        """A tag that no other delivery of this connection has."""
        self.next_tag += 1
        return str(self.next_tag)


def give(live: Live, link: Sender, data: bytes) -> str:
    """Put a message into the engine; the tag of its delivery."""
    tag = live.tag()
    link.delivery(tag)
    link.stream(data)
    link.advance()
    return tag


def fate_of(delivery: Delivery) -> Settled:
    """What the broker says of a message it was sent."""
    state, condition = delivery.remote_state, delivery.remote.condition
    if state == Delivery.ACCEPTED:
        return Settled(Fate.ACCEPTED)
    if state == Delivery.REJECTED:
        return Settled(Fate.REJECTED, said(condition))
    if state in {Delivery.RELEASED, Delivery.MODIFIED}:
        return Settled(
            Fate.RETURNED,
            _("The broker gave the message back: no queue has room for it, or none gets it."),
        )
    return Settled(Fate.UNKNOWN, _("The broker settled the message without saying how."))


def too_large(size: int, largest: int) -> str:
    """Why a message is not even sent."""
    return _("the message has %(size)s bytes, and it takes %(largest)s at most.") % {
        "size": size,
        "largest": largest,
    }
