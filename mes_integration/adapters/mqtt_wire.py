"""What goes over MQTT and what comes back: topics, properties, answers. Pure.

The topics and the acknowledgement's body are a contract with those who write the other end; the
integrator's guide states them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

from django.utils.translation import gettext as _
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from mes_integration import document_faults, mapping
from mes_integration.adapters.http import encoded, signature
from mes_integration.adapters.protocol import Answer, Applied, Message, Refused, TryLater, Uncertain
from mes_integration.inbound import Said

LARGEST_ACKNOWLEDGEMENT: Final = 64 * 1024
LONGEST_REFERENCE: Final = 200
LONGEST_SENTENCE: Final = 300
_LONGEST_TOPIC: Final = 1024
_NO_SUBSCRIBER: Final = 0x10
# What the broker says of the message itself; everything else it says of Loupe or of its own state.
_NEVER: Final = frozenset({0x90, 0x95, 0x99})
_SAID: Final[Mapping[str, Said]] = {
    "applied": "applied",
    "duplicate": "duplicate",
    "rejected": "rejected",
}


class SparkplugOptions(BaseModel):
    """The mirror of the state: where it is published."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    group: str = Field(pattern=r"^[^/+#\x00]{1,64}$")
    node: str = Field(default="loupe", pattern=r"^[^/+#\x00]{1,64}$")


class Options(BaseModel):
    """A target's `options`, as its operator may set them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    client: str = Field(default="", pattern="^[A-Za-z0-9_.-]{0,60}$")
    ca: str = ""
    certificate: str = ""
    key: str = ""
    wait_s: float | None = Field(default=None, ge=0, le=600)
    expiry_s: int | None = Field(default=None, ge=1)
    session_days: int = Field(default=7, ge=1, le=365)
    signed_acknowledgements: bool = False
    sparkplug: SparkplugOptions | None = None


class Wire(BaseModel):
    """A profile's `wire`: how the message lies in the broker's tree."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: list[JsonValue] = Field(
        default=["loupe", "v1", "=site", "=line", "=station", "disposition"], min_length=1
    )
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker listens."""

    host: str
    port: int
    tls: bool

    @property
    def name(self) -> str:
        """As people know it."""
        return f"{self.host}:{self.port}"


def broker_of(url: str) -> Broker:
    """The broker of a target's address; ValueError with a sentence for what is none."""
    parts = urlsplit(url)
    if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname or parts.path.strip("/"):
        message = "its url is not mqtt://host[:port] or mqtts://host[:port]"
        raise ValueError(message)
    if parts.username or parts.password:
        message = "its url carries a name or password: give them as user and secret"
        raise ValueError(message)
    tls = parts.scheme == "mqtts"
    return Broker(parts.hostname, parts.port or (8883 if tls else 1883), tls)


def topic_of(wire: Wire, record: Mapping[str, Any]) -> str:
    """Where the disposition is published; Unmapped when the profile's levels come to none."""
    levels = mapping.filled(wire.topic, record)
    topic = "/".join(level(value) for value in levels)
    if len(topic.encode()) > _LONGEST_TOPIC:
        raise mapping.Unmapped(_("The profile's topic is longer than a broker takes."))
    return topic


def level(value: object) -> str:
    """One level of a topic; what a level cannot hold is percent-encoded, nothing is "-"."""
    text = "" if value is None else str(value)
    # Also "$" at the front: a broker keeps such topics to itself.
    return quote(text, safe=" !'()*,:;=@") or "-"


def acknowledgements(site: object, client: str) -> str:
    """Where a site's acknowledgements to a client go."""
    return f"loupe/v1/{level(site)}/ack/{client}"


def all_acknowledgements(client: str) -> str:
    """The filter that takes those of every site."""
    return f"loupe/v1/+/ack/{client}"


@dataclass(frozen=True, slots=True)
class Publication:
    """A disposition as it is published."""

    topic: str
    payload: bytes
    properties: Properties


def publication(
    message: Message, *, client: str, secret: str, options: Options, at: int
) -> Publication:
    """What is published for a disposition at a Unix time; Unmapped where it cannot be said."""
    wire = wire_of(message.profile)
    payload = encoded(message.body)
    properties = properties_for(PacketTypes.PUBLISH)
    properties.PayloadFormatIndicator = 1
    properties.ContentType = wire.content_type
    properties.ResponseTopic = acknowledgements(message.record["site"], client)
    properties.CorrelationData = message.key.encode()
    properties.MessageExpiryInterval = expiry_of(message, options)
    pairs = [("idempotency-key", message.key)]
    if secret:
        pairs.append(("signature", signature(secret, payload, at=at)))
    properties.UserProperty = pairs
    return Publication(topic_of(wire, message.record), payload, properties)


