"""One AMQP 1.0 connection: a socket, the protocol engine, and who is told of its events.

Used by one thread. Whatever ends it (the peer, the network, time) ends `turn` with `Gone`, whose
sentence says why and how to mend it; nothing of it is used again afterwards.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from django.utils.translation import gettext as _
from proton import (
    Collector,
    Condition,
    Connection,
    Event,
    Link,
    ProtonException,
    Receiver,
    Sender,
    Terminus,
    Transport,
)

_SCHEMES: Final = {"amqp": 5672, "amqps": 5671}
_AT_ONCE: Final = 65536
_NOT_LET_IN: Final = "amqp:unauthorized-access"
_GOODBYE_S: Final = 1.0


class Gone(Exception):
    """The connection is over, or never was."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Place:
    """Where a broker is reached and who one is there."""

    url: str
    user: str = ""
    secret: str = ""
    ca_file: str | None = None
    certificate: str | None = None
    key: str | None = None

    @property
    def host(self) -> str:
        """The host alone."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Its port, the scheme's own where none is given."""
        parts = urlsplit(self.url)
        return parts.port or _SCHEMES[parts.scheme]

    @property
    def shown(self) -> str:
        """Host and port, without what is not for everybody who reads an error."""
        return f"{self.host}:{self.port}"

    @property
    def encrypted(self) -> bool:
        """Whether it is spoken to by TLS."""
        return urlsplit(self.url).scheme == "amqps"

    def fault(self) -> str:
        """What is wrong with it; empty when nothing is."""
        try:
            parts = urlsplit(self.url)
            sound = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
        except ValueError:
            sound = False
        if not sound:
            return _("The target's url is not an amqp:// or amqps:// address; correct it.")
        if parts.username or parts.password:
            return _("Give user and secret of the target by themselves, not within its url.")
        return ""

    def connected(self, *, timeout_s: float) -> socket.socket:
        """A socket that is connected, and encrypted where it shall be; Gone where it cannot."""
        context = self._context() if self.encrypted else None
        try:
            plain = socket.create_connection((self.host, self.port), timeout=timeout_s)
        except OSError as error:
            raise Gone(
                _("The broker at %(place)s cannot be reached.") % {"place": self.shown}
            ) from error
        try:
            made = context.wrap_socket(plain, server_hostname=self.host) if context else plain
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.settimeout(0)
        except OSError as error:
            plain.close()
            raise Gone(
                _("The broker at %(place)s does not agree on TLS: %(error)s")
                % {"place": self.shown, "error": error}
            ) from error
        return made

    def _context(self) -> ssl.SSLContext:
        """The system's certificates unless told otherwise: a plant has its own authority."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.certificate:
                context.load_cert_chain(self.certificate, self.key)
        except OSError as error:
            raise Gone(
                _(
                    "The certificates in the target's options (ca_file, certificate, key) cannot "
                    "be used: %(error)s"
                )
                % {"error": error}
            ) from error
        return context


class AmqpConnection:
    """Opens at once; `turn` does what there is to do. `on_event` is told what happened."""

    def __init__(
        self,
        place: Place,
        *,
        container: str,
        idle_s: float,
        connect_s: float,
        on_event: Callable[[Event], None],
    ) -> None:
        self._place = place
        self._on_event = on_event
        self._socket = place.connected(timeout_s=connect_s)
        self._woken, self._wakes = socket.socketpair()
        self._woken.settimeout(0)
        self._wakes.settimeout(0)
        self._collector = Collector()
        self.engine = Connection()
        self.engine.collect(self._collector)
        self.engine.container = container
        self.engine.hostname = place.host
        self._transport = Transport()
        self._transport.idle_timeout = idle_s
        sasl = self._transport.sasl()
        sasl.allow_insecure_mechs = True
        if place.user:
            self.engine.user, self.engine.password = place.user, place.secret
            sasl.allowed_mechs("PLAIN")
        else:
            sasl.allowed_mechs("EXTERNAL" if place.certificate else "ANONYMOUS")
        self._transport.bind(self.engine)
        self.engine.open()
        self.session = self.engine.session()
        self.session.open()

    def sender(self, address: str) -> Sender:
        """A link to an address."""
        made = self.session.sender(f"to {address}")
        made.target.address = address
        # A broker that makes the queue on demand shall make one that survives its restart.
        made.target.durability = Terminus.CONFIGURATION
        made.source.address = self.engine.container
        made.snd_settle_mode = Link.SND_UNSETTLED
        made.open()
        return made

    def receiver(self, address: str, *, credit: int) -> Receiver:
        """A link from an address."""
        made = self.session.receiver(f"from {address}")
        made.source.address = address
        made.source.durability = Terminus.CONFIGURATION
        made.target.address = self.engine.container
        made.open()
        made.flow(credit)
        return made

    def wake(self) -> None:
        """End the wait of `turn`; from any thread."""
        try:
            self._wakes.send(b"!")
        except (BlockingIOError, OSError):
            """Woken already, or over."""

    def turn(self, *, longest_s: float) -> None:
        """Tell of what has happened, send what is to be sent, wait for more. Gone when over."""
        try:
            self._turn(longest_s)
        except ProtonException as error:
            raise Gone(self._why()) from error

    def _turn(self, longest_s: float) -> None:
        self._tell()
        self._write()
        if self._is_over():
            raise Gone(self._why())
        deadline = self._transport.tick(time.monotonic())
        if deadline:
            longest_s = min(longest_s, max(0.0, deadline - time.monotonic()))
        wants_out = [self._socket] if self._pending() > 0 else []
        readable, _writable, _broken = select.select(
            [self._socket, self._woken], wants_out, [], 0 if self._has_more() else longest_s
        )
        if self._woken in readable:
            self._woken.recv(_AT_ONCE)
        self._read()

    def close(self) -> None:
        """Say goodbye for a moment, then be gone."""
        self.engine.close()
        ends = time.monotonic() + _GOODBYE_S
        try:
            while not self._transport.closed and time.monotonic() < ends:
                self.turn(longest_s=0.05)
        except Gone:
            """As it should."""
        self.drop()

    def drop(self) -> None:
        """Be gone at once."""
        for each in (self._socket, self._woken, self._wakes):
            each.close()

    def _has_more(self) -> bool:
        """Bytes that TLS has read already and the socket will not announce."""
        return isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0

    def _is_over(self) -> bool:
        """Nothing more will be read, and nothing is left to be written."""
        shut = self._transport.closed or self._transport.capacity() < 0
        return shut and self._pending() == 0

    def _pending(self) -> int:
        return max(0, self._transport.pending())

    def _write(self) -> None:
        while (pending := self._pending()) > 0:
            data = self._transport.peek(min(pending, _AT_ONCE)) or b""
            try:
                sent = self._socket.send(data)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return
            except OSError as error:
                # The peer's reason may have come in before its end.
                self._read()
                raise Gone(self._why()) from error
            self._transport.pop(sent)
            self._tell()

    def _read(self) -> None:
        while (room := self._transport.capacity()) > 0:
            try:
                data = self._socket.recv(min(room, _AT_ONCE))
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError as error:
                raise Gone(self._why()) from error
            if not data:
                # That it was not let in the engine only says when asked for its next bytes.
                self._pending()
                self._tell()
                raise Gone(self._why())
            self._transport.push(data)
            self._tell()

    def _tell(self) -> None:
        for event in self._events():
            self._on_event(event)

    def _events(self) -> Iterator[Event]:
        while (event := self._collector.peek()) is not None:
            yield event
            self._collector.pop()

    def _why(self) -> str:
        """The reason the peer or the engine gave, else that it broke."""
        condition = self._transport.condition or self.engine.remote_condition
        if condition is not None and condition.name == _NOT_LET_IN:
            return _(
                "The broker at %(place)s did not let Loupe in. Check user and secret of the target."
            ) % {"place": self._place.shown}
        if condition is not None:
            return _("The broker at %(place)s ended the connection: %(said)s") % {
                "place": self._place.shown,
                "said": said(condition),
            }
        return _("The connection to the broker at %(place)s broke.") % {"place": self._place.shown}


def said(condition: Condition | None) -> str:
    """What a peer gave as its reason, as one short line."""
    if condition is None:
        return _("no reason given")
    text = f"{condition.name} {condition.description or ''}"
    printable = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(printable.split())[:300]
