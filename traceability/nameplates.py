"""What a unit is and where it was inspected, in words: for the bench and for the MES."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from traceability.models import Inspection

# Codes of what inspection `i` of unit `u` hangs on. Subqueries rather than joins: all are
# look-ups by primary key, and the planner does not have to try their orders.
COLUMNS: Final = """
u.serial,
(SELECT p.number FROM traceability_partrevision r
    JOIN traceability_partnumber p ON p.id = r.part_number_id WHERE r.id = u.part_revision_id),
(SELECT r.revision FROM traceability_partrevision r WHERE r.id = u.part_revision_id),
(SELECT l.code FROM traceability_lot l WHERE l.id = u.lot_id),
(SELECT s.code FROM traceability_supplier s WHERE s.id = u.supplier_id),
(SELECT s.code FROM traceability_site s WHERE s.id = i.site_id),
(SELECT l.code FROM traceability_line l WHERE l.id = i.line_id),
(SELECT s.code FROM traceability_station s WHERE s.id = i.station_id)
"""
WIDTH: Final = 8


@dataclass(frozen=True, slots=True)
class Nameplate:
    """One inspected unit's codes; None where it has none."""

    serial: str
    part_number: str | None
    part_revision: str | None
    lot: str | None
    supplier: str | None
    site: str
    line: str
    station: str | None

    @classmethod
    def of(cls, inspection: Inspection) -> Self:
        """From an inspection whose relations are loaded."""
        unit, part = inspection.unit, inspection.unit.part_revision
        return cls(
            serial=unit.serial,
            part_number=part.part_number.number if part else None,
            part_revision=part.revision if part else None,
            lot=unit.lot.code if unit.lot else None,
            supplier=unit.supplier.code if unit.supplier else None,
            site=inspection.site.code,
            line=inspection.line.code,
            station=inspection.station.code if inspection.station else None,
        )

    @classmethod
    def read(cls, row: Sequence[Any]) -> Self:
        """From the first WIDTH values of a row that was selected by COLUMNS."""
        return cls(*row[:WIDTH])
