"""An event's facts as rows: unit, inspection, capture, prediction; statements for a whole batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection

from inference_bridge import references
from inference_bridge.events import PredictionEvent
from inference_bridge.references import Key, Kind
from inference_bridge.routing import Rule
from traceability import locks
from traceability.inserts import insert_all
from traceability.models import (
    Capture,
    Inspection,
    ModelVersion,
    Prediction,
    Route,
    Site,
    Unit,
)
from traceability.nameplates import Nameplate


@dataclass(slots=True, kw_only=True)
class Sighting:
    """An event that is being taken, with what it was found to belong to."""

    event: PredictionEvent
    site: Site
    line_id: int
    rule: Rule
    policy_version: int
    route: Route
    is_sampled: bool = False
    inclusion: float = 1.0
    station_id: int | None = None
    part_revision_id: int | None = None
    supplier_id: int | None = None
    lot_id: int | None = None
    tooling_id: int | None = None
    calibration_id: int | None = None
    model: ModelVersion | None = None
    inspection: Inspection | None = None
    capture: Capture | None = None

    @property
    def its_model(self) -> ModelVersion:
        """The model it cites, once the references are found."""
        if self.model is None:
            raise AssertionError("references are found before anything is recorded")
        return self.model

    @property
    def its_inspection(self) -> Inspection:
        """The inspection it belongs to, once it is recorded."""
        if self.inspection is None:
            raise AssertionError("a view has its inspection once it is recorded")
        return self.inspection

    @property
    def its_capture(self) -> Capture:
        """Its capture, once it is recorded."""
        if self.capture is None:
            raise AssertionError("a view has its capture once it is recorded")
        return self.capture

    @property
    def nameplate(self) -> Nameplate | None:
        """What is written on the unit, when the event says the same as the rows."""
        there = self.its_inspection
        unit = there.unit
        if (unit.part_revision_id, unit.lot_id, unit.supplier_id) != (
            self.part_revision_id,
            self.lot_id,
            self.supplier_id,
        ) or (there.line_id, there.station_id) != (self.line_id, self.station_id):
            return None
        place, shot = self.event.place, self.event.shot
        return Nameplate(
            serial=shot.serial,
            part_number=shot.part_number or None,
            part_revision=shot.part_revision if shot.part_number else None,
            lot=shot.lot or None,
            supplier=shot.supplier or None,
            site=self.site.code,
            line=place.line,
            station=place.station or None,
        )

    @property
    def unit_key(self) -> tuple[int, str]:
        """Site and serial number."""
        return self.site.pk, self.event.shot.serial

    @property
    def inspection_key(self) -> tuple[int, str]:
        """Site and the inspection's identifier there."""
        return self.site.pk, self.event.shot.inspection_id


def lock(events: Iterable[PredictionEvent]) -> None:
    """Make other takers of the same events, inspections or units wait for this transaction.

    A capture has no key of its own, so only one taker at a time may look whether it is there.
    """
    names = set()
    for event in events:
        names.add(f"event {len(event.source)} {event.source} {event.event_id}")
        site = f"{len(event.place.site)} {event.place.site}"
        names.add(f"inspection {site} {event.shot.inspection_id}")
        names.add(locks.unit(event.place.site, event.shot.serial))
    locks.take(names)


# Written out: what these cost through the ORM is the making of the statement, for every batch.
# NO KEY leaves alone who only points at the row: a verdict's disposition names the inspection while
# its task, for which the intake waits here, is still locked by it.
_TAKEN: Final = """
SELECT p.source, p.event_id, p.site_id, p.body_sha256 FROM traceability_prediction p
JOIN unnest(%s::text[], %s::text[]) AS w(source, event_id) USING (source, event_id)
"""
_INSPECTIONS: Final = """
SELECT i.id FROM traceability_inspection i
JOIN unnest(%s::bigint[], %s::text[]) AS w(site_id, external_id) USING (site_id, external_id)
ORDER BY i.id FOR NO KEY UPDATE OF i
"""
_UNITS: Final = """
SELECT u.id FROM traceability_unit u
JOIN unnest(%s::bigint[], %s::text[]) AS w(site_id, serial) USING (site_id, serial)
ORDER BY u.id FOR NO KEY UPDATE OF u
"""


def _locked(statement: str, keys: Sequence[tuple[int, str]]) -> list[int]:
    """Ids of the rows with these (site, name) keys, locked in the order of their ids."""
    with connection.cursor() as cursor:
        cursor.execute(statement, [[site for site, _name in keys], [name for _site, name in keys]])
        return [pk for (pk,) in cursor.fetchall()]


