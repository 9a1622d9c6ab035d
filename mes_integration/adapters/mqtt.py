"""Dispositions over MQTT 5: published with QoS 1, closed by the MES's own acknowledgement alone.

That the broker took a message says nothing of the MES. Whoever posts waits a moment for the
acknowledgement; one that comes later, or twice, is taken by the listener.
"""

from __future__ import annotations

import hmac
import logging
import os
import queue
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _
from paho.mqtt.client import MQTTMessage
from paho.mqtt.reasoncodes import ReasonCode

from mes_integration import inbound
from mes_integration.adapters import mqtt_wire
from mes_integration.adapters.http import signature
from mes_integration.adapters.mqtt_connection import (
    Access,
    Connection,
    Lost,
    Unreachable,
    cannot_reach,
    open_connection,
)
from mes_integration.adapters.mqtt_listener import Acknowledge, Listener
from mes_integration.adapters.mqtt_wire import Acknowledgement, Publication, Unreadable
from mes_integration.adapters.protocol import (
    Answer,
    Handed,
    MesAdapter,
    Message,
    Refused,
    TryLater,
    Uncertain,
)
from mes_integration.adapters.sparkplug import Mirror
from mes_integration.mapping import Unmapped
from mes_integration.targets import Target
from traceability.refusals import Invalid

_AGAIN_S: Final = 1.0
"""Seconds in which a broker that could not be reached is not tried again by the next thread."""
_SIGNED: Final = re.compile(r"t=(\d{1,12}),v1=[0-9a-f]{64}")
_log = logging.getLogger(__name__)


