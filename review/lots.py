"""A lot judged in one action, guarded by a sample that is judged part by part first.

The sample is a c=0 plan: n = ceil(ln 0.05 / ln(1 - p)) parts, at least FEWEST and at most all. If p
of the lot or more deviated, n parts without a deviating one would be met in 5 % of all lots at
most; p is LOUPE_BULK_DEVIATING_SHARE. Which parts it takes is drawn by a key: asking again draws
the same ones. One part of it that deviates ends the bulk way for the lot, for everybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import ceil, log
from typing import Final

from django.db.models import Count, Exists, Min, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from governance.access import Actor
from governance.roles import Capability
from labeling import catalogue
from labeling.models import Severity
from review.models import (
    Decision,
    LotMember,
    LotReview,
    ReviewTask,
    Skip,
    TaskKind,
    TaskPurpose,
    TaskState,
)
from traceability.models import Capture, Lot, PartNumber, Site
from traceability.refusals import Unknown

FEWEST: Final = 5
MOST: Final = 200
MISSED: Final = 0.05
_CRITICAL: Final = catalogue.SEVERITY_RANK[Severity.CRITICAL]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Parts that belong together: a lot, a part number, what the model suspects (or nothing)."""

    lot: Lot
    part_number: PartNumber
    suspicion: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A lot of which enough waits to be judged together."""

    lot_id: int
    lot: str
    part_id: int
    part_number: str
    suspicion: str
    count: int
    oldest: datetime


def sample_size(count: int, *, share: float) -> int:
    """How many of `count` parts are judged one by one before the rest may be judged together."""
    plan = ceil(log(MISSED) / log(1 - share))
    return min(count, max(FEWEST, plan))


def waiting(*, actor: Actor, site: Site) -> list[Waiting]:
    """The site's lots with FEWEST parts or more to judge together, the most urgent first."""
    rows = (
        _open(actor)
        .filter(_free(actor), site=site)
        .values_list(
            "unit__lot",
            "unit__lot__code",
            "unit__part_revision__part_number",
            "unit__part_revision__part_number__number",
            "defect_class",
        )
        .annotate(count=Count("pk"), oldest=Min("opened_at"), first=Min("due"))
        .filter(count__gte=FEWEST)
        .order_by("first", "unit__lot__code", "defect_class")
    )
    return [Waiting(*row[:7]) for row in rows]


def place(*, actor: Actor, lot_id: int, part_id: int, suspicion: str) -> Place:
    """The lot of these keys; Unknown where the actor judges nothing at its site."""
    sites = {scope.site_id for scope in actor.scopes_for(Capability.REVIEW)}
    lot = Lot.objects.filter(pk=lot_id, site__in=sites).select_related("site").first()
    part = PartNumber.objects.filter(pk=part_id, site__in=sites).first()
    if lot is None or part is None or lot.site_id != part.site_id:
        raise Unknown(_("There is no such lot for you."))
    return Place(lot=lot, part_number=part, suspicion=suspicion)


def tasks(*, actor: Actor, where: Place) -> QuerySet[ReviewTask]:
    """What of the lot this person may judge together now."""
    found = _of(_open(actor), where).filter(_free(actor))
    return found.select_related("unit").order_by("opened_at", "pk")


def held_by_others(*, actor: Actor, where: Place) -> int:
    """How much of the lot colleagues have on their screens."""
    held = _of(_open(actor), where).filter(state=TaskState.LEASED, lease_expires_at__gt=Now())
    return held.exclude(holder=actor.user_id).count()


def is_closed(where: Place) -> bool:
    """Whether a deviating part was found in this lot before."""
    earlier = LotReview.objects.filter(
        lot=where.lot, part_number=where.part_number, suspicion=where.suspicion
    )
    if earlier.filter(closed_at__isnull=False).exists():
        return True
    # In one statement: a lot may have been begun and left again any number of times.
    otherwise = LotMember.objects.filter(
        review__in=earlier.filter(decided_at__isnull=True),
        is_sample=True,
        task=OuterRef("task"),
        fence=OuterRef("fence"),
    ).exclude(
        review__answer=OuterRef("answer"),
        review__disposition_kind=OuterRef("disposition_kind"),
        review__defect_class=OuterRef("defect_class"),
    )
    return Decision.objects.filter(Exists(otherwise), withdrawal__isnull=True).exists()


def _open(actor: Actor) -> QuerySet[ReviewTask]:
    """First tasks that are neither blind nor grave, with every image at hand."""
    unseen = Capture.objects.filter(inspection=OuterRef("inspection")).exclude(
        preview=Capture.Preview.READY
    )
    skipped = Skip.objects.standing().filter(task=OuterRef("pk"), inspector=actor.user_id)
    return ReviewTask.objects.filter(
        actor.within(Capability.REVIEW),
        ~Exists(unseen),
        ~Exists(skipped),
        purpose=TaskPurpose.FIRST,
        kind__in=(TaskKind.REVIEW, TaskKind.AUDIT),
        state__in=(TaskState.QUEUED, TaskState.LEASED),
        severity__gt=_CRITICAL,
        is_blind=False,
        is_escalated=False,
        unit__lot__isnull=False,
        unit__part_revision__isnull=False,
    )


def _free(actor: Actor) -> Q:
    """Nobody else's: in the queue, or a lease that ran out, and kept for no colleague."""
    free = Q(state=TaskState.QUEUED) | Q(lease_expires_at__lt=Now()) | Q(holder=actor.user_id)
    kept = Q(reserved_for__isnull=True) | Q(reserved_for=actor.user_id)
    return free & (kept | Q(reserved_until__lt=Now()))


def _of(found: QuerySet[ReviewTask], where: Place) -> QuerySet[ReviewTask]:
    return found.filter(
        unit__lot=where.lot,
        unit__part_revision__part_number=where.part_number,
        defect_class=where.suspicion,
    )


def said_of_the_lot() -> QuerySet[LotMember]:
    """For a statement over approvals: the membership by which what is asked was said of a lot."""
    return LotMember.objects.filter(
        task=OuterRef("task"),
        fence=OuterRef("decision__fence"),
        review__decided_at__isnull=False,
        review__answer=OuterRef("decision__answer"),
        review__disposition_kind=OuterRef("decision__disposition_kind"),
        review__defect_class=OuterRef("decision__defect_class"),
    )


def given(review: LotReview) -> list[Decision]:
    """The sample's verdicts that hold."""
    of_sample = LotMember.objects.filter(
        review=review, is_sample=True, task=OuterRef("task"), fence=OuterRef("fence")
    )
    return list(Decision.objects.filter(Exists(of_sample), withdrawal__isnull=True))


def deviates(review: LotReview, decision: Decision) -> bool:
    """Whether a verdict is another than what is said of the lot."""
    same = (review.answer, review.disposition_kind, review.defect_class)
    return (decision.answer, decision.disposition_kind, decision.defect_class) != same


def deviating(review: LotReview) -> bool:
    """Whether a verdict on the sample is."""
    return any(deviates(review, decision) for decision in given(review))
