"""The thread that holds the connection to a CFX broker: sends for others, hears for others.

Others hand over bytes and wait for what became of them. The engine is touched by this thread
alone. A connection that ends takes with it what was under way on it: what had been given to the
engine is unknown from then on, what had not was never sent.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from django.utils.translation import gettext as _
from proton import Condition, Delivery, Endpoint, Event, Link

from mes_integration.adapters.cfx_connection import AmqpConnection, Gone, Place, said
from mes_integration.adapters.cfx_parcels import (
    FINAL,
    Arrival,
    Fate,
    Live,
    Parcel,
    Settled,
    fate_of,
    give,
    too_large,
)

FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 10.0
LONGEST_TURN_S: Final = 1.0
CONNECT_S: Final = 5.0
CREDIT: Final = 20
_MOST_REPLY_LINKS: Final = 8
_MOST_REPLIES: Final = 100
_log = logging.getLogger(__name__)


class BrokerLink:
    """Connects by itself, again and again; `send` waits for what the broker says."""

    def __init__(
        self,
        place: Place,
        *,
        name: str,
        address: str,
        queues: tuple[str, ...] = (),
        idle_s: float = 30.0,
        on_arrival: Callable[[Arrival], None],
        greeting: Callable[[], bytes | None],
        pulse: Callable[[], bytes | None],
        pulse_s: float,
    ) -> None:
        self._place, self._name, self._address, self._queues = place, name, address, queues
        self._idle_s = idle_s
        self._on_arrival, self._greeting, self._pulse = on_arrival, greeting, pulse
        self._pulse_s, self._pulse_due = pulse_s, 0.0
        self._changed = threading.Condition()
        self._waiting: deque[Parcel] = deque()
        self._replies: deque[tuple[str, bytes]] = deque(maxlen=_MOST_REPLIES)
        self._to_settle: deque[tuple[Arrival, bool | None]] = deque()
        self._live: Live | None = None
        self._ready = False
        self._why_not = ""
        self._failures = 0
        self._generation = 0
        self._stopping = threading.Event()
        self._nudged = threading.Event()
        self._thread: threading.Thread | None = None

    # What others call, from any thread.

    def start(self) -> None:
        """Connect, and stay connected; also where a fault has ended the thread."""
        with self._changed:
            if self._stopping.is_set() or (self._thread is not None and self._thread.is_alive()):
                return
            self._thread = threading.Thread(target=self._run, name=f"cfx-{self._name}", daemon=True)
            self._thread.start()

    def send(self, data: bytes, *, timeout_s: float) -> Settled:
        """Hand it over and wait for its fate; nothing is sent after this has returned."""
        ends = time.monotonic() + timeout_s
        why_not = self._await_ready(min(timeout_s, CONNECT_S))
        if why_not:
            return Settled(Fate.NOT_SENT, why_not)
        parcel = Parcel(data)
        with self._changed:
            self._waiting.append(parcel)
        self._wake()
        with self._changed:
            self._changed.wait_for(lambda: parcel.settled, max(0.0, ends - time.monotonic()))
            if parcel.settled is None:
                parcel.settled = self._overdue(parcel)
            return parcel.settled

    def reply(self, address: str, data: bytes) -> None:
        """Send it somewhere else; what becomes of it is not waited for."""
        with self._changed:
            self._replies.append((address, data))
        self._wake()

    def settle(self, arrival: Arrival, *, taken: bool | None) -> None:
        """Tell the broker that it is taken (True), unusable (False) or to be sent again (None)."""
        with self._changed:
            self._to_settle.append((arrival, taken))
        self._wake()

    def close(self) -> None:
        """Say goodbye; whoever waits for a fate is told."""
        with self._changed:
            self._stopping.set()
        self._nudged.set()
        self._wake()
        if self._thread is not None:
            self._thread.join(timeout=CONNECT_S + 2)

    def _await_ready(self, timeout_s: float) -> str:
        """Why it cannot be sent; empty when it can. A connection that rests is hurried."""
        self.start()
        with self._changed:
            failures = self._failures
            if not self._ready:
                self._nudged.set()
            self._changed.wait_for(
                lambda: self._ready or self._stopping.is_set() or self._failures > failures,
                timeout_s,
            )
            if self._ready:
                return ""
            return self._why_not or _("The broker at %(place)s did not answer in time.") % {
                "place": self._place.shown
            }

    def _overdue(self, parcel: Parcel) -> Settled:
        """The caller holds the lock."""
        if parcel.is_gone:
            return Settled(
                Fate.UNKNOWN, _("The broker did not say in time whether it has taken the message.")
            )
        self._waiting.remove(parcel)
        return Settled(Fate.NOT_SENT, _("The broker takes no messages at the moment."))

    def _wake(self) -> None:
        with self._changed:
            live = self._live
        if live is not None:
            live.connection.wake()

    # The thread.

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._live_through_one()
            except Gone as gone:
                self._lost(gone.sentence)
            finally:
                # A fault of our own ends the thread, too: nobody shall wait for it.
                if self._live is not None:
                    self._lost(_("The connection to the broker was closed."))
            if self._stopping.is_set():
                break
            pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self._failures, 10))
            self._nudged.wait(timeout=pause)
            self._nudged.clear()
        self._lost(_("The connection to the broker was closed."))

    def _live_through_one(self) -> None:
        """One connection from its first byte to its last."""
        connection = AmqpConnection(
            self._place,
            container=self._name,
            idle_s=self._idle_s,
            connect_s=CONNECT_S,
            on_event=self._hear,
        )
        try:
            live = self._opened(connection)
            ends = time.monotonic() + CONNECT_S
            while not self._stopping.is_set():
                connection.turn(longest_s=LONGEST_TURN_S)
                if live.is_open:
                    self._work(live)
                elif time.monotonic() > ends:
                    raise Gone(
                        _("The broker at %(place)s did not answer in time.")
                        % {"place": self._place.shown}
                    )
            connection.close()
        finally:
            with self._changed:
                self._ready = False
            connection.drop()

    def _opened(self, connection: AmqpConnection) -> Live:
        self._generation += 1
        live = Live(
            connection,
            connection.sender(self._address),
            {queue: connection.receiver(queue, credit=CREDIT) for queue in self._queues},
            self._generation,
        )
        with self._changed:
            self._live = live
        return live

    def _lost(self, sentence: str) -> None:
        """What is gone is unknown, what waits was not sent; those who wait for it are told."""
        with self._changed:
            live, self._live, self._ready = self._live, None, False
            self._why_not = sentence
            self._failures += 1
            for parcel in self._waiting:
                parcel.settled = Settled(Fate.NOT_SENT, sentence)
            for parcel in live.under_way.values() if live else ():
                parcel.settled = parcel.settled or Settled(Fate.UNKNOWN, sentence)
            self._waiting.clear()
            self._to_settle.clear()
            self._replies.clear()
            self._changed.notify_all()

    def _work(self, live: Live) -> None:
        """Everything that others have handed over since the last turn."""
        while True:
            with self._changed:
                if not self._to_settle:
                    break
                arrival, taken = self._to_settle.popleft()
            self._settle(live, arrival, taken=taken)
        self._beat(live)
        self._send_replies(live)
        with self._changed:
            while self._waiting and live.sender.credit > 0:
                parcel = self._waiting.popleft()
                largest = live.sender.remote_max_message_size
                if largest and len(parcel.data) > largest:
                    parcel.settled = Settled(Fate.REJECTED, too_large(len(parcel.data), largest))
                    self._changed.notify_all()
                    continue
                parcel.is_gone = True
                live.under_way[give(live, live.sender, parcel.data)] = parcel

    def _settle(self, live: Live, arrival: Arrival, *, taken: bool | None) -> None:
        if arrival.generation != live.generation:
            return
        delivery = live.arrived.pop(arrival.tag, None)
        if delivery is None:
            return
        outcome = {True: Delivery.ACCEPTED, False: Delivery.REJECTED, None: Delivery.RELEASED}
        delivery.update(outcome[taken])
        delivery.settle()
        live.receivers[arrival.queue].flow(1)

    def _beat(self, live: Live) -> None:
        """A sign of life, where there is room for one."""
        if time.monotonic() < self._pulse_due or not live.sender.credit:
            return
        self._pulse_due = time.monotonic() + self._pulse_s
        sign = self._pulse()
        if sign is not None:
            give(live, live.sender, sign)

    def _send_replies(self, live: Live) -> None:
        """Those whose link has room; the others wait for their link to open."""
        with self._changed:
            replies = list(self._replies)
            self._replies.clear()
        for address, data in replies:
            link = live.reply_links.get(address)
            if link is None:
                link = live.reply_links[address] = live.connection.sender(address)
                if len(live.reply_links) > _MOST_REPLY_LINKS:
                    live.reply_links.popitem(last=False)[1].close()
            if link.state & Endpoint.REMOTE_CLOSED:
                continue
            if link.credit:
                give(live, link, data)
            else:
                with self._changed:
                    self._replies.append((address, data))

    # What the engine tells.

    def _hear(self, event: Event) -> None:
        live = self._live
        if live is None:
            return
        if event.type is Event.DELIVERY and event.delivery is not None:
            self._hear_delivery(live, event.delivery)
        elif event.type in {Event.LINK_REMOTE_OPEN, Event.LINK_FLOW}:
            self._hear_open(live)
        elif event.type in {Event.LINK_REMOTE_CLOSE, Event.LINK_REMOTE_DETACH} and event.link:
            self._hear_closed(live, event.link)
        elif event.type is Event.SESSION_REMOTE_CLOSE:
            raise Gone(self._ended(live.connection.session.remote_condition))
        elif event.type is Event.CONNECTION_REMOTE_CLOSE:
            raise Gone(self._ended(live.connection.engine.remote_condition))

    def _hear_open(self, live: Live) -> None:
        """Ready once every link is open at the other end, too, at the address it was asked for."""
        links = [live.sender, *live.receivers.values()]
        if live.is_open or not all(link.state & Endpoint.REMOTE_ACTIVE for link in links):
            return
        if live.sender.remote_target.address is None:
            return
        live.is_open = True
        greeting = self._greeting()
        if greeting is not None and live.sender.credit:
            give(live, live.sender, greeting)
        with self._changed:
            self._ready, self._why_not, self._failures = True, "", 0
            self._changed.notify_all()

    def _hear_closed(self, live: Live, closed: Link) -> None:
        for address, link in list(live.reply_links.items()):
            if link.name == closed.name:
                _log.warning("%s does not take answers: %s", address, said(link.remote_condition))
                del live.reply_links[address]
                link.close()
                return
        raise Gone(self._ended(closed.remote_condition))

    def _ended(self, condition: Condition | None) -> str:
        return _(
            "The broker at %(place)s closed the link: %(said)s. Check the addresses in the "
            "target's options (%(addresses)s)."
        ) % {
            "place": self._place.shown,
            "said": said(condition),
            "addresses": ", ".join([self._address, *self._queues]),
        }

    def _hear_delivery(self, live: Live, delivery: Delivery) -> None:
        if delivery.link.is_receiver:
            self._hear_message(live, delivery)
            return
        if not delivery.settled and delivery.remote_state not in FINAL:
            return
        parcel = live.under_way.pop(delivery.tag, None)
        settled = fate_of(delivery)
        delivery.settle()
        if parcel is None:
            return
        with self._changed:
            parcel.settled = parcel.settled or settled
            self._changed.notify_all()

    def _hear_message(self, live: Live, delivery: Delivery) -> None:
        if delivery.aborted:
            delivery.settle()
            return
        if not delivery.readable or delivery.partial:
            return
        data = delivery.link.recv(delivery.pending) or b""
        delivery.link.advance()
        queue = delivery.link.source.address or ""
        tag = f"{queue} {delivery.tag}"
        live.arrived[tag] = delivery
        self._on_arrival(Arrival(queue, data, tag, live.generation))
