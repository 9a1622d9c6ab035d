"""The facts, one module for each kind."""

from __future__ import annotations

from traceability.models.dispositions import (
    DeciderKind,
    Disposition,
    DispositionKind,
    DispositionWithdrawal,
)
from traceability.models.inspections import Capture, Inspection, ModelVersion, Prediction, Route
from traceability.models.parts import (
    Lot,
    PartNumber,
    PartRevision,
    Supplier,
    Tooling,
    Unit,
    WorkOrder,
)
from traceability.models.pictures import HeatMap, Reference
from traceability.models.plant import Area, Calibration, Line, Site, Station

__all__ = [
    "Area",
    "Calibration",
    "Capture",
    "DeciderKind",
    "Disposition",
    "DispositionKind",
    "DispositionWithdrawal",
    "HeatMap",
    "Inspection",
    "Line",
    "Lot",
    "ModelVersion",
    "PartNumber",
    "PartRevision",
    "Prediction",
    "Reference",
    "Route",
    "Site",
    "Station",
    "Supplier",
    "Tooling",
    "Unit",
    "WorkOrder",
]
