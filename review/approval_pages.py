"""What a second person sees of the verdict he is to agree to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from governance.access import Actor
from labeling import catalogue
from labeling.models import Annotation, DefectClass
from review import approvals, own_bench
from review.lot_approvals import Together
from review.models import Approval, Comment
from traceability import images
from traceability.models import Capture

ANSWERED: Final = 30


@dataclass(frozen=True, slots=True)
class Region:
    """What was marked as defective, in pixels of the image, as SVG writes it."""

    name: str
    points: str = ""
    box: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """One view as it was judged."""

    capture: Capture
    address: str
    regions: Sequence[Region]


@dataclass(frozen=True, slots=True)
class Shown:
    """One approval with all that it is answered on."""

    approval: Approval
    defect: DefectClass
    pictures: Sequence[Picture]
    comments: Sequence[Comment]


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a lot verdict that waits; `why_not` where it would be left out."""

    approval: Approval
    address: str
    is_sample: bool
    why_not: str


def parts_of(waits: Together, *, at: datetime) -> list[Part]:
    """The parts of a lot verdict, each with an image of it: what was marked comes first."""
    inspections = {each.task.inspection_id for each in waits.approvals}
    marked = set(
        Annotation.objects.filter(
            label__decision__in=[each.decision.uuid for each in waits.approvals]
        ).values_list("label__capture", flat=True)
    )
    pictures: dict[int, Capture] = {}
    seen = Capture.objects.filter(inspection__in=inspections)
    for capture in sorted(seen, key=lambda each: (each.pk not in marked, each.view, each.pk)):
        pictures.setdefault(capture.inspection_id, capture)
    sample = set(waits.review.members.filter(is_sample=True).values_list("task", flat=True))
    whys = approvals.whys_not_approve(waits.approvals)
    return [
        Part(
            approval=each,
            address=_address(pictures.get(each.task.inspection_id), at),
            is_sample=each.task_id in sample,
            why_not=whys.get(each.pk, ""),
        )
        for each in waits.approvals
    ]


def _address(capture: Capture | None, at: datetime) -> str:
    is_shown = capture is not None and capture.preview != Capture.Preview.REFUSED
    return images.address(capture, at=at) if capture and is_shown else ""


def answered(actor: Actor) -> list[Approval]:
    """The latest that need no answer any more."""
    closed = approvals.visible(actor).exclude(state=Approval.State.OPEN)
    closed = closed.exclude(own_bench.tells(actor))
    return list(closed.order_by("-decided_at", "-pk")[:ANSWERED])


def shown(approval: Approval, *, at: datetime) -> Shown:
    """The unit's images, what was marked on them, and what was noted of it."""
    inspection_id = approval.task.inspection_id
    marked = defaultdict(list)
    said = Annotation.objects.filter(label__decision=approval.decision.uuid)
    for row in said.select_related("label").order_by("pk"):
        marked[row.label.capture_id].append(_region(row))
    captures = Capture.objects.filter(inspection=inspection_id).order_by("view", "pk")
    pictures = [
        Picture(capture, images.address(capture, at=at), marked[capture.pk]) for capture in captures
    ]
    return Shown(
        approval=approval,
        defect=catalogue.find(site_id=approval.site_id, code=approval.defect_class),
        # What is marked comes first: it is what the answer is about.
        pictures=sorted(pictures, key=lambda picture: not picture.regions),
        comments=list(
            Comment.objects.filter(inspection__unit=approval.unit_id)
            .select_related("author")
            .order_by("-pk")[:ANSWERED]
        ),
    )


def _region(row: Annotation) -> Region:
    name = row.defect_class.replace("_", " ")
    if row.shape == Annotation.Shape.BOX:
        return Region(name, box=tuple(f"{value:g}" for value in row.geometry))
    return Region(name, points=" ".join(f"{x:g},{y:g}" for x, y in row.geometry))


def as_json(approval: Approval) -> dict[str, Any]:
    """As the API tells it."""
    return {
        "id": str(approval.uuid),
        "site": approval.site.code,
        "line": approval.line.code,
        "unit": approval.unit.serial,
        "kind": approval.kind,
        "defect_class": approval.defect_class,
        "reason": approval.reason,
        "asked_by": approval.asked_by.username,
        "asked_at": approval.asked_at.isoformat(),
        "state": approval.state,
        "decided_by": approval.decided_by.username if approval.decided_by else None,
        "decided_at": approval.decided_at.isoformat() if approval.decided_at else None,
        "words": approval.words,
    }
