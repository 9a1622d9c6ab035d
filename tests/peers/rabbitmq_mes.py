"""An MES that reads its dispositions from a real RabbitMQ and acknowledges through it."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from proton import Delivery, Event, Message, Sender

from mes_integration.adapters.cfx_connection import AmqpConnection, Gone, Place
from tests.mes_integration.cfx_broker import Publication
from tests.mes_integration.contract.peer import wait_until
from tests.mes_integration.contract.peers_cfx import ACKS, DISPOSITIONS, CfxPeer
from tests.peers.rabbitmq import SECRET, USER, RabbitMq


@dataclass
class Read:
    """A message from the queue; a refusal is an acknowledgement of its own, as an MES gives it."""

    body: bytes
    _delivery: Delivery
    _refuse: Callable[[bytes, str], None]
    _tag: int

    def settle(self, state: Any, *, reason: str = "") -> None:
        if state == Delivery.REJECTED:
            self._refuse(self.body, reason)
        self._delivery.update(Delivery.ACCEPTED)
        self._delivery.settle()


class Reader:
    """In the place of the tests' own broker: reads from RabbitMQ while it is up."""

    user, secret = USER, SECRET

    def __init__(self, rabbit: RabbitMq) -> None:
        self.url = rabbit.url
        self.on_publish: Callable[[Publication], None] = lambda p: p.settle(Delivery.ACCEPTED)
        self.refuses: Callable[[bytes, str], None] = lambda body, reason: None
        self._place = Place(rabbit.url, USER, SECRET)
        self._puts: deque[bytes] = deque()
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None
        self._connection: AmqpConnection | None = None
        self._sender: Sender | None = None

    def up(self) -> None:
        if self._thread is not None:
            return
        self._stop.clear()
        self._ready.clear()
        self._thread = threading.Thread(target=self._run, name="cfx-mes")
        self._thread.start()
        wait_until(self._ready.is_set, what="the MES does not get to its queue")

    def down(self) -> None:
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._thread = None

    close = down

    def put(self, queue: str, data: bytes) -> None:
        assert queue == ACKS
        self._puts.append(data)
        if self._connection is not None:
            self._connection.wake()

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._later, (time.monotonic() + seconds, next(self._numbers), act))

    def _run(self) -> None:
        connection = AmqpConnection(
            self._place, container="MES.Server.1", idle_s=30, connect_s=5, on_event=self._hear
        )
        self._connection = connection
        self._sender = connection.sender(ACKS)
        connection.receiver(DISPOSITIONS, credit=200)
        with contextlib.suppress(Gone):
            while not self._stop.is_set():
                connection.turn(longest_s=0.05)
                self._work(self._sender)
        connection.close()
        self._connection = None

    def _work(self, sender: Sender) -> None:
        if sender.credit:
            self._ready.set()
        while self._later and self._later[0][0] <= time.monotonic():
            heapq.heappop(self._later)[2]()
        while self._puts and sender.credit:
            sender.delivery(str(next(self._numbers)))
            sender.stream(self._puts.popleft())
            sender.advance()

    def _hear(self, event: Event) -> None:
        delivery = event.delivery if event.type is Event.DELIVERY else None
        if delivery is None or not delivery.link.is_receiver:
            if delivery is not None and delivery.remote_state:
                delivery.settle()
            return
        if not delivery.readable or delivery.partial:
            return
        message = Message()
        message.decode(delivery.link.recv(delivery.pending) or b"")
        delivery.link.advance()
        delivery.link.flow(1)
        body: Any = message.body
        self.on_publish(Read(bytes(body), delivery, self.refuses, next(self._numbers)))


class RabbitCfxPeer(CfxPeer):
    """The contract's MES with RabbitMQ in between; what it does not take the broker keeps."""

    kind = "cfx-rabbitmq"
    cannot: ClassVar[Mapping[str, str]] = CfxPeer.cannot

    def __init__(self, rabbit: RabbitMq) -> None:
        super().__init__()
        self.broker.close()
        self.reader = Reader(rabbit)
        self.reader.on_publish = self._published
        self.reader.refuses = self._refuse
        self.broker = self.reader  # type: ignore[assignment]  # has what the peer uses of it

    def _refuse(self, body: bytes, reason: str) -> None:
        self._say(disposition_id=self.key_of(body), state="rejected", reason=reason)
