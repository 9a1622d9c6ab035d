"""Verdicts as labels: what each capture shows, and where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.utils.translation import gettext as _

from governance.audit import Trail
from labeling import catalogue
from labeling.models import Annotation, DefectClass, Label, LabelWithdrawal
from labeling.regions import Region
from traceability.inserts import insert_all
from traceability.models import Inspection
from traceability.refusals import Invalid
from traceability.statements import prepared


@dataclass(frozen=True, slots=True)
class _Seen:
    """A capture with what its latest prediction says and the label it has."""

    capture_id: int
    view: str
    width: int
    height: int
    prediction_id: int | None
    score: float
    detections: Sequence[Mapping[str, Any]]
    label_id: int | None
    is_unfit: bool


def record(
    *,
    trail: Trail,
    decision: UUID,
    inspection: Inspection,
    verdict: Label.Verdict,
    defect_class: str,
    disposition: str,
    labelled_by: str,
    inclusion_probability: float,
    regions: Sequence[Region] = (),
) -> list[Label]:
    """Turn a decision into labels.

    GOOD labels every capture that is fit to judge. DEFECT labels the captures with drawn regions,
    or else the one the model scored highest: of the others nobody said anything. A capture's
    earlier label is superseded. Raises Invalid for a region outside its image, Unknown for an
    unknown class.
    """
    seen = _captures(inspection)
    drawn = _by_capture(seen, regions)
    if verdict == Label.Verdict.GOOD and regions:
        raise Invalid(_("A good part has no defect regions. Remove them or reject the part."))
    chosen, known = [s for s in seen if not s.is_unfit], None
    if verdict == Label.Verdict.DEFECT:
        known = _classes(inspection.site_id, defect_class, regions)[defect_class]
        chosen = [s for s in seen if s.capture_id in drawn] or _highest(seen)
    labels = insert_all(
        Label(
            site_id=inspection.site_id,
            capture_id=one.capture_id,
            inspection=inspection,
            unit_id=inspection.unit_id,
            prediction_id=one.prediction_id,
            verdict=verdict,
            defect_class=known,
            disposition=disposition,
            origin=Label.Origin.DECISION,
            decision=decision,
            labelled_by=labelled_by,
            inclusion_probability=inclusion_probability,
            recorded_at=trail.at,
            supersedes_id=one.label_id,
        )
        for one in chosen
    )
    insert_all(
        annotation
        for label, one in zip(labels, chosen, strict=True)
        for annotation in _annotations(label, one, drawn.get(one.capture_id, ()))
    )
    trail.add(
        "label.record",
        subject_kind="inspection",
        subject=inspection.external_id,
        site_id=inspection.site_id,
        detail={
            "decision": str(decision),
            "verdict": str(verdict),
            "defect_class": defect_class,
            "captures": len(labels),
            "regions": len(regions),
        },
    )
    return labels


def withdraw(*, trail: Trail, decision: UUID) -> None:
    """Take back the labels of a decision; the captures' earlier labels hold again."""
    labels = Label.objects.filter(decision=decision, withdrawal__isnull=True)
    withdrawn = LabelWithdrawal.objects.bulk_create(
        LabelWithdrawal(site_id=label.site_id, label=label, at=trail.at) for label in labels
    )
    if withdrawn:
        trail.add(
            "label.withdraw",
            subject_kind="decision",
            subject=decision,
            site_id=withdrawn[0].site_id,
            detail={"labels": len(withdrawn)},
        )


# Each capture with its latest prediction and the label it has.
CAPTURES: Final = """
SELECT DISTINCT ON (c.id) c.id, c.view, c.width, c.height, p.id, p.score, to_json(p.detections),
    (SELECT max(l.id) FROM labeling_label l WHERE l.capture_id = c.id),
    coalesce(c.quality ->> 'verdict', '') = 'unfit'
FROM traceability_capture c LEFT JOIN traceability_prediction p ON p.capture_id = c.id
WHERE c.inspection_id = %s ORDER BY c.id, p.id DESC
"""


def _captures(inspection: Inspection) -> list[_Seen]:
    with prepared() as cursor:
        cursor.execute(CAPTURES, [inspection.pk])
        rows = cursor.fetchall()
    return [
        _Seen(
            capture_id=row[0],
            view=row[1],
            width=row[2],
            height=row[3],
            prediction_id=row[4],
            score=row[5] or 0.0,
            detections=row[6] or (),
            label_id=row[7],
            is_unfit=row[8],
        )
        for row in rows
    ]


def _by_capture(seen: Sequence[_Seen], regions: Sequence[Region]) -> dict[int, list[Region]]:
    """The drawn regions under their capture's id, each checked against its image."""
    views = {one.view: one for one in seen}
    found: dict[int, list[Region]] = {}
    for region in regions:
        one = views.get(region.view)
        if one is None:
            raise Invalid(
                _("There is no view %(view)s of this part. Its views are: %(views)s.")
                % {"view": region.view[:64], "views": ", ".join(sorted(views)) or "-"}
            )
        placed = region.inside(width=one.width, height=one.height)
        found.setdefault(one.capture_id, []).append(placed)
    return found


def _highest(seen: Sequence[_Seen]) -> list[_Seen]:
    return [max(seen, key=lambda one: (one.score, -one.capture_id))] if seen else []


def _classes(site_id: int, defect_class: str, regions: Sequence[Region]) -> dict[str, DefectClass]:
    codes = {defect_class, *(region.defect_class for region in regions)}
    known = {c.code: c for c in DefectClass.objects.filter(site_id=site_id, code__in=codes)}
    for code in sorted(codes - known.keys()):
        raise catalogue.missing(code)
    return known


def _annotations(label: Label, one: _Seen, drawn: Iterable[Region]) -> Iterator[Annotation]:
    """What the person drew, and beside it what the model had proposed."""
    for region in drawn:
        yield Annotation(
            site_id=label.site_id,
            label=label,
            origin=Annotation.Origin.DRAWN,
            shape=region.shape,
            defect_class=region.defect_class,
            geometry=region.geometry,
        )
    for detection in one.detections:
        shape = next((s for s in ("polygon", "box") if detection.get(s)), None)
        if shape is not None:
            yield Annotation(
                site_id=label.site_id,
                label=label,
                origin=Annotation.Origin.PROPOSED,
                shape=shape,
                defect_class=detection["label"],
                geometry=detection[shape],
                score=detection["score"],
            )