class MqttMes:
    """An MES behind an MQTT 5 broker."""

    def __init__(
        self,
        target: Target,
        *,
        acknowledge: Acknowledge = inbound.acknowledge,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._options = mqtt_wire.options_of(target.options)
        self._client = self._options.client or f"loupe-{target.name}"
        self._secret = target.secret
        self._timeout_s = target.timeout_s
        self._clock = clock
        self._access = Access(
            mqtt_wire.broker_of(target.url),
            self._options,
            target.user,
            target.secret,
            patience_s=min(target.timeout_s, 5.0),
        )
        self._posts = _Posts(self._access, client=self._client, heard=self._hint)
        self._waiting = _Waiting()
        self._listener = Listener(
            target=target.name,
            access=self._access,
            client=self._client,
            acknowledge=acknowledge,
            heard=self._waiting.answer,
            check=self._check,
        )
        sparkplug = self._options.sparkplug
        self._mirror = (
            Mirror(target=target.name, access=self._access, where=sparkplug, client=self._client)
            if sparkplug
            else None
        )

    def listen(self) -> None:
        """Take acknowledgements from now on, whether or not anything is posted."""
        self._listener.start()
        if self._mirror is not None:
            self._mirror.start()

    @property
    def is_listening(self) -> bool:
        """Whether this process is the one that takes the target's acknowledgements."""
        return self._listener.is_listening

    def close(self) -> None:
        """End the threads; what is not written down stays with the broker."""
        self._posts.close()
        self._listener.close()
        if self._mirror is not None:
            self._mirror.close()

    def post(self, message: Message) -> Answer:
        """Publish it and wait for the MES's word, as long as the target's time-out."""
        self.listen()
        try:
            what = mqtt_wire.publication(
                message,
                client=self._client,
                secret=self._secret,
                options=self._options,
                at=int(self._clock()),
            )
        except Unmapped as unmapped:
            return Refused(None, unmapped.sentence)
        with self._waiting.for_key(message.key) as word:
            try:
                return self._publish(what, word)
            except Unreachable as error:
                return TryLater(error.sentence)

    def read_back(self, message: Message) -> Answer | None:
        """A subscriber cannot be asked; its acknowledgement comes by itself."""
        return TryLater(_("An MES behind MQTT cannot be asked; it acknowledges by itself."))

    def _publish(self, what: Publication, word: _Word) -> Answer:
        line = self._posts.line()
        if line.largest is not None and len(what.payload) > line.largest:
            return Refused(
                None,
                _("The message is larger than the broker takes (%(most)s bytes).")
                % {"most": line.largest},
            )
        ends = time.monotonic() + self._timeout_s
        puback = line.publish(what)
        answer = self._after_puback(line, puback, word)
        if answer is not None:
            return answer
        left = ends - time.monotonic()
        patience = left if self._options.wait_s is None else min(left, self._options.wait_s)
        return word.within(max(patience, 0)) or Handed(
            _("The broker has it; the MES has not acknowledged it yet.")
        )

    def _after_puback(
        self, line: Connection, puback: Future[ReasonCode], word: _Word
    ) -> Answer | None:
        """None once the broker has taken it. The MES's own word overrules the broker's silence."""
        try:
            code = puback.result(timeout=self._timeout_s)
        except Lost:
            return word.within(0) or Uncertain(
                _("The connection to the broker broke before it answered.")
            )
        except TimeoutError:
            # Nothing may go out on it later that was answered for by now.
            self._posts.give_up(line)
            return word.within(0) or Uncertain(_("The broker did not answer in time."))
        finally:
            line.forget(puback)
        return mqtt_wire.after_puback(code.value, str(code))

    def _hint(self, message: MQTTMessage) -> None:
        """An acknowledgement as the posting connection sees it: it only ends the waiting."""
        try:
            self._check(message)
            self._waiting.answer(mqtt_wire.acknowledgement_of(message.payload, message.properties))
        except Unreadable as unreadable:
            self._waiting.answer(unreadable)

    def _check(self, message: MQTTMessage) -> None:
        """Raise Unreadable unless it is signed where it has to be."""
        if not self._options.signed_acknowledgements:
            return
        given = mqtt_wire.properties_named(message.properties).get("signature", "")
        signed = _SIGNED.fullmatch(given)
        if signed is None or not hmac.compare_digest(
            given, signature(self._secret, bytes(message.payload), at=int(signed[1]))
        ):
            # Its key is not believed either: whoever forged it may not end anybody's waiting.
            raise Unreadable(_("The acknowledgement is not signed with the target's secret."))


class _Word:
    """What the MES says of one key while somebody waits for it."""

    def __init__(self) -> None:
        self._said: queue.SimpleQueue[Answer] = queue.SimpleQueue()

    def say(self, answer: Answer) -> None:
        self._said.put(answer)

    def within(self, seconds: float) -> Answer | None:
        """The answer, when it comes in time."""
        try:
            return self._said.get(timeout=seconds) if seconds else self._said.get_nowait()
        except queue.Empty:
            return None


class _Waiting:
    """Who waits for which key; acknowledgements for others pass by."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._words: dict[str, list[_Word]] = {}

    @contextmanager
    def for_key(self, key: str) -> Iterator[_Word]:
        """Listen for this key before anything is sent, so that no answer is too early."""
        word = _Word()
        with self._lock:
            self._words.setdefault(key, []).append(word)
        try:
            yield word
        finally:
            with self._lock:
                self._words[key].remove(word)
                if not self._words[key]:
                    del self._words[key]

    def answer(self, found: Acknowledgement | Unreadable) -> None:
        """Tell whoever waits for its key."""
        with self._lock:
            waiting = list(self._words.get(found.key, ()))
        for word in waiting:
            word.say(found.answer)


class _Posts:
    """The connection dispositions are published on, opened when it is needed."""

    def __init__(
        self, access: Access, *, client: str, heard: Callable[[MQTTMessage], None]
    ) -> None:
        self._access = access
        self._client = client
        self._heard = heard
        self._lock = threading.Lock()
        self._line: Connection | None = None
        self._failed: tuple[float, str] = (0.0, "")
        self._closed = False
        self._number = 0

    def line(self) -> Connection:
        """An open connection; Unreachable when there is none to be had."""
        with self._lock:
            if self._closed:
                raise Unreachable(cannot_reach(self._access.broker))
            if self._line is not None and self._line.is_open:
                return self._line
            failed_at, sentence = self._failed
            if sentence and time.monotonic() < failed_at + _AGAIN_S:
                raise Unreachable(sentence)
            try:
                self._line = self._opened()
            except Unreachable as error:
                self._failed = (time.monotonic(), error.sentence)
                raise
            self._failed = (0.0, "")
            return self._line

    def _opened(self) -> Connection:
        if self._line is not None:
            self._line.abandon()
            self._line = None
        self._number += 1
        line = open_connection(
            self._access,
            client_id=f"{self._client}-{socket.gethostname()[:20]}-{os.getpid()}-{id(self):x}"
            f"-{self._number}",
            heard=self._heard,
        )
        try:
            topic = mqtt_wire.all_acknowledgements(self._client)
            # With QoS 0: it only spares the waiting, what counts is what the listener takes.
            line.subscribe(topic, qos=0, patience_s=self._access.patience_s)
        except Unreachable:
            line.abandon()
            raise
        return line

    def give_up(self, line: Connection) -> None:
        """Never again this one."""
        with self._lock:
            line.cut()

    def close(self) -> None:
        """Say goodbye; nothing is opened after this."""
        with self._lock:
            self._closed = True
            if self._line is not None:
                self._line.close()
                self._line = None


def fault_of(target: Target) -> str:
    """What is wrong with a target's settings; empty when nothing is."""
    try:
        mqtt_wire.options_of(target.options)
    except ValueError as error:
        return _("Its options cannot be used. %(faults)s") % {"faults": error}
    try:
        mqtt_wire.broker_of(target.url)
    except ValueError:
        return _(
            "Its url is not mqtt://host[:port] or mqtts://host[:port]; name and password are given "
            "as user and secret."
        )
    return ""


def check_wire(wire: Mapping[str, Any]) -> None:
    """Invalid names each place that is wrong."""
    try:
        mqtt_wire.wire_from(wire)
    except Unmapped as unmapped:
        raise Invalid(unmapped.sentence) from unmapped


def open_target(target: Target) -> MesAdapter:
    """The adapter of a target in the settings."""
    try:
        return MqttMes(target)
    except ValueError as error:
        message = f"The target {target.name} cannot be used: {error}"
        raise ImproperlyConfigured(message) from error
