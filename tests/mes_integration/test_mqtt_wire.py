"""What the MQTT adapter says and understands, without a broker."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from paho.mqtt.packettypes import PacketTypes

from mes_integration import mapping, mappings
from mes_integration.adapters import mqtt_wire
from mes_integration.adapters.http import encoded, signature
from mes_integration.adapters.mqtt import open_target
from mes_integration.adapters.mqtt_wire import Options, Unreadable
from mes_integration.adapters.protocol import Applied, Message, Refused, TryLater, Uncertain
from mes_integration.mapping import Unmapped
from mes_integration.targets import Target

KEY = "01900000-0000-7000-8000-000000000001"
RECORD = {"site": "plant-1", "line": "line-1", "station": "st-1"}
BODY = {"id": KEY, "data": {"disposition": "HOLD"}}


def message(record: dict[str, Any] | None = None, **profile: Any) -> Message:
    document = {**mappings.shipped_document("mqtt"), **profile}
    return Message(KEY, {**RECORD, **(record or {})}, BODY, mapping.parse(document))


def published(said: Message, **options: Any) -> mqtt_wire.Publication:
    return mqtt_wire.publication(
        said, client="loupe-mes", secret="s3", options=Options(**options), at=1_800_000_000
    )


def test_a_publication_says_who_it_is_from_and_where_to_answer() -> None:
    what = published(message())
    assert what.topic == "loupe/v1/plant-1/line-1/st-1/disposition"
    assert what.payload == encoded(BODY)
    said: Any = what.properties
    assert said.ContentType == "application/json"
    assert said.ResponseTopic == "loupe/v1/plant-1/ack/loupe-mes"
    assert said.CorrelationData == KEY.encode()
    assert dict(said.UserProperty) == {
        "idempotency-key": KEY,
        "signature": signature("s3", what.payload, at=1_800_000_000),
    }


def test_the_broker_keeps_it_for_half_of_the_time_until_it_is_sent_again() -> None:
    can = {**mappings.shipped_document("mqtt")["capabilities"], "max_processing_s": 45}
    said: Any = published(message(capabilities=can)).properties
    assert said.MessageExpiryInterval == 22
    said = published(message(capabilities=can), expiry_s=5).properties
    assert said.MessageExpiryInterval == 5
    said = published(message(capabilities={**can, "max_processing_s": 0})).properties
    assert said.MessageExpiryInterval == 1


def test_without_a_secret_nothing_is_signed() -> None:
    what = mqtt_wire.publication(message(), client="c", secret="", options=Options(), at=1)
    assert mqtt_wire.properties_named(what.properties) == {"idempotency-key": KEY}


@pytest.mark.parametrize(
    ("station", "level"),
    [
        ("st-1", "st-1"),
        (None, "-"),
        ("", "-"),
        ("a/b", "a%2Fb"),
        ("#", "%23"),
        ("+", "%2B"),
        ("$SYS", "%24SYS"),
        ("100%", "100%25"),
        ("Prüfplatz", "Pr%C3%BCfplatz"),
        (7, "7"),
    ],
)
def test_no_code_reaches_into_another_topic(station: object, level: str) -> None:
    assert published(message({"station": station})).topic == (
        f"loupe/v1/plant-1/line-1/{level}/disposition"
    )


def test_a_profile_lays_the_topic_into_a_tree_of_the_plants_own() -> None:
    wire = {"topic": ["acme", "=site", "quality", "=unit.serial"], "content_type": "text/x"}
    what = published(message({"unit": {"serial": "SN/1"}}, wire=wire))
    assert what.topic == "acme/plant-1/quality/SN%2F1"
    said: Any = what.properties
    assert said.ContentType == "text/x"


@pytest.mark.parametrize("wire", [{"topic": []}, {"topic": "a/b"}, {"qos": 0}])
def test_a_wire_that_is_none_blocks_and_names_its_place(wire: dict[str, Any]) -> None:
    with pytest.raises(Unmapped, match=next(iter(wire))):
        published(message(wire=wire))


def test_a_topic_too_long_for_a_broker_blocks() -> None:
    with pytest.raises(Unmapped, match="longer"):
        published(message({"line": "x" * 2000}))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (0x10, TryLater),
        (0x80, TryLater),
        (0x83, TryLater),
        (0x87, TryLater),
        (0x90, Refused),
        (0x95, Refused),
        (0x97, TryLater),
        (0x99, Refused),
    ],
)
def test_what_the_broker_answers(code: int, kind: type) -> None:
    answer = mqtt_wire.after_puback(code, "so it said")
    assert isinstance(answer, TryLater | Refused)
    assert (type(answer), answer.status) == (kind, code)
    assert not getattr(answer, "may_have_arrived", False)


def test_that_the_broker_took_it_is_no_answer() -> None:
    assert mqtt_wire.after_puback(0, "Success") is None


def correlated(key: str) -> Any:
    said: Any = mqtt_wire.properties_for(PacketTypes.PUBLISH)
    said.CorrelationData = key.encode()
    return said


def test_an_acknowledgement_names_key_and_reference() -> None:
    body = b'{"disposition_id": "%s", "status": "applied", "peer_ref": "Q-7"}' % KEY.encode()
    found = mqtt_wire.acknowledgement_of(body, None)
    assert (found.key, found.state) == (KEY, "applied")
    assert found.answer == Applied("Q-7")


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b'{"status": "duplicate", "peer_ref": "Q-7"}', Applied("Q-7")),
        (b'{"status": "applied", "peer_ref": 4711}', Applied("4711")),
        (b'{"status": "applied", "peer_ref": " Q\\u0000-\\ud8007 "}', Applied("Q - 7")),
    ],
)
def test_the_correlation_is_enough_to_know_the_key(body: bytes, answer: Applied) -> None:
    found = mqtt_wire.acknowledgement_of(body, correlated(KEY))
    assert found.key == KEY
    assert found.answer == answer


@pytest.mark.parametrize(("reason", "said"), [('"shipped"', "shipped"), ("null", "no reason")])
def test_a_rejection_is_told_with_its_reason(reason: str, said: str) -> None:
    body = f'{{"status": "rejected", "reason": {reason}}}'.encode()
    found = mqtt_wire.acknowledgement_of(body, correlated(KEY))
    assert isinstance(found.answer, Refused)
    assert said in found.answer.sentence
    assert found.reason


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not a JSON object"),
        (b"\xff", "not a JSON object"),
        (b"[" * 100_000, "64 KB"),
        (b"[" * 60_000, "not a JSON object"),
        (b"3", "not a JSON object"),
        (b'{"status": "done", "peer_ref": "x"}', "status"),
        (b'{"peer_ref": "x"}', "status"),
        (b'{"status": "applied"}', "peer_ref"),
        (b'{"status": "applied", "peer_ref": true}', "peer_ref"),
        (b'{"status": "applied", "peer_ref": "' + b"x" * 201 + b'"}', "peer_ref"),
        (b'{"disposition_id": "other", "status": "applied", "peer_ref": "x"}', "CorrelationData"),
        (b'{"disposition_id": 5, "status": "applied", "peer_ref": "x"}', "names no"),
    ],
)
def test_what_says_nothing_acknowledges_nothing(body: bytes, said: str) -> None:
    with pytest.raises(Unreadable) as caught:
        mqtt_wire.acknowledgement_of(body, correlated(KEY))
    assert said in caught.value.sentence
    assert isinstance(caught.value.answer, Uncertain)


def test_an_acknowledgement_without_any_key_is_nobodys() -> None:
    with pytest.raises(Unreadable, match="disposition_id") as caught:
        mqtt_wire.acknowledgement_of(b'{"status": "applied", "peer_ref": "x"}', None)
    assert caught.value.key == ""


@pytest.mark.parametrize(
    ("url", "host", "port", "tls"),
    [
        ("mqtt://broker", "broker", 1883, False),
        ("mqtts://broker/", "broker", 8883, True),
        ("mqtt://[::1]:1884", "::1", 1884, False),
    ],
)
def test_where_the_broker_is(url: str, host: str, port: int, *, tls: bool) -> None:
    assert mqtt_wire.broker_of(url) == mqtt_wire.Broker(host, port, tls)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"url": "http://broker"}, "mqtt://"),
        ({"url": "mqtt://"}, "mqtt://"),
        ({"url": "mqtt://broker/topic"}, "mqtt://"),
        ({"url": "mqtt://u:p@broker"}, "user and secret"),
        ({"options": {"qos": 0}}, "qos"),
        ({"options": {"client": "a/b"}}, "client"),
        ({"options": {"sparkplug": {"group": "a/b"}}}, "sparkplug.group"),
    ],
)
def test_settings_that_are_none_name_the_target_and_the_cure(
    changes: dict[str, Any], said: str
) -> None:
    given = {"url": "mqtt://broker", "secret": "hush-hush", **changes}
    with pytest.raises(ImproperlyConfigured) as caught:
        open_target(Target(name="mes-2", adapter="mqtt", profile="mqtt", **given))
    assert "mes-2" in str(caught.value)
    assert said in str(caught.value)
    assert "hush-hush" not in str(caught.value)
