"""What each thing that can happen on the wire means."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from config.demo.mes_app import sign
from mes_integration import mappings
from mes_integration.adapters.http import LARGEST_ANSWER, HttpMes
from mes_integration.adapters.protocol import Applied, Message, Refused, TryLater, Uncertain
from tests.mes_integration.plant import SECRET, Reply, Request, ScriptedMes

BODY = {"id": "k-1", "data": {"unit": {"serial": "Größe \u2603"}, "revision": 1}}


def message(key: str = "k-1", body: dict[str, Any] = BODY) -> Message:
    return Message(key, {}, body, mappings.shipped("generic"))


@pytest.fixture
def adapter(scripted: ScriptedMes) -> Iterator[HttpMes]:
    made = HttpMes(url=scripted.url + "/", secret=SECRET, timeout_s=60, clock=lambda: 1_000_000.9)
    yield made
    made.close()


@pytest.fixture
def impatient(scripted: ScriptedMes) -> Iterator[HttpMes]:
    """One that gives up on a server that says nothing."""
    released = threading.Event()

    def say_nothing(_request: Request) -> None:
        released.wait(60)

    scripted.during = say_nothing
    made = HttpMes(url=scripted.url, secret=SECRET, timeout_s=0.3)
    yield made
    released.set()
    made.close()


def once_sent(ask: Callable[[], object]) -> object:
    """What a call came to that reached the wire within its time; one that did not says so."""
    for _call in range(50):
        answer = ask()
        if not isinstance(answer, TryLater) or answer.may_have_arrived:
            return answer
    raise AssertionError("nothing was ever sent")


def test_a_post_is_signed_and_carries_its_key(scripted: ScriptedMes, adapter: HttpMes) -> None:
    assert adapter.post(message()) == Applied("R-1", 201)
    (request,) = scripted.requests
    assert (request.method, request.path) == ("POST", "/dispositions")
    assert request.headers["Idempotency-Key"] == "k-1"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["X-Loupe-Signature"] == sign(SECRET, request.body, at=1_000_000)


def test_a_retry_sends_the_same_bytes(scripted: ScriptedMes, adapter: HttpMes) -> None:
    adapter.post(message())
    adapter.post(message(body=dict(reversed(BODY.items()))))
    first, second = scripted.requests
    assert first.body == second.body


@pytest.mark.parametrize("status", [200, 201, 202, 409])
def test_a_reference_acknowledges(scripted: ScriptedMes, adapter: HttpMes, status: int) -> None:
    scripted.says(Reply(status, b'{"reference": "MES-7"}'))
    assert adapter.post(message()) == Applied("MES-7", status)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Welcome</html>",
        b"{}",
        b"[1]",
        b'{"reference": ""}',
        b'{"reference": null}',
        b'{"reference": 7}',
        b'{"reference": "a\\u0000b"}',
        b'{"reference": "\\ud800"}',
        b'{"reference": "' + b"x" * 201 + b'"}',
        b"[" * 60_000,
        b"\xff\xfe",
    ],
)
def test_a_success_without_a_usable_reference_is_uncertain(
    scripted: ScriptedMes, adapter: HttpMes, body: bytes
) -> None:
    scripted.says(Reply(200, body))
    assert isinstance(adapter.post(message()), Uncertain)


def test_a_204_is_uncertain(scripted: ScriptedMes, adapter: HttpMes) -> None:
    scripted.says(Reply(204, b""))
    assert isinstance(adapter.post(message()), Uncertain)


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_another_4xx_is_a_refusal_in_the_words_of_the_mes(
    scripted: ScriptedMes, adapter: HttpMes, status: int
) -> None:
    scripted.says(Reply(status, b'{"detail": "Not in\\u0000 production\\nhere."}'))
    answer = adapter.post(message())
    assert answer == Refused(status, f"The MES answered {status}: Not in production here.")


@pytest.mark.parametrize(
    ("status", "arrived"), [(408, True), (500, True), (502, True), (503, True), (429, False)]
)
def test_what_passes_is_tried_later(
    scripted: ScriptedMes, adapter: HttpMes, status: int, arrived: bool
) -> None:
    scripted.says(Reply(status, b"later"))
    answer = adapter.post(message())
    assert isinstance(answer, TryLater)
    assert answer.may_have_arrived is arrived


def test_a_redirect_is_not_followed(scripted: ScriptedMes, adapter: HttpMes) -> None:
    scripted.says(Reply(307, b"", {"Location": scripted.url + "/elsewhere"}), Reply())
    answer = adapter.post(message())
    assert isinstance(answer, TryLater)
    assert "final address" in answer.sentence
    assert len(scripted.requests) == 1


def test_silence_after_sending_is_uncertain(impatient: HttpMes) -> None:
    assert isinstance(once_sent(lambda: impatient.post(message())), Uncertain)


def test_a_reset_after_sending_is_uncertain(scripted: ScriptedMes, adapter: HttpMes) -> None:
    scripted.says(Reply(reset=True))
    assert isinstance(adapter.post(message()), Uncertain)


def test_an_endless_answer_is_cut_and_uncertain(scripted: ScriptedMes, adapter: HttpMes) -> None:
    scripted.says(Reply(200, b" " * (LARGEST_ANSWER + 1)))
    assert isinstance(adapter.post(message()), Uncertain)


def test_where_nobody_listens_nothing_was_sent() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        mes = HttpMes(url=url, secret=SECRET, timeout_s=60)
        began = time.monotonic()
        answer = mes.post(message())
        took = time.monotonic() - began
        mes.close()
    # It is told of the refusal, and not that time is over.
    assert took < 30
    assert isinstance(answer, TryLater)
    assert answer.may_have_arrived is False
    assert url.removeprefix("http://") in answer.sentence


def test_a_password_in_the_address_is_not_told() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{closed.getsockname()[1]}"
        mes = HttpMes(url=f"http://loupe:hush@{place}/x?k=hush", secret=SECRET, timeout_s=60)
        answer = mes.post(message())
        mes.close()
    assert isinstance(answer, TryLater)
    assert place in answer.sentence
    assert "hush" not in answer.sentence


@pytest.mark.parametrize("status", [401, 403])
def test_a_secret_the_mes_does_not_know_refuses_no_disposition(
    scripted: ScriptedMes, adapter: HttpMes, status: int
) -> None:
    scripted.says(Reply(status, b"signature"), Reply(status, b"signature"))
    for answer in (adapter.post(message()), adapter.read_back(message())):
        assert isinstance(answer, TryLater)
        assert answer.may_have_arrived is False
        assert "LOUPE_MES_SECRET" in answer.sentence


@pytest.mark.parametrize(
    "url", ["mes.example", "ftp://mes", "http://", "http://h:99999", "http://[", "x y"]
)
def test_an_address_that_is_none_says_so_on_every_row(url: str) -> None:
    mes = HttpMes(url=url, secret=SECRET, timeout_s=60)
    answer = mes.post(message())
    mes.close()
    assert isinstance(answer, TryLater)
    assert answer.may_have_arrived is False


def test_reading_back_names_the_key(scripted: ScriptedMes, adapter: HttpMes) -> None:
    scripted.says(Reply(200, b'{"reference": "MES-7", "revision": 1}'))
    assert adapter.read_back(message("k/1")) == Applied("MES-7", 200)
    assert (scripted.requests[0].method, scripted.requests[0].path) == (
        "GET",
        "/dispositions/k%2F1",
    )


@pytest.mark.parametrize("status", [404, 405, 410, 501])
def test_reading_back_what_is_not_held_is_none(
    scripted: ScriptedMes, adapter: HttpMes, status: int
) -> None:
    scripted.says(Reply(status, b"{}"))
    assert adapter.read_back(message()) is None


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(500, b""), TryLater),
        (Reply(429, b""), TryLater),
        (Reply(reset=True), TryLater),
        (Reply(401, b""), TryLater),
        (Reply(200, b"{}"), Uncertain),
    ],
)
def test_reading_back_settles_nothing_without_an_answer(
    scripted: ScriptedMes, adapter: HttpMes, reply: Reply, kind: type[object]
) -> None:
    scripted.says(reply)
    assert isinstance(adapter.read_back(message()), kind)


def test_reading_back_from_one_that_says_nothing_settles_nothing(impatient: HttpMes) -> None:
    assert isinstance(impatient.read_back(message()), TryLater)
