"""What one verdict on a lot has put before a second person, answered in one press.

Each part keeps its own approval, its own next disposition and its own audit entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Exists, Q, QuerySet, Subquery
from django.utils.translation import gettext as _

from governance import audit
from governance.access import Actor
from review import approvals, lots, own_bench
from review.approvals import State
from review.models import Approval, LotReview
from traceability.refusals import Conflict, Refusal, Unknown

# Fewer are answered like any other.
FEWEST: Final = 2
_ACTS: Final = {State.APPROVED: approvals.approve, State.REFUSED: approvals.refuse}
_NAMES: Final = {State.APPROVED: "lot.approve", State.REFUSED: "lot.refuse"}


@dataclass(frozen=True, slots=True)
class Together:
    """What of a lot verdict waits still, the parts in the order of their numbers."""

    review: LotReview
    approvals: Sequence[Approval]

    @property
    def first(self) -> Approval:
        """One of them: kind, defect and who asks are the same for all."""
        return self.approvals[0]

    @property
    def reason(self) -> str:
        """What was said of the lot; its sample is judged without words."""
        return next((each.reason for each in self.approvals if each.reason), "")


@dataclass(frozen=True, slots=True)
class Answered:
    """Serials of the parts that were answered, `anew` of them by this press, and which were not and
    why."""

    review: LotReview
    done: Sequence[str]
    anew: int
    left_out: Sequence[tuple[str, str]]


def gathered(found: Iterable[Approval]) -> list[Together | Approval]:
    """Approvals of `with_lot` in their order; what one lot verdict asks for stands as one, where
    its first part stands."""
    rows = list(found)
    parts: dict[int, list[Approval]] = {}
    for each in rows:
        parts.setdefault(_lot_of(each), []).append(each)
    reviews = LotReview.objects.select_related("lot", "part_number", "opened_by").in_bulk(
        [pk for pk, of_lot in parts.items() if pk and len(of_lot) >= FEWEST]
    )
    made: dict[int, Together | Approval] = {}
    for each in rows:
        pk = _lot_of(each)
        if pk not in reviews:
            made[-each.pk] = each
        elif pk not in made:
            made[pk] = _together(reviews[pk], parts[pk])
    return list(made.values())


def _together(review: LotReview, parts: Iterable[Approval]) -> Together:
    return Together(review, sorted(parts, key=lambda each: (each.unit.serial, each.pk)))


def _lot_of(approval: Approval) -> int:
    lot: int | None = getattr(approval, "lot_review", None)
    return lot or 0


def with_lot(found: QuerySet[Approval]) -> QuerySet[Approval]:
    """Each with the lot verdict it came of, where what is asked is what was said of the lot."""
    return found.annotate(lot_review=Subquery(lots.said_of_the_lot().values("review")[:1]))


def _of(actor: Actor, review: LotReview) -> QuerySet[Approval]:
    """What of the lot verdict is, or was, this actor's to answer."""
    return approvals.visible(actor).filter(Exists(lots.said_of_the_lot().filter(review=review)))


def find(*, actor: Actor, review_id: UUID) -> Together:
    """What waits of one lot verdict; Unknown where nothing of it is, or was, this actor's."""
    review = _review(review_id)
    mine = _of(actor, review)
    if not mine.exists():
        raise Unknown(_("There is nothing to approve here for you."))
    return _together(review, mine.filter(state=State.OPEN))


def _review(review_id: UUID) -> LotReview:
    known = LotReview.objects.select_related("lot", "part_number", "opened_by")
    review = known.filter(uuid=review_id).first()
    if review is None:
        raise Unknown(_("There is nothing to approve here for you."))
    return review


def why_not(actor: Actor, review: LotReview) -> str:
    """Why this person answers no part of it; empty when he may."""
    if review.opened_by_id == actor.user_id:
        return _("You have asked for it yourself. Somebody else has to answer.")
    return own_bench.why_lot_unseen(actor, review)


def answer(
    *, actor: Actor, review_id: UUID, state: Approval.State, words: str, at: datetime
) -> Answered:
    """Approve or refuse every part that waits, in one transaction; what cannot be is left out and
    named. Sent twice by the same person it is done once.

    Raises Conflict for who asked himself or is judging a part of it, and where nothing is left,
    Invalid for a refusal without words.
    """
    words = approvals.checked_words(words, refuses=state == State.REFUSED)
    review = find(actor=actor, review_id=review_id).review
    if why := why_not(actor, review):
        raise Conflict(why, code="same_person")
    with audit.recorded(actor=actor, at=at) as trail:
        # Of two who answer at once the second finds what the first has left.
        LotReview.objects.select_for_update(no_key=True).get(pk=review.pk)
        wanted = Q(state=State.OPEN) | Q(state=state, decided_by=actor.user_id)
        # In the order of the units: whoever else locks several does so in this order too.
        parts = list(_of(actor, review).filter(wanted).order_by("unit"))
        if not parts:
            raise Conflict(_("Nothing of this lot is left to answer."))
        answered = _answer_all(actor, review, parts, state, words, at)
        if not answered.anew:
            trail.nothing_changed()
        else:
            trail.add(
                _NAMES[state],
                subject_kind="lot",
                subject=review.lot.code,
                site_id=review.site_id,
                detail=_detail(answered),
                reason=words,
            )
        return answered


def _answer_all(
    actor: Actor,
    review: LotReview,
    parts: Sequence[Approval],
    state: Approval.State,
    words: str,
    at: datetime,
) -> Answered:
    done: list[str] = []
    anew = 0
    left_out: list[tuple[str, str]] = []
    for part in parts:
        try:
            _ACTS[state](actor=actor, approval_id=part.uuid, words=words, at=at)
            done.append(part.unit.serial)
            anew += part.state == State.OPEN
        except Refusal as refusal:
            left_out.append((part.unit.serial, refusal.sentence))
    return Answered(review, sorted(done), anew, sorted(left_out))


def _detail(answered: Answered) -> dict[str, Any]:
    return {
        "bulk": answered.review.pk,
        "parts": answered.anew,
        "left_out": [serial for serial, _why in answered.left_out],
    }
