"""One connection to an MQTT broker, used until it is lost and then never again.

The library would by itself send anew, on the next connection, what Loupe has long answered for;
so each connection has a client of its own, and it is given up whole.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Any, Final

from django.utils.translation import gettext as _
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from mes_integration.adapters.mqtt_wire import Broker, Options, Publication, properties_for

KEEPALIVE_S: Final = 15
_GOODBYE_S: Final = 1.0
_HEADROOM: Final = 1024
"""Bytes of a packet that are not its payload, at most."""
_NOT_LET_IN: Final = frozenset({0x86, 0x87, 0x8A, 0x8C})
_MOST_AT_ONCE: Final = 10
"""Messages the broker has not answered yet; brokers are shipped with limits from here on."""
TAKEN_OVER: Final = 0x8E


class Unreachable(Exception):
    """No connection came about; nothing was sent."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Lost(Exception):
    """The connection broke while something was under way."""


@dataclass(frozen=True, slots=True)
class Access:
    """How Loupe gets to a broker."""

    broker: Broker
    options: Options
    user: str = ""
    password: str = field(default="", repr=False)
    patience_s: float = 5.0


Will = Callable[[Client], None]
Heard = Callable[[MQTTMessage], None]


class Connection:
    """An open connection; its own thread reads it."""

    def __init__(self, client: Client, *, answers: bool) -> None:
        self._client = client
        self._pubacks: dict[int, Future[ReasonCode]] = {}
        self._subscribed: Future[ReasonCode] = Future()
        self._connected: Future[tuple[ReasonCode, Properties | None]] = Future()
        self._ended = threading.Event()
        self.reason: int | None = None
        self._largest: int | None = None
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        if answers:
            client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe

    @property
    def is_open(self) -> bool:
        """Whether it can still be used."""
        return not self._ended.is_set()

    @property
    def largest(self) -> int | None:
        """Bytes of a payload the broker takes at most; None when it did not say."""
        return self._largest

    def publish(self, what: Publication) -> Future[ReasonCode]:
        """Send it; the future is the broker's answer, or Lost. Unreachable when nothing left."""
        info = self._client.publish(what.topic, what.payload, qos=1, properties=what.properties)
        if info.rc == MQTTErrorCode.MQTT_ERR_NO_CONN:
            raise Unreachable(_("The connection to the broker was lost; it is opened anew."))
        # Whoever comes first makes it: the broker may answer before publish() returns.
        puback = self._pubacks.setdefault(info.mid, Future())
        if self._ended.is_set():
            _settle(puback, Lost())
        return puback

    def tell(self, what: Publication, *, qos: int) -> None:
        """Send what nobody answers for; with QoS 1 the broker has a second to take it."""
        info = self._client.publish(what.topic, what.payload, qos=qos, properties=what.properties)
        if qos and info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS:
            with contextlib.suppress(RuntimeError):
                info.wait_for_publish(timeout=_GOODBYE_S)

    def forget(self, puback: Future[ReasonCode]) -> None:
        """Nobody waits for this answer any more."""
        for mid, known in list(self._pubacks.items()):
            if known is puback:
                self._pubacks.pop(mid, None)

    def subscribe(self, topic: str, *, qos: int, patience_s: float) -> None:
        """Take what comes on a topic; Unreachable when the broker does not let it."""
        self._client.subscribe(topic, qos=qos)
        try:
            code = self._subscribed.result(timeout=patience_s)
        except (TimeoutError, Lost) as error:
            raise Unreachable(_("The broker did not answer in time.")) from error
        if code.is_failure:
            raise Unreachable(
                _("The broker does not let Loupe read %(topic)s (%(said)s). Allow it there.")
                % {"topic": topic, "said": code}
            )

    def acknowledge(self, message: MQTTMessage) -> None:
        """Tell the broker that it may forget a message."""
        self._client.ack(message.mid, message.qos)

    def close(self) -> None:
        """Say goodbye where the broker still hears it, and end the thread."""
        self._client.disconnect()
        if not self._ended.wait(_GOODBYE_S):
            self.cut()
        self._client.loop_stop()

    def cut(self) -> None:
        """End it without a word, as a broken line would."""
        line = self._client.socket()
        if isinstance(line, socket.socket):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def _open(self, access: Access, properties: Properties, *, clean: bool) -> None:
        broker = access.broker
        try:
            self._client.connect(
                broker.host, broker.port, KEEPALIVE_S, clean_start=clean, properties=properties
            )
        except ssl.SSLError as error:
            raise Unreachable(
                _("The broker at %(host)s is not trusted: %(error)s. Set the option “ca”.")
                % {"host": broker.name, "error": error.reason or error}
            ) from error
        except OSError as error:
            raise Unreachable(cannot_reach(broker)) from error
        self._client.loop_start()
        try:
            code, said = self._connected.result(timeout=access.patience_s)
        except (TimeoutError, Lost) as error:
            self.abandon()
            raise Unreachable(cannot_reach(broker)) from error
        if code.is_failure:
            self.abandon()
            raise Unreachable(_not_let_in(broker, code))
        largest = getattr(said, "MaximumPacketSize", None)
        self._largest = largest - _HEADROOM if largest else None

    def abandon(self) -> None:
        """End the thread of a connection that did not come about or hangs."""
        self.cut()
        self._client.loop_stop()

    def _on_connect(
        self, _client: Client, _data: Any, _flags: Any, code: ReasonCode, said: Properties | None
    ) -> None:
        _settle(self._connected, (code, said))

    def _on_disconnect(
        self, _client: Client, _data: Any, _flags: Any, code: ReasonCode, _said: Properties | None
    ) -> None:
        self.reason = code.value
        self._ended.set()
        _settle(self._connected, Lost())
        _settle(self._subscribed, Lost())
        for puback in list(self._pubacks.values()):
            _settle(puback, Lost())

    def _on_publish(
        self, _client: Client, _data: Any, mid: int, code: ReasonCode, _said: Properties | None
    ) -> None:
        _settle(self._pubacks.setdefault(mid, Future()), code)

    def _on_subscribe(
        self, _client: Client, _data: Any, _mid: int, codes: list[ReasonCode], _said: Any
    ) -> None:
        _settle(self._subscribed, codes[0])


