"""The defect catalogue of a site."""

from __future__ import annotations

from typing import Final

from django.db.models import Max, QuerySet
from django.utils.translation import gettext as _

from governance.audit import Trail
from labeling.models import DefectClass, Severity
from traceability.models import Site
from traceability.refusals import Unknown

# The queue orders by it, the worst first.
SEVERITY_RANK: Final[dict[str, int]] = {
    Severity.CRITICAL: 0,
    Severity.MAJOR: 1,
    Severity.MINOR: 2,
}


def classes_of(site: Site) -> QuerySet[DefectClass]:
    """The site's defect classes in the order of their digits."""
    return DefectClass.objects.filter(site=site).order_by("position", "code")


def find(*, site_id: int, code: str) -> DefectClass:
    """The class of this code; Unknown when the site has none."""
    found = DefectClass.objects.filter(site_id=site_id, code=code).first()
    if found is None:
        raise missing(code)
    return found


def missing(code: str) -> Unknown:
    """The refusal for a code the catalogue does not hold."""
    return Unknown(
        _("There is no defect class %(code)s in the catalogue. Add it or choose another.")
        % {"code": code[:64]},
        code="unknown_defect_class",
    )


def learn(*, trail: Trail, site_id: int, codes: set[str]) -> dict[str, DefectClass]:
    """The classes of these codes; those the site does not have yet are added as major, HOLD."""
    known = {c.code: c for c in DefectClass.objects.filter(site_id=site_id, code__in=codes)}
    new = sorted(codes - known.keys())
    if not new:
        return known
    last = DefectClass.objects.filter(site_id=site_id).aggregate(last=Max("position"))["last"] or 0
    DefectClass.objects.bulk_create(
        [
            DefectClass(site_id=site_id, code=code, name=_named(code), position=last + number)
            for number, code in enumerate(new, start=1)
        ],
        # Another worker may learn the same class at the same moment.
        ignore_conflicts=True,
    )
    for code in new:
        trail.add("defect_class.learn", subject_kind="defect_class", subject=code, site_id=site_id)
    return {c.code: c for c in DefectClass.objects.filter(site_id=site_id, code__in=codes)}


def _named(code: str) -> str:
    words = code.replace("_", " ").replace("-", " ").strip()
    return (words[:1].upper() + words[1:]) or code
