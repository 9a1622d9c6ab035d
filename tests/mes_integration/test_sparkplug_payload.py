"""The mirror's bytes and sessions, without a broker."""

from __future__ import annotations

import itertools

import pytest

from mes_integration.adapters.mqtt_wire import SparkplugOptions
from mes_integration.adapters.sparkplug import REBIRTH, Node, Standing
from mes_integration.adapters.sparkplug_payload import DataType, Metric, asks_for, payload

WHERE = SparkplugOptions(group="plant")


def standing(device: str = "st-1") -> Standing:
    return Standing(device, "key", "HOLD", "SN-1", 1, "SENT")


def test_a_payload_is_the_public_format_byte_by_byte() -> None:
    made = payload([Metric("bdSeq", DataType.INT64, 3)], at_ms=1000, seq=None)
    metric = b"\x0a\x05bdSeq" + b"\x18\xe8\x07" + b"\x20\x04" + b"\x58\x03"
    assert made == b"\x08\xe8\x07" + b"\x12" + bytes([len(metric)]) + metric


def test_each_type_of_value_has_its_field() -> None:
    metrics = [
        Metric("t", DataType.STRING, "ü"),
        Metric("b", DataType.BOOLEAN, True),
        Metric("n", DataType.INT64, -1),
        Metric("o", DataType.STRING, None),
    ]
    made = payload(metrics, at_ms=1, seq=0)
    assert b"\x20\x0c\x7a\x02\xc3\xbc" in made
    assert b"\x20\x0b\x70\x01" in made
    assert b"\x20\x04\x58" + b"\xff" * 9 + b"\x01" in made
    assert b"\x20\x0c\x38\x01" in made
    assert made.endswith(b"\x18\x00")


def test_a_command_to_be_born_again_is_understood() -> None:
    asked = payload([Metric(REBIRTH, DataType.BOOLEAN, True)], at_ms=1, seq=None)
    assert asks_for(asked, REBIRTH)
    assert not asks_for(asked, "Node Control/Reboot")
    assert not asks_for(
        payload([Metric(REBIRTH, DataType.BOOLEAN, False)], at_ms=1, seq=0), REBIRTH
    )
    assert not asks_for(payload([Metric("x", DataType.STRING, REBIRTH)], at_ms=1, seq=0), REBIRTH)


@pytest.mark.parametrize(
    "command", [b"", b"\xff" * 40, b"\x12\x7f\x0a", b"\x12\x02\x0a", b"\x13", b"\x08\x01\x12\x00"]
)
def test_a_command_that_cannot_be_read_asks_for_nothing(command: bytes) -> None:
    assert not asks_for(command, REBIRTH)


def seq(said: tuple[str, bytes]) -> int:
    """The last field of a payload is its number."""
    body = said[1]
    return body[-1] if body[-2] == 0x18 else (body[-2] & 0x7F) | body[-1] << 7


def test_the_numbers_run_from_the_birth_and_wrap_after_255() -> None:
    node = Node(WHERE, 7)
    (birth,) = node.birth(0)
    assert birth[0] == "spBv1.0/plant/NBIRTH/loupe"
    said = [s for _ in range(300) for s in node.standing(standing())]
    assert seq(birth) == 0
    assert [seq(s) for s in said] == list(itertools.islice(itertools.cycle(range(256)), 1, 301))


def test_a_device_is_born_before_it_says_anything() -> None:
    node = Node(WHERE, 7)
    list(node.birth(0))
    topics = [s[0] for d in ("a", "b", "a") for s in node.standing(standing(d))]
    assert topics == [
        "spBv1.0/plant/DBIRTH/loupe/a",
        "spBv1.0/plant/DBIRTH/loupe/b",
        "spBv1.0/plant/DDATA/loupe/a",
    ]


def test_born_again_everything_known_is_born_anew_from_zero() -> None:
    node = Node(WHERE, 7)
    list(node.birth(0))
    list(node.standing(standing("a")))
    again = list(node.birth(4))
    assert [s[0].split("/")[2] for s in again] == ["NBIRTH", "DBIRTH"]
    assert [seq(s) for s in again] == [0, 1]


def test_the_death_names_the_birth_it_ends() -> None:
    node = Node(WHERE, 130)
    session = b"\x0a\x05bdSeq"
    topic, certificate = node.death()
    assert topic == "spBv1.0/plant/NDEATH/loupe"
    (birth,) = node.birth(0)
    for said in (certificate, birth[1]):
        assert said[said.index(session) :].partition(b"\x20\x04\x58")[2][:2] == b"\x82\x01"


def test_the_depth_is_told_when_it_changes() -> None:
    node = Node(WHERE, 7)
    list(node.birth(3))
    assert list(node.queue_depth(3)) == []
    (said,) = node.queue_depth(4)
    assert said[0] == "spBv1.0/plant/NDATA/loupe"
    assert list(node.queue_depth(4)) == []