def _settle(future: Future[Any], value: Any) -> None:
    """The first to settle it wins."""
    with contextlib.suppress(InvalidStateError):
        if isinstance(value, BaseException):
            future.set_exception(value)
        else:
            future.set_result(value)


def open_connection(
    access: Access,
    *,
    client_id: str,
    heard: Heard | None = None,
    session_s: int = 0,
    will: Will | None = None,
    answers: bool = True,
) -> Connection:
    """A connection that stands; Unreachable otherwise.

    With `session_s` the broker keeps what comes for this client that long while it is away, and
    forgets a message only when told to (`acknowledge`). Without `answers`, `tell` is all there is.
    """
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=MQTTProtocolVersion.MQTTv5,
        manual_ack=session_s > 0,
        reconnect_on_failure=False,
    )
    client.connect_timeout = access.patience_s
    client.max_inflight_messages_set(_MOST_AT_ONCE)
    if access.user:
        client.username_pw_set(access.user, access.password)
    if access.broker.tls:
        client.tls_set_context(_tls(access.options))
    if heard is not None:
        client.on_message = lambda _client, _data, message: heard(message)
    if will is not None:
        will(client)
    properties = properties_for(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = session_s
    connection = Connection(client, answers=answers)
    connection._open(access, properties, clean=not session_s)  # noqa: SLF001  # its own other half
    return connection


class _Handshake(ssl.SSLSocket):
    """Closed when the other side is not trusted; the library would leave it open."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002  # its parent's
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def _tls(options: Options) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=options.ca or None)
        context.sslsocket_class = _Handshake
        if options.certificate:
            context.load_cert_chain(options.certificate, options.key or None)
    except OSError as error:
        raise Unreachable(
            _("The files of the options “ca”, “certificate” and “key” cannot be used: %(error)s")
            % {"error": error}
        ) from error
    return context


def cannot_reach(broker: Broker) -> str:
    """Said when nobody listens there."""
    return _("The broker at %(host)s cannot be reached.") % {"host": broker.name}


def _not_let_in(broker: Broker, code: ReasonCode) -> str:
    if code.value in _NOT_LET_IN:
        return _(
            "The broker at %(host)s did not let Loupe in (%(said)s). Check the target's user and "
            "secret."
        ) % {"host": broker.name, "said": code}
    return _("The broker at %(host)s did not take the connection: %(said)s.") % {
        "host": broker.name,
        "said": code,
    }
