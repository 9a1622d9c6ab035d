"""A second reading of CFX, by the standard's field lists alone and none of the adapter's models."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import UUID

ENVELOPE = {
    "MessageName",
    "Version",
    "TimeStamp",
    "UniqueID",
    "Source",
    "Target",
    "RequestID",
    "MessageBody",
}
RESULTS = {"Passed", "Failed", "Error", "Aborted", "Skipped"}
VERIFICATIONS = {
    "NotVerifiedYet",
    "DefectConfirmed",
    "DefectRejected",
    "DefectAccepted",
    "DefectRepaired",
    "DefectClosed",
}
REASONS = {"DefectiveRepairNotPossible", "DefectiveRepairNotFeasible", "DefectiveMaterials"}


def checked(data: bytes) -> dict[str, Any]:
    """The envelope, after every value of a closed list, every id and time was looked at."""
    envelope: dict[str, Any] = json.loads(data)
    assert set(envelope) == ENVELOPE
    assert envelope["Version"] == "2.1"
    assert datetime.fromisoformat(envelope["TimeStamp"]).tzinfo is not None
    assert UUID(envelope["UniqueID"])
    assert len(envelope["Source"].split(".")) == 3
    body, name = envelope["MessageBody"], envelope["MessageName"]
    assert next(iter(body)) == "$type"
    assert body["$type"] == f"{name}, CFX"
    if name.endswith(".UnitsInspected"):
        assert UUID(body["TransactionId"])
        assert body["InspectionMethod"] in {"Human", "AOI", "SPI", "AXI"}
        assert body["Inspector"]["ActorType"] in {"Human", "Robot", "RemoteSystem"}
        for unit in body["InspectedUnits"]:
            _unit(unit)
    elif name == "CFX.Production.UnitsDisqualified":
        assert body["Reason"] in REASONS
        assert all(unit["UnitIdentifier"] for unit in body["Units"])
    return envelope


def _unit(unit: dict[str, Any]) -> None:
    assert unit["UnitIdentifier"]
    assert unit["OverallResult"] in RESULTS
    assert unit["Verification"] in VERIFICATIONS
    for step in unit["Inspections"]:
        assert step["Result"] in RESULTS
        assert step["Verification"] in VERIFICATIONS
        ids = [defect["UniqueIdentifier"] for defect in step["DefectsFound"]]
        assert len(set(ids)) == len(ids)
        for defect in step["DefectsFound"]:
            _defect(defect)


def _defect(defect: dict[str, Any]) -> None:
    assert defect["DefectCode"]
    assert defect["Verification"] in VERIFICATIONS
    assert defect.get("Priority", 1) >= 1
    assert 1 <= defect.get("ConfidenceLevel", 1) <= 100
    for image in defect["DefectImages"]:
        assert image["TransferMode"] == "OutOfBand"
        assert image["ImageURL"]
        assert "ImageData" not in image