def taken_before(events: Sequence[PredictionEvent]) -> dict[tuple[str, str], tuple[int, str]]:
    """(source, id) to site and body's hash, for the events that are known at any site."""
    with connection.cursor() as cursor:
        cursor.execute(_TAKEN, [[e.source for e in events], [e.event_id for e in events]])
        return {(source, name): (site, digest) for source, name, site, digest in cursor.fetchall()}


def find_references(sightings: Sequence[Sighting], *, at: datetime) -> None:
    """Fill in the ids of the master data each event names; makes what is missing."""
    suppliers = _named(references.SUPPLIER, sightings, "supplier")
    toolings = _named(references.TOOLING, sightings, "tooling")
    for s in sightings:
        s.supplier_id = suppliers.get((s.site.pk, s.event.shot.supplier))
        s.tooling_id = toolings.get((s.site.pk, s.event.shot.tooling))
    _find_lots(sightings)
    _find_parts(sightings)
    _find_stations(sightings)
    _find_models(sightings, at=at)


def _named(kind: Kind, sightings: Sequence[Sighting], name: str) -> dict[Key, int]:
    wanted: dict[Key, Key] = {
        (s.site.pk, code): () for s in sightings if (code := getattr(s.event.shot, name))
    }
    return references.ids(kind, wanted)


def _find_lots(sightings: Sequence[Sighting]) -> None:
    wanted: dict[Key, Key] = {}
    for s in sightings:
        if s.event.shot.lot:
            wanted.setdefault((s.site.pk, s.event.shot.lot), (s.supplier_id,))
    lots = references.ids(references.LOT, wanted)
    for s in sightings:
        s.lot_id = lots.get((s.site.pk, s.event.shot.lot))


def _find_parts(sightings: Sequence[Sighting]) -> None:
    numbers = _named(references.PART_NUMBER, sightings, "part_number")
    wanted: dict[Key, Key] = {}
    keys: dict[int, Key] = {}
    for s in sightings:
        if s.event.shot.part_number:
            number = numbers[s.site.pk, s.event.shot.part_number]
            keys[id(s)] = key = (number, s.event.shot.part_revision)
            wanted[key] = (s.site.pk,)
    revisions = references.ids(references.PART_REVISION, wanted)
    for s in sightings:
        s.part_revision_id = revisions.get(keys.get(id(s), ()))


def _find_stations(sightings: Sequence[Sighting]) -> None:
    at_stations = [s for s in sightings if s.event.place.station]
    stations = references.ids(
        references.STATION,
        {(s.line_id, s.event.place.station): (s.site.pk,) for s in at_stations},
    )
    for s in at_stations:
        s.station_id = stations[s.line_id, s.event.place.station]
    calibrated = [s for s in at_stations if s.event.shot.calibration_version]
    calibrations = references.ids(
        references.CALIBRATION,
        {(s.station_id, s.event.shot.calibration_version): (s.site.pk,) for s in calibrated},
    )
    for s in calibrated:
        s.calibration_id = calibrations[s.station_id, s.event.shot.calibration_version]


def _find_models(sightings: Sequence[Sighting], *, at: datetime) -> None:
    models = references.ids(
        references.MODEL_VERSION,
        {
            (s.site.pk, s.event.model_name, s.event.model_version): (s.event.package_arn, at)
            for s in sightings
        },
    )
    for s in sightings:
        name, version = s.event.model_name, s.event.model_version
        s.model = ModelVersion(
            pk=models[s.site.pk, name, version],
            site_id=s.site.pk,
            name=name,
            version=version,
            package_arn=s.event.package_arn,
        )


def find_inspections(sightings: Sequence[Sighting]) -> dict[tuple[int, str], Inspection]:
    """The inspections that are there already, locked, each with its unit and place."""
    there = _locked(_INSPECTIONS, [s.inspection_key for s in sightings])
    if not there:
        return {}
    rows = Inspection.objects.select_related("unit", "line", "station").filter(pk__in=there)
    return {(row.site_id, row.external_id): row for row in rows}


def record(
    sightings: Sequence[Sighting],
    *,
    earlier: Mapping[tuple[int, str], Inspection],
    at: datetime,
) -> None:
    """Write units, inspections, captures and predictions of a batch."""
    units = _units(sightings, at=at)
    _inspections(sightings, earlier, units, at=at)
    captures = insert_all(_capture(s) for s in sightings)
    for s, capture in zip(sightings, captures, strict=True):
        s.capture = capture
    # Whoever comes second waited for the lock and found the row; the unique key stops the rest.
    insert_all(_prediction(s, at=at) for s in sightings)


