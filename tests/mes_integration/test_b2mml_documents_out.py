"""What is sent as B2MML: valid for every verdict, defect, script and missing fact, or not sent."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from django.utils.translation import override

from mes_integration import mappings
from mes_integration.adapters import b2mml
from mes_integration.adapters.b2mml import Unsayable
from mes_integration.adapters.b2mml_xml import ALL_SCHEMAS, read, schemas_fault, schemas_in
from tests.mes_integration.b2mml import (
    KEY,
    NAMESPACE,
    confirm,
    document,
    message,
    needs_schemas,
    said,
    schemas,
)

PROFILES = [name for name in mappings.shipped_names() if name.startswith("b2mml")]
VERDICTS = ("ACCEPT", "REWORK", "SCRAP", "HOLD", "CONCESSION")
DEFECTS: dict[str, list[dict[str, Any]]] = {
    "none": [],
    "one": [{"code": "porosity", "severity": "major", "count": 1}],
    "many": [{"code": f"class-{n}", "severity": "minor", "count": n} for n in range(40)],
    "scripts": [{"code": "Lunker-部品-☃-🔧<&>\"'", "severity": "critical", "count": 3}],
}
FACTS: dict[str, dict[str, Any]] = {
    "all": {},
    "scripts": {
        "reason": "Größe ☃ 部品 🔧 <b>&amp;</b> ]]> \x07\x1b[31m\u202e\ufffe\nsecond line",
        "unit": {
            "serial": "a<b>&\"c'];--部品 🔧",
            "part_number": "Р-١",
            "part_revision": "β",
            "lot": "Löt & Co",
            "supplier": "株式会社",
        },
    },
    "none": {
        "supersedes": None,
        "line": None,
        "station": None,
        "operation": None,
        "work_order": None,
        "score": None,
        "model": None,
        "link": None,
        "reason": "",
        "decided_by": {"kind": "policy", "name": "policy"},
        "unit": {
            "serial": "SN-2",
            "part_number": None,
            "part_revision": None,
            "lot": "L",
            "supplier": None,
        },
    },
}
CONCESSION = {"approved_by": "8042", "reason": "Cosmetic."}
EVERY = list(itertools.product(PROFILES, VERDICTS, DEFECTS, FACTS))


def said_of(profile: str, verdict: str, defects: str, facts: str) -> Any:
    return message(
        profile,
        verdict=verdict,
        defects=DEFECTS[defects],
        concession=CONCESSION if verdict == "CONCESSION" else None,
        **FACTS[facts],
    )


@needs_schemas
def test_every_document_is_valid_against_the_public_schemas() -> None:
    wrong = []
    for case in EVERY:
        sent = b2mml.document(said_of(*case))
        if fault := schemas().fault(read(sent)):
            wrong.append((case, fault))
    assert wrong == []
    assert len(EVERY) >= 300


@needs_schemas
@pytest.mark.parametrize("profile", ["b2mml", "b2mml-files", "b2mml-lots", "b2mml-units"])
def test_what_asks_for_a_disposition_is_valid_too(profile: str) -> None:
    assert schemas().fault(read(b2mml.query(message(profile)))) == ""


@needs_schemas
def test_an_invalid_document_is_not_said_and_the_sentence_names_the_fault() -> None:
    body = {
        "CreationDateTime": "=recorded_at",
        "TestResult": {"ID": "=disposition_id", "EvaluationDate": "yesterday"},
    }
    with pytest.raises(Unsayable, match=r"EvaluationDate.*yesterday"):
        b2mml.document(message(body=body), schemas())


def test_a_folder_without_schemas_is_named(tmp_path: Any) -> None:
    with pytest.raises(FileNotFoundError, match="LOUPE_B2MML_SCHEMAS"):
        schemas_in(str(tmp_path))


def test_schemas_are_read_once_and_found_once_they_are_there(tmp_path: Path) -> None:
    folder = str(tmp_path)
    with override("de"):
        german = schemas_fault(folder)
    with override("en"):
        assert schemas_fault(folder) not in ("", german)
    (tmp_path / ALL_SCHEMAS).write_text('<schema xmlns="http://www.w3.org/2001/XMLSchema"/>')
    assert schemas_fault(folder) == ""
    assert schemas_in(folder) is schemas_in(folder)


def test_the_bytes_are_the_same_on_every_attempt() -> None:
    assert b2mml.document(message()) == b2mml.document(message())


def test_the_document_carries_key_verdict_unit_and_defects() -> None:
    sent = b2mml.document(message(verdict="SCRAP"))
    assert said(sent, "ApplicationArea", "BODID") == [KEY]
    assert said(sent, "TestableObjectID") == ["SN-1"]
    assert said(sent, "EvaluatedCriterionResult") == ["Scrap"]
    assert "porosity" in said(sent, "PropertyMeasurement", "ID")


@pytest.mark.parametrize(
    ("verdict", "status", "disposition", "other"),
    [
        ("ACCEPT", "ACCEPT", "UnRestricted", None),
        ("REWORK", "REWORK", "Restricted", None),
        ("SCRAP", "SCRAP", "Other", "Scrap"),
        ("HOLD", "HOLD", "Restricted", None),
        ("CONCESSION", "USE-AS-IS", "UnRestricted", None),
    ],
)
@pytest.mark.parametrize("profile", ["b2mml-lots", "b2mml-units"])
def test_a_lots_disposition_says_what_its_enumeration_lacks_beside_it(
    profile: str, verdict: str, status: str, disposition: str, other: str | None
) -> None:
    sent = b2mml.document(message(profile, verdict=verdict))
    found = read(sent).find(f".//{{{NAMESPACE}}}Disposition")
    assert found is not None
    assert (found.text, found.get("OtherValue")) == (disposition, other)
    assert said(sent, "Status") == [status]
    assert status in said(sent, "MaterialLotProperty", "Value", "ValueString")


def test_an_operations_event_has_the_verb_that_v7_wants() -> None:
    sent = read(b2mml.document(message("b2mml-events")))
    assert sent.find(f".//{{{NAMESPACE}}}Sync") is not None
    assert sent.find(f".//{{{NAMESPACE}}}Notify") is None


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"TestResult": {"ID": "x"}}, "CreationDateTime and TestResult"),
        ({"CreationDateTime": "=recorded_at", "MaterialLot": {"ID": "x"}}, "TestResult"),
        ({"CreationDateTime": "=recorded_at", "TestResult": {"Id": "x"}}, "Id in TestResult"),
        (
            {"CreationDateTime": "=recorded_at", "TestResult": {"ID": {"@on click": "x"}}},
            "attribute",
        ),
        (
            {"CreationDateTime": "=recorded_at", "TestResult": {"ID": {"#": ["x"]}}},
            "no text at TestResult.ID",
        ),
        (
            {"CreationDateTime": "=recorded_at", "TestResult": {"ID": "a\x07b"}},
            "TestResult.ID holds a character",
        ),
        (
            {"CreationDateTime": "=recorded_at", "TestResult": {"ID": "a\nb"}},
            "TestResult.ID holds a character",
        ),
    ],
)
def test_a_body_that_is_no_b2mml_is_not_said(body: Any, sentence: str) -> None:
    with pytest.raises(Unsayable, match=sentence):
        b2mml.document(message(body=body))


@pytest.mark.parametrize(
    "wire", [{}, {"message": "SyncEverything"}, {"message": "SyncTestResult", "colour": "red"}]
)
def test_a_wire_that_cannot_be_used_is_not_said(wire: Any) -> None:
    with pytest.raises(Unsayable, match="wire"):
        b2mml.document(message(wire=wire))


def test_what_is_null_or_empty_is_left_out() -> None:
    sent = b2mml.document(said_of("b2mml", "HOLD", "none", "none"))
    assert b"Description" not in sent
    assert b"ProductionLine" not in sent
    assert said(sent, "PropertyMeasurement", "ID") == ["Revision", "Lot"]


def test_a_confirmation_says_key_reference_and_reason() -> None:
    word = b2mml.word_in(read(confirm(KEY)))
    assert word is not None
    assert (word.key, word.is_taken, word.reference) == (KEY, True, "R-1")
    word = b2mml.word_in(read(confirm(KEY, reason="closed")))
    assert word is not None
    assert (word.is_taken, word.reason) == (False, "closed")


@pytest.mark.parametrize("name", ["AcknowledgeTestResult", "RespondMaterialLot"])
def test_acknowledge_and_respond_count_as_answers(name: str) -> None:
    verb = "Acknowledge" if name.startswith("Ack") else "Respond"
    data = (
        f"<{verb}><OriginalApplicationArea><BODID>{KEY}</BODID></OriginalApplicationArea></{verb}>"
    )
    word = b2mml.word_in(read(document(name, data, bodid="A-7", reference="TR-7")))
    assert word is not None
    assert (word.key, word.is_taken, word.reference) == (KEY, True, "TR-7")


def test_an_answer_without_a_reference_of_its_own_holds_it_under_the_bodid() -> None:
    word = b2mml.word_in(read(confirm(KEY, reference="")))
    assert word is not None
    assert word.reference == KEY


def test_any_other_document_is_no_answer() -> None:
    assert b2mml.word_in(read(document("SyncMaterialLot", "<Sync/>"))) is None
