"""A broken mapping is refused in our own words: what is wrong, where, and what has to be there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from governance.roles import Role
from mes_integration import mapping, mapping_versions, mappings
from mes_integration.mapping import Unmapped
from mes_integration.targets import PROFILES, Target
from tests import factories
from traceability.refusals import Invalid

THEIRS = (
    *("Input should", "Value error", "Extra inputs", "Field required", "Traceback", "pydantic"),
    *("Invalid jmespath", "Bad jmespath", "Parse error", "literal[", "dict[", "json-", "codec"),
    *("Out of range", "function-", "tuple["),
)


def of(adapter: str) -> tuple[Target, dict[str, Any]]:
    return Target("t", adapter, "x://y", PROFILES[adapter]), mappings.shipped_document(
        PROFILES[adapter]
    )


def refused(document: object, target: Target) -> str:
    with pytest.raises(Invalid) as refusal:
        mapping_versions.checked(document, target=target)
    sentence = refusal.value.sentence
    for words in THEIRS:
        assert words not in sentence
    assert sentence.endswith(".")
    return sentence


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": "loupe.mapping/2"}, "“schema” is one of: loupe.mapping/1."),
        ({"adapter": 7}, "“adapter” is text in quotes."),
        (
            {"verdicts": {"MAYBE": "x"}},
            "“verdicts.MAYBE” is not known here; known are: ACCEPT, REWORK, SCRAP, HOLD,",
        ),
        ({"verdicts": "ACCEPT"}, "“verdicts” is a JSON object"),
        ({"defects": "theirs"}, '“defects” is "own", or a JSON object with the target\'s code'),
        ({"defects": 5}, '“defects” is "own", or a JSON object with the target\'s code'),
        ({"subject": "pallet"}, "“subject” is one of: unit, lot."),
        ({"body": "=unit"}, "“body” is a JSON object"),
        ({"body": {"a": [{"b": "=unit.["}]}}, "at “body.a[0].b” cannot be read, from character 8"),
        ({"body": {"a": "="}}, "The expression at “body.a” cannot be read: it is empty."),
        ({"body": {"a": "=" + "a" * 5000}}, "at “body.a” cannot be read: it is longer than 4000"),
        ({"body": {"a": "=$.event"}}, "at “body.a” cannot be read, from character 2 on."),
        ({"body": {"a": "=event.id#"}}, "at “body.a” cannot be read, from character 10 on."),
        ({"required": ["unit.serial", "unit.["]}, "“required[1]” cannot be read, from character 7"),
        ({"required": "unit.serial"}, "“required” is a list"),
        ({"required": [5]}, "“required[0]” is text in quotes."),
        ({"capabilities": {"key": True}}, "“capabilities.read_back” is missing."),
        ({"capabilities": {"key": "perhaps"}}, "“capabilities.key” is true or false."),
        ({"capabilities": {"max_processing_s": -1}}, "“capabilities.max_processing_s” is at least"),
        ({"capabilities": {"max_processing_s": "soon"}}, "max_processing_s” is a number."),
        ({"capabilities": {"max_processing_s": 9e9}}, "max_processing_s” is at most 86400"),
        (
            {"capabilities": {"terminal_verdicts": ["NEVER"]}},
            "“capabilities.terminal_verdicts[0]” is one of: ACCEPT,",
        ),
        ({"capabilities": {"fast": True}}, "“capabilities.fast” is not known here; take it out."),
        ({"surprise": 1}, "“surprise” is not known here; take it out."),
        ({"wire": {"create": {"path": "no"}}}, "“wire.create.path”: a path begins with / and"),
        ({"wire": {"create": {"path": "/{a.[}"}}}, "“wire.create.path”: the place {a.[} is no"),
        (
            {"wire": {"create": {"headers": {"Host": "x"}}}},
            "“wire.create.headers”: the header Host",
        ),
        ({"wire": {"then": [{"path": "/a", "method": "DELETE"}]}}, "“wire.then[0].method” is one"),
        ({"wire": {"create": {"applied": ["ok"]}}}, "“wire.create.applied[0]” is a whole number."),
        ({"wire": {"auth": "none"}}, "“wire.auth” is one of: signature, standard-webhooks, bearer"),
        ({"wire": {"said": "=answer.["}}, "at “wire.said” cannot be read, from character 10"),
        ({"body": {"a": "\0"}}, "“body.a” holds a NUL character; take it out."),
        ({"body": {"a": ["\ud800"]}}, "“body.a[0]” holds half of a character; take it out."),
        ({"body": {"a": float("nan")}}, "“body.a” is no number that can be written."),
        ({"body": {"\0": 1}}, "“body” holds a NUL character; take it out."),
        ({"body": {"a": "x" * 70_000}}, "Keep the mapping below 65536 bytes."),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_its_cure(
    changes: dict[str, Any], words: str
) -> None:
    target, document = of("http")
    for name, value in changes.items():
        whole = name == "capabilities" and "key" not in value
        document[name] = {**document[name], **value} if whole else value
    assert words in refused(document, target)


@pytest.mark.parametrize(("adapter", "wire", "words"), [
    ("mqtt", {"topic": []}, "“wire.topic” has at least 1 values."),
    ("mqtt", {"topics": []}, "“wire.topics” is not known here; take it out."),
    ("cfx", {"settled_is_applied": 3}, "“wire.settled_is_applied” is true or false."),
    ("b2mml-http", {"message": "Shout"}, "“wire.message” is one of: SyncTestResult,"),
    ("b2mml-files", {"sender": ""}, "“wire.sender” is text of at least 1 characters."),
])  # fmt: skip
def test_every_adapter_says_so_of_its_wire(adapter: str, wire: dict[str, Any], words: str) -> None:
    target, document = of(adapter)
    document["wire"] = {**document.get("wire", {}), **wire}
    assert words in refused(document, target)


@pytest.mark.parametrize("document", [[], "x", 5, None])
def test_what_is_no_object_at_all_is_said_so(document: object) -> None:
    assert "“the document” is a JSON object" in refused(document, of("http")[0])


def test_what_has_no_end_is_refused() -> None:
    target, document = of("http")
    deep: Any = 1
    for _step in range(5000):
        deep = [deep]
    document["body"] = {"a": deep}
    assert "is nested too deeply." in refused(document, target)


def test_of_many_faults_the_first_five_are_said_each_once() -> None:
    target, document = of("http")
    sentence = refused({**document, **{f"x{n}": 1 for n in range(9)}}, target)
    assert sentence.count("is not known here") == 5


def test_it_is_said_in_the_language_of_who_asks() -> None:
    target, document = of("http")
    document["body"] = {"a": "=unit.["}
    with translation.override("de"):
        sentence = refused(document, target)
    assert "body.a" in sentence
    assert "cannot be read" not in sentence


RECORD: dict[str, Any] = {"verdict": "HOLD", "defects": [], "unit": {"serial": "SN-1", "lot": None}}


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("sum(unit.serial)", "sum() takes array-number, not string"),
        ("summe(unit.serial)", "there is no function summe()"),
        ("length()", "length() takes 1 values, not 0"),
        ("merge()", "merge() takes at least 1 values, not 0"),
        ("to_number(join('', ['1e', '999']))", "inf is no number that can be written"),
    ],
)
def test_an_expression_without_an_answer_says_why_and_where_to_mend_it(
    expression: str, why: str
) -> None:
    _target, document = of("http")
    profile = mapping.parse({**document, "body": {"a": f"={expression}"}})
    with pytest.raises(Unmapped) as stopped:
        mapping.render(profile, RECORD)
    sentence = stopped.value.sentence
    assert f"={expression} cannot be answered: {why}. Change it in the mapping" in sentence
    assert not any(words in sentence for words in THEIRS)


@pytest.mark.django_db
def test_over_the_api_it_is_the_same_sentence(settings: Any) -> None:
    settings.LOUPE = settings.LOUPE.model_copy(
        update={"mes_url": "http://mes.invalid", "mes_targets": []}
    )
    client = Client(headers={"Accept-Language": "en"})
    client.force_login(factories.user(Role.QUALITY_ENGINEER))
    document = {**mappings.shipped_document("generic"), "body": {"a": "=unit.["}}
    body = {
        "site": factories.site().code,
        "target": "mes",
        "document": document,
        "reason": "New words.",
        "base": 0,
    }
    for path in ("/api/v1/mes/mappings", "/api/v1/mes/mappings/dry-run"):
        answer = client.post(path, json.dumps(body), content_type="application/json")
        assert answer.status_code == 422
        assert "“body.a” cannot be read, from character 8" in answer.json()["detail"]
