"""What an inspector says of a unit, and what it comes to before anything is recorded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from django.utils.translation import gettext as _

from governance.access import Actor
from governance.audit import Trail
from labeling import catalogue
from labeling.models import DefectClass
from labeling.regions import Region
from review import approvals, rulings
from review.dispositions import Draft
from review.models import Answer
from review.queue import Lease
from review.rulings import Ruling, Said
from review.taking import Taken
from traceability.models import DeciderKind, DispositionKind
from traceability.refusals import Invalid


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the inspector says; `seconds` from first sight to the key, `images_seen` how many of the
    unit's images he was shown; `concession` why a part with a confirmed defect may be used."""

    answer: Answer
    disposition: DispositionKind
    defect_class: str = ""
    comment: str = ""
    seconds: float | None = None
    regions: Sequence[Region] = ()
    images_seen: int | None = None
    concession: str = ""


def check_says_what(task: Taken, verdict: Verdict) -> None:
    """Who judges blind was not told what the model suspects, so he cannot mean it."""
    if task.is_blind and verdict.answer is Answer.CONFIRMED and not verdict.defect_class:
        raise Invalid(_("Say which defect it is."))


def defect_of(task: Taken, verdict: Verdict) -> DefectClass | None:
    """The class that is confirmed, the suspected one where none is named; None for another answer.

    Raises Invalid where nobody says which it is.
    """
    if verdict.answer is not Answer.CONFIRMED:
        return None
    code = verdict.defect_class or task.defect_class
    if not code:
        raise Invalid(_("Say which defect it is."))
    return catalogue.find(site_id=task.inspection.site_id, code=code)


def ruled(actor: Actor, task: Taken, verdict: Verdict, defect: DefectClass | None) -> Ruling:
    """What the unit becomes by it; raises as `rulings.rule`."""
    return rulings.rule(
        actor=actor,
        inspection=task.inspection,
        nameplate=task.nameplate,
        ground=task.ground,
        said=Said(
            answer=verdict.answer,
            disposition=verdict.disposition,
            defect=defect,
            regions=verdict.regions,
            images_seen=verdict.images_seen,
            concession=verdict.concession,
        ),
    )


def draft(
    trail: Trail, task: Taken, verdict: Verdict, defect: DefectClass | None, ruling: Ruling
) -> Draft:
    """The disposition it leads to, by this ruling."""
    nonconformities = []
    # What is within the acceptance criteria is no nonconformity.
    is_nonconforming = ruling.is_concession or ruling.kind is not DispositionKind.ACCEPT
    if defect is not None and is_nonconforming:
        count = max(1, sum(1 for r in verdict.regions if r.defect_class == defect.code))
        nonconformities = [
            {"defect_class": defect.code, "severity": defect.severity, "count": count}
        ]
    return Draft(
        inspection=task.inspection,
        kind=ruling.kind,
        decider_kind=DeciderKind.INSPECTOR,
        decider=trail.actor.badge,
        policy_version=task.policy_version,
        model_version=task.model_version,
        nonconformities=nonconformities,
        reason=f"{ruling.why} {verdict.concession or verdict.comment}".strip()[:300],
        nameplate=task.nameplate,
        concession=_granted(trail, verdict, ruling),
        is_free=task.is_free,
    )


def _granted(trail: Trail, verdict: Verdict, ruling: Ruling) -> dict[str, Any] | None:
    """The concession that needs nobody else."""
    if not ruling.is_concession or ruling.kind is not DispositionKind.ACCEPT:
        return None
    return approvals.concession(
        reason=verdict.concession, asked_by=trail.actor.badge, approved_by=None, at=trail.at
    )


def digest(held: Lease, verdict: Verdict) -> str:
    """What makes two requests the same request."""
    said = {field.name: getattr(verdict, field.name) for field in fields(verdict)}
    if not verdict.concession:
        # As it was before there were any: what is sent again must stay the same request.
        del said["concession"]
    body = {**said, "task": held.task, "fence": held.fence}
    return hashlib.sha256(json.dumps(body, sort_keys=True, default=str).encode()).hexdigest()
