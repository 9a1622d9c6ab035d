"""A small AMQP 1.0 broker for tests, with the peer's half of every fault in reach.

One thread, on a free port that it keeps over restarts. What is published is given to `on_publish`,
what is put into a queue goes to whoever listens to it, and stays until it is taken.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import select
import socket
import struct
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from proton import Collector, Condition, Connection, Delivery, Endpoint, Event, Message, Transport

from tests.ports import OwnPort

SASL_HEADER = b"AMQP\x03\x01\x00\x00"
REFUSED = b"refused"


class Publication(Protocol):
    """A message as whoever reads it sees it."""

    @property
    def body(self) -> bytes:
        """Its JSON."""
        ...

    def settle(self, state: Any, *, reason: str = "") -> None:
        """ACCEPTED, REJECTED, RELEASED or MODIFIED."""
        ...


@dataclass
class Published:
    """One message that came in, and the ways to answer it; from the broker's thread only."""

    address: str
    data: bytes
    _delivery: Delivery
    session: Session

    @property
    def body(self) -> bytes:
        # A copy: what the engine gives is gone with its message.
        decoded = Message()
        decoded.decode(self.data)
        body: Any = decoded.body
        return bytes(body)

    def settle(self, state: Any, *, reason: str = "") -> None:
        """ACCEPTED, REJECTED, RELEASED or MODIFIED."""
        if self.session.over:
            return
        if reason:
            from_condition(self._delivery, reason)
        self._delivery.update(state)
        self._delivery.settle()

    def detach(self, *, reason: str = "gone") -> None:
        """Close its link instead of an answer."""
        from_condition(self._delivery.link, reason)
        self._delivery.link.close()


def from_condition(endpoint: Any, reason: str) -> None:
    """Give a reason for what is about to be said."""
    from_ = endpoint.local if isinstance(endpoint, Delivery) else endpoint
    from_.condition = Condition("amqp:not-allowed", reason)


