"""What each answer to a posted B2MML document means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mes_integration.adapters import b2mml
from mes_integration.adapters.b2mml_http import B2mmlMes
from mes_integration.adapters.http_signing import signature
from mes_integration.adapters.protocol import Applied, Handed, Refused, TryLater, Uncertain
from mes_integration.targets import Target
from tests.mes_integration.b2mml import KEY, confirm, document, message, needs_schemas, schemas
from tests.mes_integration.plant import Reply, ScriptedMes

SECRET = "known-to-both"
SHOWN = f"<TestResult><ID>{KEY}</ID><EvaluatedCriterionResult>Hold</EvaluatedCriterionResult>"


@pytest.fixture
def scripted() -> Iterator[ScriptedMes]:
    mes = ScriptedMes()
    yield mes
    mes.stop()


@pytest.fixture
def mes(scripted: ScriptedMes) -> Iterator[B2mmlMes]:
    url = f"{scripted.url}/b2mml"
    adapter = B2mmlMes(Target("erp", "b2mml-http", url, "b2mml", secret=SECRET, timeout_s=60))
    yield adapter
    adapter.close()


def show(nouns: str) -> bytes:
    return document("ShowTestResult", f"<Show/>{nouns}", reference="TR-1")


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (Reply(200, confirm(KEY, reference="TR-1")), Applied, "TR-1"),
        (Reply(200, confirm(KEY, reference="")), Applied, KEY),
        (Reply(200, confirm(KEY, reason="unit is shipped")), Refused, "unit is shipped"),
        (Reply(422, confirm(KEY, reason="unit is shipped")), Refused, "unit is shipped"),
        (Reply(500, confirm(KEY, reason="no room")), TryLater, "no room"),
        (Reply(500, confirm(KEY)), TryLater, "500"),
        (Reply(200, confirm("another-key")), Uncertain, "BODID"),
        (Reply(200, confirm("")), Uncertain, "BODID"),
        (Reply(200, b'{"reference": "R-1"}'), Uncertain, "BODID"),
        (Reply(200, b"<!DOCTYPE a><a/>"), Uncertain, "BODID"),
        (Reply(202, b""), Handed, "separately"),
        (Reply(204, b""), Handed, "separately"),
        (Reply(200, b" \n"), Handed, "separately"),
        (Reply(302, b""), TryLater, "elsewhere"),
        (Reply(401, b"who?"), TryLater, "let Loupe in"),
        (Reply(404, b"nothing here"), Refused, "nothing here"),
        (Reply(422, confirm("another-key", reason="odd")), Refused, "odd"),
        (Reply(429, b""), TryLater, "429"),
        (Reply(503, b""), TryLater, "503"),
        (Reply(200, b"<a>" + b" " * 100_000), Uncertain, "more than can be read"),
        (Reply(reset=True), Uncertain, "broke"),
    ],
)
def test_an_answer_to_a_post(
    scripted: ScriptedMes, mes: B2mmlMes, reply: Reply, kind: type, words: str
) -> None:
    scripted.says(reply)
    answer = mes.post(message())
    assert isinstance(answer, kind)
    assert words in (answer.reference if isinstance(answer, Applied) else _sentence(answer))


def test_only_what_certainly_did_not_arrive_is_said_not_to_have(
    scripted: ScriptedMes, mes: B2mmlMes
) -> None:
    for status, may_have in ((429, False), (401, False), (500, True), (503, True), (408, True)):
        scripted.says(Reply(status, b""))
        answer = mes.post(message())
        assert isinstance(answer, TryLater)
        assert answer.may_have_arrived is may_have
    scripted.says(Reply(500, confirm(KEY)))
    answer = mes.post(message())
    assert isinstance(answer, TryLater)
    assert answer.may_have_arrived


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(200, show(f"{SHOWN}</TestResult>")), Applied),
        (Reply(200, show("<TestResult><ID>other</ID></TestResult>")), None),
        (Reply(200, confirm(f"get-{KEY}", reason="unknown", code="NotFound")), None),
        (Reply(404, confirm(f"get-{KEY}", reason="unknown", code="NotFound")), None),
        (Reply(200, confirm(f"get-{KEY}", reason="no Get here", code="E7")), Uncertain),
        (Reply(200, confirm(KEY)), Uncertain),
        (Reply(200, b""), Uncertain),
        (Reply(404, b"nothing here"), Uncertain),
        (Reply(401, b""), TryLater),
        (Reply(503, b""), TryLater),
        (Reply(reset=True), TryLater),
    ],
)
def test_an_answer_to_a_get(
    scripted: ScriptedMes, mes: B2mmlMes, reply: Reply, kind: type | None
) -> None:
    scripted.says(reply)
    answer = mes.read_back(message())
    assert answer is None if kind is None else isinstance(answer, kind)


def test_what_is_shown_tells_verdict_reference_and_how_often(
    scripted: ScriptedMes, mes: B2mmlMes
) -> None:
    scripted.says(Reply(200, show(f"{SHOWN}</TestResult>" * 2)))
    held = mes.read_back(message())
    assert held == Applied("TR-1", 200, verdict="Hold", copies=2)


def test_the_document_goes_to_the_address_signed_and_as_xml(
    scripted: ScriptedMes, mes: B2mmlMes
) -> None:
    mes.post(message())
    (sent,) = scripted.requests
    assert (sent.method, sent.path, sent.body) == ("POST", "/b2mml", b2mml.document(message()))
    assert sent.headers["Content-Type"].startswith("application/xml")
    at = int(sent.headers["X-Loupe-Signature"].partition(",")[0].removeprefix("t="))
    assert sent.headers["X-Loupe-Signature"] == signature(SECRET, sent.body, at=at)


@needs_schemas
def test_what_is_not_valid_never_leaves(scripted: ScriptedMes) -> None:
    target = Target("erp", "b2mml-http", scripted.url, "b2mml", secret=SECRET)
    adapter = B2mmlMes(target, schemas=schemas())
    body = {"CreationDateTime": "=recorded_at", "TestResult": {"EvaluationDate": "yesterday"}}
    answer = adapter.post(message(body=body))
    assert isinstance(answer, Refused)
    assert "not valid" in answer.sentence
    assert scripted.requests == []
    adapter.close()


def test_nobody_there_is_tried_again(scripted: ScriptedMes, mes: B2mmlMes) -> None:
    scripted.stop()
    answer = mes.post(message())
    assert answer == TryLater(_sentence(answer))
    assert isinstance(mes.read_back(message()), TryLater)


def _sentence(answer: Any) -> str:
    return str(answer.sentence)