def _units(sightings: Sequence[Sighting], *, at: datetime) -> dict[tuple[int, str], Unit]:
    """Find or make, and lock; a fact a unit lacked is filled in, one it has stays."""
    wanted: dict[tuple[int, str], Sighting] = {}
    for s in sightings:
        wanted.setdefault(s.unit_key, s)
    there = _locked(_UNITS, list(wanted))
    rows = Unit.objects.filter(pk__in=there) if there else ()
    units = {(unit.site_id, unit.serial): unit for unit in rows}
    new = [_unit(wanted[key], at=at) for key in sorted(wanted.keys() - units.keys())]
    units |= {(unit.site_id, unit.serial): unit for unit in insert_all(new)}
    filled = [unit for s in sightings if _fill(unit := units[s.unit_key], s)]
    if filled:
        Unit.objects.bulk_update(filled, ["part_revision", "lot", "supplier"])
    return units


def _unit(s: Sighting, *, at: datetime) -> Unit:
    return Unit(
        site_id=s.site.pk,
        serial=s.event.shot.serial,
        part_revision_id=s.part_revision_id,
        lot_id=s.lot_id,
        supplier_id=s.supplier_id,
        first_seen_at=at,
    )


def _fill(unit: Unit, s: Sighting) -> bool:
    changed = False
    for name in ("part_revision_id", "lot_id", "supplier_id"):
        if getattr(unit, name) is None and getattr(s, name) is not None:
            setattr(unit, name, getattr(s, name))
            changed = True
    return changed


def _inspections(
    sightings: Sequence[Sighting],
    earlier: Mapping[tuple[int, str], Inspection],
    units: Mapping[tuple[int, str], Unit],
    *,
    at: datetime,
) -> None:
    made: dict[tuple[int, str], Inspection] = {}
    grown: set[Inspection] = set()
    views: dict[tuple[int, str], set[str]] = defaultdict(set)
    for s in sightings:
        views[s.inspection_key].add(s.event.shot.view)
        there = earlier.get(s.inspection_key) or made.get(s.inspection_key)
        if there is None:
            there = made[s.inspection_key] = Inspection(
                site_id=s.site.pk,
                line_id=s.line_id,
                station_id=s.station_id,
                unit=units[s.unit_key],
                external_id=s.event.shot.inspection_id,
                views_expected=s.event.shot.views_expected,
                opened_at=at,
            )
        there.unit = units[s.unit_key]
        if s.event.shot.views_expected > there.views_expected:
            there.views_expected = s.event.shot.views_expected
            if s.inspection_key in earlier:
                grown.add(there)
        s.inspection = there
    for key, inspection in made.items():
        if len(views[key]) >= inspection.views_expected:
            inspection.settled_at = at
    insert_all(made.values())
    if grown:
        Inspection.objects.bulk_update(grown, ["views_expected"])


def _capture(s: Sighting) -> Capture:
    image, shot = s.event.image, s.event.shot
    return Capture(
        site_id=s.site.pk,
        inspection=s.inspection,
        view=shot.view,
        captured_at=shot.captured_at,
        bucket=image.bucket,
        key=image.key,
        version_id=image.version_id,
        sha256=image.sha256,
        media_type=image.media_type,
        width=image.width,
        height=image.height,
        camera=s.event.place.camera,
        calibration_id=s.calibration_id,
        tooling_id=s.tooling_id,
        shift=shot.shift,
        quality=shot.quality,
    )


def _prediction(s: Sighting, *, at: datetime) -> Prediction:
    event = s.event
    detections: list[dict[str, Any]] = list(event.detections)
    return Prediction(
        site_id=s.site.pk,
        source=event.source,
        event_id=event.event_id,
        body_sha256=event.body_sha256,
        event_at=event.time,
        received_at=at,
        capture=s.capture,
        model_version=s.model,
        score=event.score,
        defect_class=event.defect_class,
        detections=detections,
        heatmap_uri=event.image.heatmap_uri,
        sender_route=event.sender_route,
        deadline=event.deadline,
        reply=event.reply,
        ext=event.ext,
        route=s.route,
        policy_version=s.policy_version,
        sampled=s.is_sampled,
        inclusion_probability=s.inclusion,
    )
