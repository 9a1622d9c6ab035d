"""IPC-CFX: what a disposition is in its words, and what is no CFX."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mes_integration import mapping, mappings
from mes_integration.adapters import cfx_envelopes
from mes_integration.adapters.cfx_envelopes import Unsayable, envelopes_of, level
from mes_integration.adapters.cfx_messages import (
    Defect,
    Envelope,
    Heartbeat,
    InspectedUnit,
    Operator,
    RepairedUnit,
    UnitsDisqualified,
    UnitsInspected,
    WhoIsThereRequest,
)
from mes_integration.mapping import VERDICTS
from tests.mes_integration.cfx_reading import checked

KEY = "01890000-0000-7000-8000-000000000001"
HANDLE = "Loupe.Disposition.mes"
RECORD: dict[str, Any] = {
    "verdict": "REWORK",
    "decided_at": "2026-03-01T06:30:00Z",
    "score": 0.87,
    "source": "model+human",
    "images": [
        {"id": "i-1", "uri": "s3://plant/captures/a.png", "sha256": "00"},
        {"id": "i-2", "uri": "https://store/b.jpg?x=1", "sha256": "11"},
    ],
    "unit": {"serial": "SN-1"},
    "decided_by": {"kind": "inspector", "badge": "4711"},
    "model": {"name": "castings", "version": "7"},
    "inspection_id": "7b0e1de0-58d7-4b8e-9a0c-7e55a6d4b001",
    "operation": "st-1",
    "reason": "Pores at the sealing face.",
    "defects": [
        {"code": "porosity", "severity": "critical", "count": 2},
        {"code": "scratch", "severity": "minor", "count": 1},
    ],
}


def said(key: str = KEY, **changes: Any) -> list[dict[str, Any]]:
    """The messages of a record, as they stand on the wire, each one read a second time."""
    body = mapping.render(mappings.shipped("cfx"), {**RECORD, **changes})
    found = [envelope.as_json() for envelope in envelopes_of(key, body, handle=HANDLE)]
    return [checked(json.dumps(envelope).encode()) for envelope in found]


def body(**changes: Any) -> dict[str, Any]:
    """The shipped profile's body, with fields of UnitsInspected replaced."""
    made = mapping.render(mappings.shipped("cfx"), RECORD)
    made["UnitsInspected"] |= changes
    return made


def test_a_rework_is_this_message() -> None:
    (envelope,) = said()
    assert envelope == {
        "MessageName": "CFX.Production.TestAndInspection.UnitsInspected",
        "Version": "2.1",
        "TimeStamp": "2026-03-01T06:30:00Z",
        "UniqueID": KEY,
        "Source": HANDLE,
        "Target": None,
        "RequestID": None,
        "MessageBody": {
            "$type": "CFX.Production.TestAndInspection.UnitsInspected, CFX",
            "PrimaryIdentifier": "SN-1",
            "TransactionId": KEY,
            "InspectionMethod": "Human",
            "SamplingInformation": {"SamplingMethod": "NoSampling"},
            "Inspector": {"OperatorIdentifier": "4711", "ActorType": "Human"},
            "RecipeName": "castings",
            "RecipeRevision": "7",
            "InspectedUnits": [
                {
                    "UnitIdentifier": "SN-1",
                    "OverallResult": "Failed",
                    "Verification": "DefectConfirmed",
                    "TotalInspectionCount": 1,
                    "Inspections": [
                        {
                            "UniqueIdentifier": "7b0e1de0-58d7-4b8e-9a0c-7e55a6d4b001",
                            "InspectionName": "st-1",
                            "InspectionEndTime": "2026-03-01T06:30:00Z",
                            "Comments": "Pores at the sealing face.",
                            "Result": "Failed",
                            "Verification": "DefectConfirmed",
                            "DefectsFound": [
                                {
                                    "UniqueIdentifier": "c164d8ef-0ba3-5020-b36b-ff0e6d78807a",
                                    "DefectCode": "porosity",
                                    "DefectCategory": "critical",
                                    "Comments": "Count: 2",
                                    "DefectImages": [
                                        {
                                            "MimeType": "image/png",
                                            "TransferMode": "OutOfBand",
                                            "ImageURL": "s3://plant/captures/a.png",
                                        },
                                        {
                                            "MimeType": "image/jpeg",
                                            "TransferMode": "OutOfBand",
                                            "ImageURL": "https://store/b.jpg?x=1",
                                        },
                                    ],
                                    "Priority": 1,
                                    "ConfidenceLevel": 87.0,
                                    "Verification": "DefectConfirmed",
                                },
                                {
                                    "UniqueIdentifier": "ee52969f-a890-575b-99f6-9e891f681adc",
                                    "DefectCode": "scratch",
                                    "DefectCategory": "minor",
                                    "Comments": "Count: 1",
                                    "DefectImages": [],
                                    "Priority": 3,
                                    "ConfidenceLevel": 87.0,
                                    "Verification": "DefectConfirmed",
                                },
                            ],
                            "Symptoms": [],
                            "Measurements": [],
                        }
                    ],
                }
            ],
        },
    }


