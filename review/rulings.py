"""Holds a verdict to the acceptance criteria: what the unit becomes, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _

from governance.access import Actor
from governance.roles import Capability
from labeling import criteria
from labeling.catalogue import missing
from labeling.models import DefectClass
from labeling.regions import Region
from review.models import Answer
from review.transitions import check_disposition
from review.unit_verdict import BADNESS, Finding, Known, UnitVerdict, Views, incomplete, judge
from traceability.models import DispositionKind, Inspection
from traceability.nameplates import Nameplate
from traceability.refusals import Invalid, NotAllowed

# For a statement with a task `t`: the unit's images in the order they came, each [name of the view,
# whether it is unfit to judge], and the number of the criteria in force. Both are look-ups in an
# index.
COLUMNS: Final = """
(SELECT json_agg(json_build_array(c.view, coalesce(c.quality ->> 'verdict', '') = 'unfit')
        ORDER BY c.id)
    FROM traceability_capture c WHERE c.inspection_id = t.inspection_id
    AND EXISTS (SELECT 1 FROM traceability_prediction p WHERE p.capture_id = c.id)),
(SELECT max(a.version) FROM labeling_acceptancecriteria a WHERE a.site_id = t.site_id)
"""
WIDTH: Final = 2


@dataclass(frozen=True, slots=True)
class Ground:
    """What a unit is judged on, as COLUMNS found it."""

    images: Sequence[tuple[str, bool]]
    criteria_version: int

    @classmethod
    def read(cls, row: Sequence[Any]) -> Ground:
        """From the WIDTH values of COLUMNS."""
        images, number = row
        return cls(images or (), number or 0)

    def views_of(self, expected: int) -> Views:
        """The unit's views against those expected."""
        latest = dict(self.images)
        return Views(
            expected=expected,
            present=tuple(latest),
            unfit=tuple(name for name, is_unfit in latest.items() if is_unfit),
        )


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the unit becomes; `why` where it is not what the inspector chose. `is_concession`: it is
    accepted with a defect beyond the criteria."""

    kind: DispositionKind
    why: str = ""
    is_concession: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An inspector's answer with the disposition he chose; `images_seen` None where not told,
    `concession` why a part with a confirmed defect may be used."""

    answer: Answer
    disposition: DispositionKind
    defect: DefectClass | None
    regions: Sequence[Region] = ()
    images_seen: int | None = None
    concession: str = ""


def rule(
    *, actor: Actor, inspection: Inspection, nameplate: Nameplate, ground: Ground, said: Said
) -> Ruling:
    """What the verdict comes to. A unit that cannot be judged whole is held, or scrapped by choice.

    Raises Invalid when the choice is milder than the criteria allow and the actor is no lead, and
    when an image has come that he was not shown.
    """
    _check_seen(ground, said)
    views = ground.views_of(inspection.views_expected)
    verdict = _verdict(inspection.site_id, nameplate, ground, said, views)
    is_within = verdict is not None and verdict.kind is DispositionKind.ACCEPT
    check_disposition(
        said.answer,
        said.disposition,
        is_within_limits=is_within or not views.is_whole,
        is_concession=bool(said.concession),
    )
    if not views.is_whole and said.disposition is not DispositionKind.SCRAP:
        return Ruling(DispositionKind.HOLD, incomplete(views).sentence)
    if said.concession and not is_within:
        _check_may_concede(actor, inspection)
        return Ruling(said.disposition, is_concession=True)
    if verdict is None or said.disposition is DispositionKind.HOLD:
        return Ruling(said.disposition)
    is_milder = BADNESS[said.disposition] < BADNESS[verdict.least]
    if is_milder and not _may(actor, Capability.REVIEW_ESCALATED, inspection):
        raise Invalid(
            _("%(why)s That asks for: %(kind)s. Escalate to a lead if it should be milder.")
            % {"why": _strictest(verdict), "kind": verdict.least.label},
            code="milder_than_criteria",
        )
    return Ruling(said.disposition)


def _check_seen(ground: Ground, said: Said) -> None:
    if said.images_seen is None or said.images_seen >= len(ground.images):
        return
    came = ", ".join(name for name, _is_unfit in ground.images[said.images_seen :])
    raise Invalid(
        _("A view has come that you have not seen: %(views)s. Look at it and judge again.")
        % {"views": came},
        code="view_came",
    )


def _verdict(
    site_id: int, nameplate: Nameplate, ground: Ground, said: Said, views: Views
) -> UnitVerdict | None:
    """What the criteria say; None where the site has none or nothing was found."""
    if said.defect is None or ground.criteria_version == 0:
        return None
    part_number = nameplate.part_number or ""
    held = criteria.version(site_id=site_id, number=ground.criteria_version)
    return judge(
        findings=findings_of(said.defect.code, said.regions),
        classes=_classes(said.defect, said.regions),
        zones=held.zones_on(part_number=part_number, part_revision=nameplate.part_revision or ""),
        rules=held.rules_for(part_number=part_number),
        part_number=part_number,
        views=views,
    )


def findings_of(code: str, regions: Sequence[Region]) -> list[Finding]:
    """What was drawn, and the class that was named where none of it was drawn."""
    found = [Finding.of(region) for region in regions]
    if all(each.defect_class != code for each in found):
        found.append(Finding(view="", defect_class=code))
    return found


def _classes(defect: DefectClass, regions: Sequence[Region]) -> Mapping[str, Known]:
    others = {region.defect_class for region in regions} - {defect.code}
    found = [defect]
    if others:
        found += DefectClass.objects.filter(site_id=defect.site_id, code__in=others)
    known = {
        each.code: Known(
            name=each.name,
            severity=each.severity,
            usual=DispositionKind(each.default_disposition),
        )
        for each in found
    }
    for code in sorted(others - known.keys()):
        raise missing(code)
    return known


def _strictest(verdict: UnitVerdict) -> str:
    """The sentence of the rule that asks for the most."""
    ruled = [each for each in verdict.findings if each.is_ruled]
    return max(ruled, key=lambda each: BADNESS[each.kind]).reason.sentence


def _check_may_concede(actor: Actor, inspection: Inspection) -> None:
    if not _may(actor, Capability.ASK_CONCESSION, inspection):
        raise NotAllowed(_("A concession is asked for by a lead. Escalate the unit, and say why."))


def _may(actor: Actor, capability: Capability, inspection: Inspection) -> bool:
    return any(
        scope.site_id == inspection.site_id and scope.line_id in (None, inspection.line_id)
        for scope in actor.scopes_for(capability)
    )