def expiry_of(message: Message, options: Options) -> int:
    """Seconds the broker may keep it: half of the time after which it is sent again.

    The other half is the target's, so that none is delivered once Loupe has given it up.
    """
    longest = message.profile.capabilities.max_processing_s
    return options.expiry_s or max(1, math.floor(longest / 2))


def after_puback(code: int, said: str) -> Answer | None:
    """What the broker's answer means; None when it took the message, which closes nothing."""
    if code == 0:
        return None
    if code == _NO_SUBSCRIBER:
        return TryLater(
            _("The broker took it and nobody listens on the topic. Start the MES's subscriber."),
            code,
        )
    sentence = _("The broker answered %(code)s: %(said)s") % {"code": code, "said": said}
    return Refused(code, sentence) if code in _NEVER else TryLater(sentence, code)


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The target's word on one key, as it was sent."""

    key: str
    state: Said
    reference: str
    reason: str

    @property
    def answer(self) -> Applied | Refused:
        """What it means for whoever waits for it."""
        if self.state == "rejected":
            return Refused(None, _("The MES answered: %(said)s") % {"said": self.reason})
        return Applied(self.reference)


class Unreadable(Exception):
    """An acknowledgement that says nothing; `key` where at least that much was said."""

    def __init__(self, sentence: str, key: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.key = key

    @property
    def answer(self) -> Uncertain:
        """What it means for whoever waits for it."""
        return Uncertain(self.sentence)


def acknowledgement_of(
    payload: bytes | bytearray, properties: Properties | None
) -> Acknowledgement:
    """The acknowledgement in a message; raises Unreadable."""
    correlated = _correlation(properties)
    fields = _fields(payload, correlated)
    key = fields.get("disposition_id") or correlated
    if not isinstance(key, str) or not key:
        raise Unreadable(_("The acknowledgement names no disposition_id."))
    if correlated and key != correlated:
        raise Unreadable(_("The acknowledgement's disposition_id is not its CorrelationData."))
    state = _SAID.get(str(fields.get("status")))
    if state is None:
        raise Unreadable(
            _("The acknowledgement's status is not applied, duplicate or rejected."), key
        )
    reference, reason = _line(fields.get("peer_ref")), _line(fields.get("reason"))
    if state != "rejected" and not (0 < len(reference) <= LONGEST_REFERENCE):
        raise Unreadable(
            _("The acknowledgement has no peer_ref of 1 to 200 characters: send your reference."),
            key,
        )
    return Acknowledgement(
        key, state, reference, reason[:LONGEST_SENTENCE] or _("no reason was given")
    )


def _correlation(properties: Properties | None) -> str:
    data = getattr(properties, "CorrelationData", b"")
    return data[:100].decode("ascii", errors="replace") if isinstance(data, bytes) else ""


def _fields(payload: bytes | bytearray, key: str) -> dict[str, Any]:
    if len(payload) > LARGEST_ACKNOWLEDGEMENT:
        raise Unreadable(_("The acknowledgement is larger than 64 KB."), key)
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Unreadable(_("The acknowledgement is not a JSON object."), key)
    return value


def _line(value: object) -> str:
    """A text as one short line a page and a table can take; a number is a reference, too."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    printable = "".join(c if c.isprintable() else " " for c in str(value)[:1000])
    return " ".join(printable.split())


def properties_for(packet: int) -> Properties:
    """Empty properties of a packet of this type."""
    made: Properties = Properties(packet)  # type: ignore[no-untyped-call]  # so the library has it
    return made


def properties_named(properties: Properties | None) -> dict[str, str]:
    """The user properties of a message, by name."""
    return dict(getattr(properties, "UserProperty", None) or [])


def options_of(given: Mapping[str, Any]) -> Options:
    """A target's options; ValueError with a sentence for what is none of them."""
    try:
        return Options.model_validate(dict(given))
    except ValidationError as error:
        raise ValueError(document_faults.said(error, under="options")) from error


def wire_of(profile: mapping.Profile) -> Wire:
    """A profile's `wire`; Unmapped for one that this adapter cannot go by."""
    return wire_from(profile.wire)


def wire_from(given: Mapping[str, Any]) -> Wire:
    """The same of the document alone."""
    try:
        return Wire.model_validate(dict(given))
    except ValidationError as error:
        raise mapping.Unmapped(
            _("This mapping profile cannot be used. %(faults)s")
            % {"faults": document_faults.said(error, under="wire")}
        ) from error