@pytest.mark.parametrize(
    ("verdict", "result", "verification"),
    [
        ("ACCEPT", "Passed", "DefectRejected"),
        ("CONCESSION", "Passed", "DefectAccepted"),
        ("REWORK", "Failed", "DefectConfirmed"),
        ("HOLD", "Failed", "NotVerifiedYet"),
    ],
)
def test_each_verdict_has_its_result_and_verification(
    verdict: str, result: str, verification: str
) -> None:
    (envelope,) = said(verdict=verdict)
    (unit,) = envelope["MessageBody"]["InspectedUnits"]
    (step,) = unit["Inspections"]
    assert {unit["OverallResult"], step["Result"]} == {result}
    found = {unit["Verification"], step["Verification"]}
    assert found | {d["Verification"] for d in step["DefectsFound"]} == {verification}


def test_a_scrap_is_inspected_first_and_then_disqualified_under_the_key() -> None:
    inspected, disqualified = said(verdict="SCRAP")
    assert inspected["MessageName"].endswith(".UnitsInspected")
    assert inspected["UniqueID"] != KEY
    assert inspected["MessageBody"]["TransactionId"] == KEY
    assert disqualified["MessageName"] == "CFX.Production.UnitsDisqualified"
    assert disqualified["UniqueID"] == KEY
    assert disqualified["MessageBody"]["Reason"] == "DefectiveRepairNotFeasible"
    (unit,) = disqualified["MessageBody"]["Units"]
    assert (unit["UnitIdentifier"], unit["Status"]) == ("SN-1", "Fail")


@pytest.mark.parametrize("verdict", VERDICTS)
def test_told_again_it_is_the_same_to_the_last_byte(verdict: str) -> None:
    assert json.dumps(said(verdict=verdict)) == json.dumps(said(verdict=verdict))


def test_a_model_alone_is_no_person_and_a_unit_without_defects_has_none() -> None:
    (envelope,) = said(
        source="model", decided_by={"kind": "model", "name": "castings"}, score=None, defects=[]
    )
    told = envelope["MessageBody"]
    assert told["InspectionMethod"] == "AOI"
    assert told["Inspector"] == {"OperatorIdentifier": "castings", "ActorType": "RemoteSystem"}
    assert told["InspectedUnits"][0]["Inspections"][0]["DefectsFound"] == []


def test_without_a_score_no_confidence_is_made_up() -> None:
    (envelope,) = said(score=None)
    (unit,) = envelope["MessageBody"]["InspectedUnits"]
    assert all("ConfidenceLevel" not in d for d in unit["Inspections"][0]["DefectsFound"])


@given(st.floats(min_value=0, max_value=1))
def test_a_probability_stays_within_what_cfx_allows_and_in_order(score: float) -> None:
    told = level(score)
    assert told is not None
    assert 1 <= told <= 100
    assert told >= (level(score / 2) or 0)
    Defect(defect_code="x", confidence_level=told)


@given(st.uuids(version=None), st.integers(min_value=0, max_value=1))
def test_an_earlier_messages_id_leads_back_to_its_key(key: UUID, number: int) -> None:
    earlier = cfx_envelopes.earlier_id(str(key), number)
    assert earlier != key
    assert key in cfx_envelopes.keys_of_earlier(str(earlier))


@given(
    st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
)
def test_any_text_comes_through(text: str) -> None:
    (envelope,) = said(unit={"serial": text}, reason=text)
    (unit,) = envelope["MessageBody"]["InspectedUnits"]
    assert unit["UnitIdentifier"] == unit["Inspections"][0]["Comments"]
    assert unit["UnitIdentifier"] == text


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"InspectionMethod": "Guess"}, "InspectionMethod"),
        ({"TransactionId": "not-a-guid"}, "TransactionId"),
        ({"Inspector": {"ActorType": "Cat"}}, "ActorType"),
        ({"SamplingInformation": {"SamplingMethod": "Some"}}, "SamplingMethod"),
        ({"InspectedUnits": []}, "InspectedUnits"),
        ({"InspectedUnits": [{"UnitIdentifier": "x"}]}, "OverallResult"),
        ({"Inspected": 1}, "Inspected"),
    ],
)
def test_what_is_no_cfx_is_refused_by_its_place(fields: dict[str, Any], place: str) -> None:
    with pytest.raises(Unsayable, match=place):
        envelopes_of(KEY, body(**fields), handle=HANDLE)