@dataclass
class Session:
    """One accepted connection."""

    socket: socket.socket
    broker: Broker
    over: bool = False
    logged_in: bool = False
    before: bytes = b""
    greeted: bool = False
    transport: Transport = field(default_factory=lambda: Transport(Transport.SERVER))
    engine: Connection = field(default_factory=Connection)
    collector: Collector = field(default_factory=Collector)
    out: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    pending: bytes = b""

    def __post_init__(self) -> None:
        self.engine.collect(self.collector)
        self.transport.bind(self.engine)
        if self.broker.max_message_size:
            self.transport.max_frame_size = 65536

    def readable(self) -> None:
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.end()
            return
        if self.before == REFUSED:
            return
        if not self.logged_in:
            data = self._log_in(data)
        while data and not self.over:
            room = self.transport.capacity()
            if room <= 0:
                break
            self.transport.push(data[:room])
            data = data[room:]
            self.tell()

    def _log_in(self, data: bytes) -> bytes:
        """The SASL layer by hand: the engine itself cannot ask for a password."""
        self.before += data
        if not self.greeted and len(self.before) >= 8:
            assert self.before[:8] == SASL_HEADER
            self.before, self.greeted = self.before[8:], True
            offer = b"\x00\x53\x40\xc0\x08\x01\xa3\x05PLAIN"
            self._raw(SASL_HEADER + struct.pack(">IBBH", 8 + len(offer), 2, 1, 0) + offer)
        if len(self.before) < 8 or len(self.before) < struct.unpack(">I", self.before[:4])[0]:
            return b""
        size = struct.unpack(">I", self.before[:4])[0]
        init, rest = self.before[:size], self.before[size:]
        login = f"\0{self.broker.user}\0{self.broker.secret}".encode()
        good = b"\xa0" + bytes([len(login)]) + login in init
        outcome = b"\x00\x53\x44\xc0\x03\x01\x50" + (b"\x00" if good else b"\x01")
        self._raw(struct.pack(">IBBH", 8 + len(outcome), 2, 1, 0) + outcome)
        self.logged_in, self.before = True, b""
        if not good:
            self.before = REFUSED
            self.socket.shutdown(socket.SHUT_WR)
            return b""
        return rest

    def _raw(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self.socket.sendall(data)

    def flush(self) -> None:
        """Write what the engine has to say."""
        while not self.over and self.logged_in and self.before != REFUSED:
            pending = self.transport.pending()
            if pending <= 0:
                if pending < 0:
                    self.end()
                return
            try:
                sent = self.socket.send(self.transport.peek(pending) or b"")
            except BlockingIOError:
                return
            except OSError:
                self.end()
                return
            self.transport.pop(sent)

    def tell(self) -> None:
        while (event := self.collector.peek()) is not None:
            self.heard(event)
            self.collector.pop()

    def heard(self, event: Any) -> None:
        kind = event.type
        if kind is Event.CONNECTION_REMOTE_OPEN:
            self.engine.open()
        elif kind is Event.SESSION_REMOTE_OPEN:
            event.session.open()
        elif kind is Event.LINK_REMOTE_OPEN:
            self._opened(event.link)
        elif kind is Event.LINK_FLOW and event.link.is_sender:
            self.push(event.link)
        elif kind is Event.DELIVERY:
            self._delivered(event.delivery)
        elif kind in {Event.LINK_REMOTE_CLOSE, Event.LINK_REMOTE_DETACH}:
            event.link.close()
        elif kind is Event.CONNECTION_REMOTE_CLOSE:
            self.engine.close()

    def _opened(self, link: Any) -> None:
        link.source.address = link.remote_source.address
        link.target.address = link.remote_target.address
        self.broker.durable[link.name] = bool(
            (link.remote_source if link.is_sender else link.remote_target).durability
        )
        if link.is_receiver and self.broker.max_message_size:
            link.max_message_size = self.broker.max_message_size
        address = (link.remote_source if link.is_sender else link.remote_target).address
        link.open()
        if address in self.broker.closed_addresses:
            from_condition(link, "no such queue")
            link.close()
        elif link.is_receiver and self.broker.credit:
            link.flow(self.broker.credit)

    def _delivered(self, delivery: Delivery) -> None:
        link = delivery.link
        if link.is_sender:
            self._answered(delivery)
            return
        if not delivery.readable or delivery.partial:
            return
        data = link.recv(delivery.pending) or b""
        link.advance()
        link.flow(1)
        published = Published(link.target.address or "", data, delivery, self)
        self.broker.on_publish(published)

    def _answered(self, delivery: Delivery) -> None:
        state = delivery.remote_state
        if not state:
            return
        queue, data = self.out.pop(delivery.tag, ("", b""))
        delivery.settle()
        if state == Delivery.ACCEPTED:
            self.broker.taken.append((queue, data))
        elif state == Delivery.REJECTED:
            self.broker.refused.append((queue, data))
        elif queue:
            self.broker.queues[queue].appendleft(data)

    def push(self, link: Any) -> None:
        """Send what waits for this listener."""
        waiting = self.broker.queues[link.source.address]
        while waiting and link.credit > 0 and link.state & Endpoint.LOCAL_ACTIVE:
            data = waiting.popleft()
            tag = str(next(self.broker.tags))
            self.out[tag] = (link.source.address, data)
            link.delivery(tag)
            link.stream(data)
            link.advance()

    def push_all(self) -> None:
        link = self.engine.link_head(0)
        while link is not None:
            if link.is_sender:
                self.push(link)
            link = link.next(0)

    def end(self) -> None:
        """As if its cable had been cut; what was not taken goes back."""
        if self.over:
            return
        self.over = True
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()
        for queue, data in self.out.values():
            self.broker.queues[queue].append(data)
        self.out.clear()


class Broker:
    """Starts with `up()`, goes with `down()` as a killed process does, and comes back."""

    user = "loupe"
    secret = "shared-with-the-broker"

    def __init__(self) -> None:
        self._port = OwnPort()
        self.port = self._port.number
        self.url = f"amqp://127.0.0.1:{self.port}"
        self.queues: dict[str, deque[bytes]] = defaultdict(deque)
        self.taken: list[tuple[str, bytes]] = []
        self.refused: list[tuple[str, bytes]] = []
        self.closed_addresses: set[str] = set()
        self.durable: dict[str, bool] = {}
        self.credit = 100
        self.max_message_size = 0
        self.on_publish: Callable[[Published], None] = lambda p: p.settle(Delivery.ACCEPTED)
        self.connections = 0
        self.tags = itertools.count(1)
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._calls: deque[Callable[[], None]] = deque()
        self._woken, self._wakes = socket.socketpair()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def up(self) -> None:
        if self._thread is not None:
            return
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", self.port))
        listening.listen(20)
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, args=(listening,), name="cfx-broker")
        self._thread.start()

    def down(self) -> None:
        if self._thread is None:
            return
        self._stop.set()
        self._wakes.send(b"!")
        self._thread.join()
        self._thread = None

    def close(self) -> None:
        self.down()
        self._woken.close()
        self._wakes.close()
        self._port.free()

    def call(self, act: Callable[[], None]) -> None:
        """Do it in the broker's thread, soon."""
        self._calls.append(act)
        self._wakes.send(b"!")

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Do it in the broker's thread after some time; from that thread."""
        heapq.heappush(self._later, (time.monotonic() + seconds, next(self.tags), act))

    def put(self, queue: str, data: bytes) -> None:
        """Into a queue, for whoever listens to it."""
        self.call(lambda: self.queues[queue].append(data))

    def _run(self, listening: socket.socket) -> None:
        sessions: list[Session] = []
        try:
            while not self._stop.is_set():
                self._turn(listening, sessions)
                sessions[:] = [s for s in sessions if not s.over]
        finally:
            listening.close()
            for session in sessions:
                session.end()

    def _turn(self, listening: socket.socket, sessions: list[Session]) -> None:
        waits = [listening, self._woken, *(s.socket for s in sessions)]
        writes = [s.socket for s in sessions if s.logged_in and s.transport.pending() > 0]
        until = self._later[0][0] - time.monotonic() if self._later else 0.5
        readable, _w, _x = select.select(waits, writes, [], max(0.0, min(until, 0.5)))
        if self._woken in readable:
            self._woken.recv(65536)
        if listening in readable:
            accepted, _address = listening.accept()
            accepted.setblocking(False)
            sessions.append(Session(accepted, self))
            self.connections += 1
        while self._calls:
            self._calls.popleft()()
        while self._later and self._later[0][0] <= time.monotonic():
            heapq.heappop(self._later)[2]()
        for session in sessions:
            if session.socket in readable:
                session.readable()
            if not session.over:
                session.push_all()
                session.flush()
