"""How requests show that they come from us."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from mes_integration import mappings
from mes_integration.adapters import http_signing, http_wire
from mes_integration.adapters.http import HttpMes
from mes_integration.adapters.protocol import Applied, Message, Refused, TryLater
from mes_integration.mapping import Profile
from tests.mes_integration.plant import Reply, ScriptedMes
from traceability.refusals import Invalid

BODY = {"id": "k-1"}
SECRET = "s"


def profile(**wire: object) -> Profile:
    generic = mappings.shipped("generic")
    return generic.model_copy(update={"wire": wire})


def post(mes: ScriptedMes, said: Profile, *, secret: str = SECRET) -> object:
    adapter = HttpMes(
        url=mes.url,
        secret=secret,
        user="u",
        timeout_s=60,
        name="erp",
        options={"plant": "7/a"},
        clock=lambda: 1_000_000.0,
    )
    answer = adapter.post(Message("k-1", {"unit": {"serial": "a/b"}, "lot": None}, BODY, said))
    adapter.close()
    return answer


def test_a_webhook_is_signed_as_the_standards_own_example() -> None:
    assert (
        http_signing.webhook_signature(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            b'{"test": 2432232314}',
            key="msg_p5jXN8AQM9LWM0D4loKWxJek",
            at=1614265330,
        )
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_while_secrets_are_rotated_every_one_signs(scripted: ScriptedMes) -> None:
    secret = "new-one whsec_" + base64.b64encode(b"old-one").decode()
    answer = post(scripted, profile(auth="standard-webhooks"), secret=secret)
    assert answer == Applied("R-1", 201)
    (request,) = scripted.requests
    signed = b"k-1.1000000." + request.body
    wanted = [
        "v1," + base64.b64encode(hmac.new(raw, signed, hashlib.sha256).digest()).decode()
        for raw in (b"new-one", b"old-one")
    ]
    assert request.headers["webhook-id"] == "k-1"
    assert request.headers["webhook-timestamp"] == "1000000"
    assert request.headers["webhook-signature"].split() == wanted
    assert "X-Loupe-Signature" not in request.headers


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        ("bearer", "Bearer s"),
        ("basic", "Basic " + base64.b64encode(b"u:s").decode()),
        ("token", "token u:s"),
    ],
)
def test_a_key_is_shown_as_the_target_wants_it(
    scripted: ScriptedMes, auth: str, header: str
) -> None:
    post(scripted, profile(auth=auth))
    assert scripted.requests[0].headers["Authorization"] == header


@pytest.mark.parametrize("secret", ["a\nb: c", "geheimnß", "x\r\nHost: evil"])
def test_a_secret_that_no_header_can_hold_says_so(scripted: ScriptedMes, secret: str) -> None:
    answer = post(scripted, profile(auth="bearer"), secret=secret)
    assert isinstance(answer, TryLater)
    assert answer.may_have_arrived is False
    assert "“secret” of erp in LOUPE_MES_TARGETS" in answer.sentence
    assert secret not in answer.sentence
    assert scripted.requests == []


def test_places_in_a_path_are_quoted_and_stay_under_the_address(scripted: ScriptedMes) -> None:
    create = {"path": "/p/{options.plant}/u/{unit.serial}", "query": {"k": "=key", "f": ["a", "b"]}}
    post(scripted, profile(create=create))
    assert scripted.requests[0].path == "/p/7%2Fa/u/a%2Fb?k=k-1&f=a&f=b"


@pytest.mark.parametrize("serial", ["..", "."])
def test_a_place_cannot_climb_out_of_the_address(scripted: ScriptedMes, serial: str) -> None:
    said = profile(create={"path": "/units/{unit.serial}/dispositions"})
    adapter = HttpMes(url=scripted.url, secret="s", timeout_s=60)
    answer = adapter.post(Message("k-1", {"unit": {"serial": serial}}, BODY, said))
    adapter.close()
    assert isinstance(answer, Refused)
    assert "leave the target's address" in answer.sentence
    assert scripted.requests == []


def test_a_place_with_nothing_to_hold_refuses_and_names_it(scripted: ScriptedMes) -> None:
    answer = post(scripted, profile(create={"path": "/lots/{lot}"}))
    assert isinstance(answer, Refused)
    assert "needs lot" in answer.sentence
    assert scripted.requests == []


@pytest.mark.parametrize(
    "wire",
    [
        {"create": {"path": "dispositions"}},
        {"create": {"path": "//other.example/x"}},
        {"create": {"path": "/a/../b"}},
        {"create": {"path": "/a?b=c"}},
        {"create": {"path": "/a#b"}},
        {"create": {"path": "/a b"}},
        {"create": {"path": "/{nope(}"}},
        {"create": {"path": "/a", "method": "DELETE"}},
        {"create": {"headers": {"Host": "other.example"}}},
        {"create": {"headers": {"A b": "c"}}},
        {"auth": "none"},
        {"url": "http://other.example"},
    ],
)
def test_a_wire_that_would_not_do_is_refused_and_sends_nothing(
    scripted: ScriptedMes, wire: dict[str, object]
) -> None:
    with pytest.raises(Invalid, match=r"wire\."):
        http_wire.parse(wire)  # type: ignore[arg-type]  # what a person may write
    assert isinstance(post(scripted, profile(**wire)), Refused)
    assert scripted.requests == []


def test_a_header_cannot_be_split(scripted: ScriptedMes) -> None:
    said = profile(create={"headers": {"X-Unit": "=unit.serial"}})
    adapter = HttpMes(url=scripted.url, secret="s", timeout_s=60)
    answer = adapter.post(Message("k", {"unit": {"serial": "a\r\nX-Evil: 1"}}, BODY, said))
    adapter.close()
    assert isinstance(answer, Refused)
    assert scripted.requests == []


def test_a_target_of_the_list_is_named_where_it_does_not_let_us_in(scripted: ScriptedMes) -> None:
    scripted.says(Reply(401, b"no"))
    answer = post(scripted, profile())
    assert isinstance(answer, TryLater)
    assert "“secret” of erp in LOUPE_MES_TARGETS" in answer.sentence
