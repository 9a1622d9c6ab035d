"""Reading a message: every envelope, every refusal, and never a crash."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # has no stubs of its own
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_bridge.envelopes import Address, Nothing, Sidecars, Unreadable
from inference_bridge.events import SCHEMA, PredictionEvent, read
from inference_bridge.views import CODES
from tests.inference_bridge import messages
from tests.inference_bridge.messages import event, text

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
CONTRACT = Path(__file__).resolve().parents[3] / "shared" / "contracts" / SCHEMA.name


def taken(body: Any) -> PredictionEvent:
    found = read(text(body), buckets=["loupe-images"], at=NOW)
    assert isinstance(found, PredictionEvent)
    return found


def refused(body: Any) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        read(text(body), buckets=["loupe-images"], at=NOW)
    return caught.value


def test_our_copy_of_the_schema_is_the_contract() -> None:
    if not CONTRACT.exists():
        pytest.skip("the contract lies beside the repository only where it is negotiated")
    assert json.loads(SCHEMA.read_text()) == json.loads(CONTRACT.read_text())


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(SCHEMA.read_text()))


def test_an_event_is_read_whole() -> None:
    sent = event(NOW, score=0.25, data__deadline="2026-11-22T07:00:00+01:00")
    found = taken(sent)
    assert (found.source, found.event_id, found.score) == (sent["source"], sent["id"], 0.25)
    assert found.deadline == datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
    assert (found.image.bucket, found.image.width) == ("loupe-images", 480)
    assert found.image.key == sent["data"]["image"]["uri"].removeprefix("s3://loupe-images/")
    assert found.place.camera == "cam-1"
    assert (found.defect_class, found.sender_route) == ("porosity", "pass")


def test_what_is_left_out_has_its_default() -> None:
    sent = event(NOW, id="e-7")
    sent["data"]["capture"] = {"captured_at": "2026-11-22T05:59:59z"}
    sent["data"]["outcome"] = {"score": 0}
    found = taken(sent)
    assert (found.shot.inspection_id, found.shot.serial, found.shot.view) == ("e-7", "e-7", "main")
    assert (found.shot.views_expected, found.defect_class, found.detections) == (1, "", ())
    assert found.shot.is_fit


def test_views_are_expected_only_of_a_named_inspection() -> None:
    assert taken(event(NOW, data__capture__views_expected=4)).shot.views_expected == 1
    named = messages.view(NOW, of="SN-1", name="a", score=0.1, expected=4)
    assert taken(named).shot.views_expected == 4


Wrap = Callable[[Any], Any]


@pytest.mark.parametrize(
    "wrap",
    [
        messages.sns,
        messages.eventbridge,
        messages.destination,
        lambda body: messages.destination(text(body)),
        messages.callback,
        lambda body: messages.sns(messages.eventbridge(body)),
        lambda body: messages.sns(messages.destination(messages.callback(body))),
    ],
)
def test_envelopes_are_taken_off(wrap: Wrap) -> None:
    sent = event(NOW)
    assert taken(wrap(sent)).body_sha256 == taken(sent).body_sha256


def test_four_envelopes_are_one_too_many() -> None:
    body = event(NOW)
    for _envelope in range(3):
        body = messages.eventbridge(body)
    assert taken(body).event_id
    assert refused(messages.eventbridge(body)).code == "too_deep"


def test_a_callback_token_joins_the_reply_and_not_the_hash() -> None:
    sent = event(NOW, data__reply={"correlation_id": "c-1"})
    found = taken(messages.callback(sent))
    assert found.reply == {"correlation_id": "c-1", "task_token": "t-1"}
    assert found.body_sha256 == taken(sent).body_sha256


def test_a_sidecar_is_named_by_its_plain_key() -> None:
    encoded = messages.s3("loupe-images", "line+1%2Fa%2Bb.prediction.json")
    plain = messages.s3_by_eventbridge("loupe-images", "line 1/a+b.prediction.json")
    for body in (encoded, plain, messages.sns(encoded)):
        found = read(text(body), buckets=["loupe-images"], at=NOW)
        assert found == Sidecars((Address("loupe-images", "line 1/a+b.prediction.json"),))


def test_the_test_event_of_s3_is_forgotten() -> None:
    body = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}
    assert read(text(body), buckets=[], at=NOW) == Nothing()


@pytest.mark.parametrize("encode", [json.dumps, lambda b: base64.b64encode(json.dumps(b).encode())])
def test_a_celery_message_is_named_as_such(encode: Callable[[Any], Any]) -> None:
    body = encode({"body": "", "headers": {"task": "x.y"}, "properties": {}})
    reason = refused(body if isinstance(body, str) else body.decode())
    assert reason.code == "celery_message"
    assert "CELERY_BROKER_URL" in reason.sentence


def test_a_schema_refusal_names_the_place() -> None:
    assert "data.outcome.score" in refused(event(NOW, data__outcome__score=2)).sentence
    assert "data.image.sha256" in refused(event(NOW, data__image__sha256="abc")).sentence
    missing = refused(event(NOW, data__model=None))
    assert "model" in missing.sentence
    assert missing.site == "plant-1"


@pytest.mark.parametrize(
    ("age", "code"),
    [
        (timedelta(days=14), None),
        (timedelta(days=14, seconds=1), "too_old"),
        (timedelta(minutes=-5), None),
        (timedelta(minutes=-5, seconds=-1), "from_the_future"),
    ],
)
def test_the_time_has_a_window(age: timedelta, code: str | None) -> None:
    sent = event(NOW, time=(NOW - age).isoformat())
    if code is None:
        assert taken(sent).time == NOW - age
    else:
        assert refused(sent).code == code


def test_a_letter_is_as_old_as_when_it_came() -> None:
    sent = text(event(NOW))
    later = NOW + timedelta(days=30)
    assert read(sent, buckets=["loupe-images"], at=later, received_at=NOW)
    with pytest.raises(Unreadable):
        read(sent, buckets=["loupe-images"], at=later)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
PLACES = [
    ("specversion",),
    ("id",),
    ("source",),
    ("type",),
    ("time",),
    ("data",),
    ("data", "image"),
    ("data", "image", "uri"),
    ("data", "image", "width"),
    ("data", "image", "heatmap_uri"),
    ("data", "site"),
    ("data", "site", "site"),
    ("data", "capture"),
    ("data", "capture", "captured_at"),
    ("data", "capture", "views_expected"),
    ("data", "capture", "quality"),
    ("data", "model"),
    ("data", "outcome"),
    ("data", "outcome", "score"),
    ("data", "outcome", "detections"),
    ("data", "deadline"),
    ("data", "reply"),
    ("data", "ext"),
]


def reads_or_refuses(body: str) -> None:
    try:
        read(body, buckets=["loupe-images"], at=NOW)
    except Unreadable as reason:
        found = reason
    else:
        return
    assert found.code in CODES
    assert found.sentence.endswith(".")


@given(st.text(max_size=200) | ANY_JSON.map(json.dumps))
@settings(max_examples=150, deadline=None)
def test_no_text_and_no_json_crashes_the_reader(body: str) -> None:
    reads_or_refuses(body)


@given(place=st.sampled_from(PLACES), value=ANY_JSON)
@settings(max_examples=250, deadline=None)
def test_no_broken_event_crashes_the_reader(place: tuple[str, ...], value: Any) -> None:
    sent = event(NOW)
    part = sent
    for name in place[:-1]:
        part = part[name]
    part[place[-1]] = value
    reads_or_refuses(json.dumps(sent))


@given(
    wrap=st.sampled_from(
        [messages.sns, messages.eventbridge, messages.destination, messages.callback]
    ),
    value=ANY_JSON,
    depth=st.integers(1, 5),
)
@settings(max_examples=100, deadline=None)
def test_no_envelope_crashes_the_reader(wrap: Wrap, value: Any, depth: int) -> None:
    body = value
    for _envelope in range(depth):
        body = wrap(body)
    reads_or_refuses(text(body))


@given(st.permutations(list(event(NOW))))
@settings(max_examples=20, deadline=None)
def test_the_hash_does_not_depend_on_the_order_of_keys(order: list[str]) -> None:
    sent = event(NOW, id="same", subject="s")
    shuffled = {name: sent[name] for name in order}
    assert taken(shuffled).body_sha256 == taken(json.dumps(sent, indent=3)).body_sha256


@given(st.integers(0, 300), st.text(st.characters(codec="utf-8"), max_size=10))
@settings(max_examples=60, deadline=None)
def test_a_nul_is_found_wherever_it_hides(where: int, around: str) -> None:
    sent = event(NOW, subject=f"{around}\\u0000{around}")
    # A written-out escape is six harmless characters; the character itself is not.
    assert taken({**sent, "subject": sent["subject"].replace("\x00", "")}).event_id
    places = [("subject",), ("data", "ext"), ("data", "capture", "quality")]
    *parents, last = places[where % len(places)]
    part: Any = sent
    for name in parents:
        part = part[name]
    part[last] = {f"{around}\x00": 1} if last != "subject" else f"{around}\x00"
    assert refused(sent).code == "nul"
