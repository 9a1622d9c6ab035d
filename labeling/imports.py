"""Labelled images brought along: facts, stored bytes and labels, many at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from django.db.models import Model

from governance.access import Actor
from governance.audit import Trail, recorded
from labeling import catalogue
from labeling.manifest import OBJECTS, fanned
from labeling.models import Annotation, DefectClass, Label
from labeling.regions import Region
from traceability.gateways import object_store
from traceability.models import (
    Capture,
    Inspection,
    Lot,
    PartNumber,
    PartRevision,
    Site,
    Station,
    Supplier,
    Unit,
)

WRITERS: Final = 8
BATCH: Final = 1000

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedImage:
    """An image with its truth. Width and height are pixels after EXIF transpose; `captured_at`
    is the time of the import when nobody knows better."""

    data: bytes
    media_type: str
    width: int
    height: int
    serial: str
    verdict: Label.Verdict
    defect_class: str = ""
    regions: Sequence[Region] = ()
    lot: str = ""
    supplier: str = ""
    part_number: str = ""
    part_revision: str = ""
    view: str = "main"
    captured_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Stored:
    """An image whose bytes are in the store. The same image of the same unit is imported once."""

    image: ImportedImage
    sha256: str
    regions: tuple[Region, ...]

    @property
    def key(self) -> str:
        return OBJECTS + fanned(self.sha256)

    @property
    def external_id(self) -> str:
        return f"import/{self.sha256}/{self.image.serial}"


def import_labelled(
    *, actor: Actor, station: Station, images: Iterable[ImportedImage], at: datetime
) -> list[Label]:
    """Labels for images that come with their truth; those imported before are left alone.

    The bytes go into the first image bucket before anything is recorded. Raises Invalid for a
    region outside its image, StoreUnavailable.
    """
    bucket = object_store.images()

    def store(image: ImportedImage) -> _Stored:
        regions = tuple(r.inside(width=image.width, height=image.height) for r in image.regions)
        stored = _Stored(image, hashlib.sha256(image.data).hexdigest(), regions)
        bucket.put_if_absent(stored.key, image.data, content_type=image.media_type)
        return stored

    with ThreadPoolExecutor(WRITERS, thread_name_prefix="import") as pool:
        stored = {one.external_id: one for one in pool.map(store, images)}
    with recorded(actor=actor, at=at) as trail:
        labels = _record(trail, station, stored, bucket.bucket)
        if not labels:
            trail.nothing_changed()
    return labels


def _record(
    trail: Trail, station: Station, stored: Mapping[str, _Stored], bucket: str
) -> list[Label]:
    site = station.site
    known = Inspection.objects.filter(site=site, external_id__in=stored).values_list(
        "external_id", flat=True
    )
    new = [one for name, one in stored.items() if name not in set(known)]
    if not new:
        return []
    units = _units(site, new, trail.at)
    classes = catalogue.learn(trail=trail, site_id=site.pk, codes=_codes(new))
    inspections = Inspection.objects.bulk_create(
        [
            Inspection(
                site=site,
                line_id=station.line_id,
                station=station,
                unit=units[one.image.serial],
                external_id=one.external_id,
                opened_at=one.image.captured_at or trail.at,
                settled_at=trail.at,
            )
            for one in new
        ],
        batch_size=BATCH,
    )
    captures = Capture.objects.bulk_create(
        [
            _capture(inspection, one, bucket=bucket, at=trail.at)
            for inspection, one in zip(inspections, new, strict=True)
        ],
        batch_size=BATCH,
    )
    labels = Label.objects.bulk_create(
        [_label(capture, one, classes, trail) for capture, one in zip(captures, new, strict=True)],
        batch_size=BATCH,
    )
    Annotation.objects.bulk_create(
        [
            _annotation(label, r)
            for label, one in zip(labels, new, strict=True)
            for r in one.regions
        ],
        batch_size=BATCH,
    )
    trail.add(
        "label.import",
        subject_kind="station",
        subject=station.code,
        site_id=site.pk,
        detail={"labels": len(labels), "known": len(stored) - len(new)},
    )
    return labels


def _codes(new: Sequence[_Stored]) -> set[str]:
    judged = {one.image.defect_class for one in new if one.image.defect_class}
    return judged | {region.defect_class for one in new for region in one.regions}


def _capture(inspection: Inspection, one: _Stored, *, bucket: str, at: datetime) -> Capture:
    return Capture(
        site_id=inspection.site_id,
        inspection=inspection,
        view=one.image.view,
        captured_at=one.image.captured_at or at,
        bucket=bucket,
        key=one.key,
        sha256=one.sha256,
        media_type=one.image.media_type,
        width=one.image.width,
        height=one.image.height,
    )


def _label(
    capture: Capture, one: _Stored, classes: Mapping[str, DefectClass], trail: Trail
) -> Label:
    is_defect = one.image.verdict == Label.Verdict.DEFECT
    return Label(
        site_id=capture.site_id,
        capture=capture,
        inspection=capture.inspection,
        unit_id=capture.inspection.unit_id,
        verdict=one.image.verdict,
        defect_class=classes.get(one.image.defect_class) if is_defect else None,
        origin=Label.Origin.IMPORT,
        labelled_by=trail.actor.name,
        recorded_at=trail.at,
    )


def _annotation(label: Label, region: Region) -> Annotation:
    return Annotation(
        site_id=label.site_id,
        label=label,
        origin=Annotation.Origin.DRAWN,
        shape=region.shape,
        defect_class=region.defect_class,
        geometry=region.geometry,
    )


def _units(site: Site, new: Sequence[_Stored], at: datetime) -> dict[str, Unit]:
    """The units by serial; new ones get the part and lot that their first image names."""
    images = {one.image.serial: one.image for one in reversed(new)}
    suppliers = _known_or_new(
        Supplier, "code", {i.supplier for i in images.values()}, lambda code: {"code": code}, site
    )
    lots = _known_or_new(
        Lot, "code", {i.lot for i in images.values()}, lambda code: {"code": code}, site
    )
    parts = _known_or_new(
        PartNumber,
        "number",
        {i.part_number for i in images.values()},
        lambda number: {"number": number},
        site,
    )
    revisions: dict[tuple[str, str], PartRevision] = {}
    for number, revision in sorted({(i.part_number, i.part_revision) for i in images.values()}):
        if number:
            revisions[number, revision] = PartRevision.objects.get_or_create(
                site=site, part_number=parts[number], revision=revision
            )[0]

    def described(serial: str) -> dict[str, Any]:
        image = images[serial]
        return {
            "serial": serial,
            "part_revision": revisions.get((image.part_number, image.part_revision)),
            "lot": lots.get(image.lot),
            "supplier": suppliers.get(image.supplier),
            "first_seen_at": image.captured_at or at,
        }

    return _known_or_new(Unit, "serial", set(images), described, site)


def _known_or_new(
    model: type[Row],
    field: str,
    names: set[str],
    described: Callable[[str], dict[str, Any]],
    site: Site,
) -> dict[str, Row]:
    """The site's rows by name; missing ones are added, whoever else adds them meanwhile."""
    names = names - {""}
    rows = model._default_manager.filter(site=site, **{f"{field}__in": names})  # noqa: SLF001
    known = {getattr(row, field): row for row in rows}
    missing = sorted(names - known.keys())
    if not missing:
        return known
    model._default_manager.bulk_create(  # noqa: SLF001
        [model(site=site, **described(name)) for name in missing],
        ignore_conflicts=True,
        batch_size=BATCH,
    )
    return {getattr(row, field): row for row in rows.all()}