@pytest.mark.parametrize(
    "unit",
    [
        {"verification": "Maybe"},
        {"overall_result": "passed"},
        {"unit_identifier": ""},
        {"unit_position_number": -1},
    ],
)
def test_a_wrong_value_of_a_closed_list_is_refused(unit: dict[str, Any]) -> None:
    good = {"unit_identifier": "SN", "overall_result": "Passed", "verification": "NotVerifiedYet"}
    InspectedUnit.model_validate(good)
    with pytest.raises(ValidationError):
        InspectedUnit.model_validate(good | unit)


@pytest.mark.parametrize("confidence", [0, 0.99, 100.01, float("nan")])
def test_a_confidence_outside_one_to_hundred_is_refused(confidence: float) -> None:
    with pytest.raises(ValidationError):
        Defect(defect_code="x", confidence_level=confidence)


def test_pixels_are_never_sent() -> None:
    image = {"MimeType": "image/png", "TransferMode": "InBand", "ImageURL": "s3://a/b"}
    with pytest.raises(ValidationError):
        Defect.model_validate({"DefectCode": "x", "DefectImages": [image]})


def test_a_body_without_any_message_is_refused() -> None:
    with pytest.raises(Unsayable, match="UnitsInspected"):
        envelopes_of(KEY, {"TimeStamp": "2026-03-01T06:30:00Z"}, handle=HANDLE)


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(Unsayable, match="TimeStamp"):
        envelopes_of(KEY, {**body(), "TimeStamp": "2026-03-01T06:30:00"}, handle=HANDLE)


def test_the_outcome_of_a_rework_can_be_told() -> None:
    repaired = {
        "RepairOperator": {"OperatorIdentifier": "4711"},
        "RepairedUnits": [
            {
                "UnitIdentifier": "SN-1",
                "OverallResult": "RepairSuccessful",
                "Repairs": [{"RepairName": "Weld", "Result": "RepairSuccessful"}],
            }
        ],
    }
    told = {**body(), "UnitsRepaired": repaired}
    inspected, repairs = (e.as_json() for e in envelopes_of(KEY, told, handle=HANDLE))
    assert inspected["UniqueID"] != repairs["UniqueID"] == KEY
    assert repairs["MessageName"] == "CFX.Production.ReworkAndRepair.UnitsRepaired"
    assert repairs["MessageBody"]["TransactionId"] == KEY
    (repair,) = repairs["MessageBody"]["RepairedUnits"][0]["Repairs"]
    assert UUID(repair["UniqueIdentifier"])
    with pytest.raises(ValidationError):
        RepairedUnit.model_validate({"UnitIdentifier": "x", "OverallResult": "Fine"})


def test_a_disqualification_has_one_of_three_reasons() -> None:
    with pytest.raises(ValidationError):
        UnitsDisqualified.model_validate({"Reason": "Ugly", "Units": [{"UnitIdentifier": "SN-1"}]})


def test_a_heartbeat_says_how_often_in_hours_minutes_and_seconds() -> None:
    made = Envelope.model_validate(
        {
            "unique_id": KEY,
            "time_stamp": "2026-03-01T06:30:00Z",
            "source": HANDLE,
            "message_body": Heartbeat(cfx_handle=HANDLE, heartbeat_frequency="00:01:00"),
        }
    )
    assert made.as_json()["MessageBody"] == {
        "$type": "CFX.Heartbeat, CFX",
        "CFXHandle": HANDLE,
        "HeartbeatFrequency": "00:01:00",
    }
    with pytest.raises(ValidationError):
        Heartbeat(cfx_handle=HANDLE, heartbeat_frequency="60")


def test_what_a_newer_peer_adds_is_passed_over_and_what_loupe_adds_by_mistake_is_not() -> None:
    WhoIsThereRequest.model_validate({"SupportedTopicQueryType": "Any", "New": 1})
    with pytest.raises(ValidationError):
        Operator.model_validate({"Badge": "4711"})


def test_an_unknown_word_in_the_profiles_wire_is_refused() -> None:
    with pytest.raises(Unsayable, match="settled"):
        cfx_envelopes.wire_of({"settled": True})


def test_units_inspected_names_its_inspector() -> None:
    with pytest.raises(ValidationError):
        UnitsInspected.model_validate({"InspectionMethod": "AOI", "InspectedUnits": [{}]})
