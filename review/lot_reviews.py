"""A lot judged in one action: taken, its sample judged part by part, the rest decided, undone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, F, OuterRef, QuerySet, Value
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from governance import audit
from governance.access import Actor
from governance.audit import Trail
from labeling import catalogue
from labeling.models import Severity
from review import decisions, lots
from review.decisions import Recorded
from review.models import (
    Answer,
    Decision,
    LotMember,
    LotReview,
    ReviewTask,
    TaskState,
)
from review.queue import Lease
from review.transitions import check_disposition
from review.verdicts import Verdict
from traceability.draws import draw
from traceability.models import Capture, DispositionKind, Lot, Prediction
from traceability.refusals import Conflict, Invalid, Refusal, Unknown


class LotClosed(Conflict):
    """A part of the sample deviated: this lot is judged part by part."""

    code = "lot_deviates"


@dataclass(frozen=True, slots=True)
class Opened:
    """A lot review as it was taken; `left_out` is held by others."""

    review: LotReview
    members: Sequence[LotMember]
    left_out: int


@dataclass(frozen=True, slots=True)
class Decided:
    """How many were decided, and which were not and why."""

    review: LotReview
    count: int
    left_out: Sequence[tuple[str, str]]
    undo_until: datetime


def begin(
    *,
    actor: Actor,
    where: lots.Place,
    verdict: Verdict,
    excluded: Collection[UUID],
    lease: timedelta,
    at: datetime,
) -> Opened:
    """Take what waits of the lot, but for the excluded, and draw the sample.

    Raises LotClosed, Invalid for too few parts or an answer that is not given in bulk.
    """
    code = _class(where, verdict)
    with audit.recorded(actor=actor, at=at) as trail:
        # The lot's row: of two who begin at once the second sees what the first has taken.
        Lot.objects.select_for_update(no_key=True).get(pk=where.lot.pk)
        if lots.is_closed(where):
            raise LotClosed(_("A part of this lot deviated. Judge the lot part by part."))
        found = list(
            lots.tasks(actor=actor, where=where)
            .exclude(uuid__in=excluded)
            .select_for_update(skip_locked=True, of=("self",))[: lots.MOST]
        )
        if len(found) < lots.FEWEST:
            raise Invalid(
                _("Fewer than %(n)d parts are left to judge together. Judge them one by one.")
                % {"n": lots.FEWEST},
                code="too_few",
            )
        _lease(actor, found, lease)
        review = LotReview.objects.create(
            site_id=where.lot.site_id,
            lot=where.lot,
            part_number=where.part_number,
            suspicion=where.suspicion,
            answer=verdict.answer,
            disposition_kind=verdict.disposition,
            defect_class=code,
            opened_by_id=cast(int, actor.user_id),
            opened_at=at,
        )
        members = _members(review, found)
        _note(trail, "lot.begin", review, parts=len(found), excluded=len(excluded))
        return Opened(review, members, lots.held_by_others(actor=actor, where=where))


def _class(where: lots.Place, verdict: Verdict) -> str:
    """The class that is confirmed; none for a false call."""
    check_disposition(verdict.answer, verdict.disposition)
    if verdict.answer is Answer.INCONCLUSIVE:
        raise Invalid(_("What cannot be told is judged part by part."))
    if verdict.answer is not Answer.CONFIRMED:
        return ""
    code = verdict.defect_class or where.suspicion
    if not code:
        raise Invalid(_("Say which defect it is."))
    known = catalogue.find(site_id=where.lot.site_id, code=code)
    if known.severity == Severity.CRITICAL:
        raise Invalid(_("A critical defect is judged part by part."))
    return code


def _lease(actor: Actor, found: Sequence[ReviewTask], lease: timedelta) -> None:
    ReviewTask.objects.filter(pk__in=[task.pk for task in found]).update(
        state=TaskState.LEASED,
        holder=actor.user_id,
        fence=F("fence") + 1,
        lease_expires_at=Now() + Value(lease),
        leased_at=Now(),
    )


def _members(review: LotReview, found: Sequence[ReviewTask]) -> list[LotMember]:
    key = settings.SECRET_KEY.encode()
    drawn = sorted(
        found,
        key=lambda task: draw(
            site=str(task.site_id), inspection=str(task.uuid), key=key, label="lot"
        ),
    )
    size = lots.sample_size(len(found), share=settings.LOUPE.bulk_deviating_share)
    sample = {task.pk for task in drawn[:size]}
    images = _images([task.inspection_id for task in found])
    return LotMember.objects.bulk_create(
        LotMember(
            site_id=review.site_id,
            review=review,
            task=task,
            fence=task.fence + 1,
            is_sample=task.pk in sample,
            images=images[task.inspection_id],
        )
        for task in found
    )


def _images(inspections: Collection[int]) -> Counter[int]:
    """How many images each has that a model has seen, as a verdict counts them."""
    seen = Prediction.objects.filter(capture=OuterRef("pk"))
    there = Capture.objects.filter(Exists(seen), inspection__in=inspections)
    return Counter(there.values_list("inspection_id", flat=True))


def judge_one(
    *,
    actor: Actor,
    review_id: UUID,
    held: Lease,
    verdict: Verdict,
    key: str,
    undo_window: timedelta,
    at: datetime,
) -> Recorded:
    """One part of the sample. Its verdict is recorded; where it deviates, LotClosed is raised
    after that and the other parts go back to the queue."""
    review = _mine(actor, review_id)
    member = review.members.filter(task__uuid=held.task, is_sample=True).first()
    if member is None:
        raise Unknown(_("There is no such part in the sample."))
    recorded = decisions.decide(
        actor=actor,
        held=held,
        verdict=replace(verdict, images_seen=member.images),
        key=key,
        undo_window=undo_window,
        at=at,
    )
    if lots.deviates(review, recorded.decision):
        raise _close(actor, review, at)
    return recorded


def decide(
    *,
    actor: Actor,
    review_id: UUID,
    excluded: Collection[UUID],
    comment: str,
    undo_window: timedelta,
    at: datetime,
) -> Decided:
    """Decide the rest as the whole sample was: each part its own verdict, in one transaction.

    Raises LotClosed, or Conflict while parts of the sample are still to be judged. What another
    took meanwhile, or what may not be judged so, is left out and named.
    """
    review = _mine(actor, review_id)
    if lots.deviating(review):
        raise _close(actor, review, at)
    with audit.recorded(actor=actor, at=at) as trail:
        review = LotReview.objects.select_for_update(of=("self",)).get(pk=review.pk)
        if review.closed_at is not None:
            raise LotClosed(_("A part of this lot deviated. Judge the lot part by part."))
        if review.decided_at is not None:
            raise Conflict(_("This lot has been decided already."), code="lot_decided")
        _check_sample(review)
        given, left_out = _decide_rest(actor, review, excluded, comment, undo_window, at)
        review.decided_at = at
        review.save(update_fields=["decided_at"])
        _give_back(actor, review)
        _note(trail, "lot.decide", review, parts=given, left_out=len(left_out))
        return Decided(review, given, left_out, at + undo_window)


def _decide_rest(
    actor: Actor,
    review: LotReview,
    excluded: Collection[UUID],
    comment: str,
    undo_window: timedelta,
    at: datetime,
) -> tuple[int, list[tuple[str, str]]]:
    verdict = Verdict(
        answer=Answer(review.answer),
        disposition=DispositionKind(review.disposition_kind),
        defect_class=review.defect_class,
        comment=comment,
    )
    given, left_out = 0, []
    # In the order of the units: whoever else locks several does so in this order too.
    for member in _rest(review).exclude(task__uuid__in=excluded).order_by("task__unit"):
        try:
            decisions.decide(
                actor=actor,
                held=Lease(member.task.uuid, member.fence),
                # A view that came since, whatever it shows, was in nobody's grid.
                verdict=replace(verdict, images_seen=member.images),
                key=f"lot-{review.uuid.hex}-{member.task_id}",
                undo_window=undo_window,
                at=at,
                bulk=review.pk,
            )
            given += 1
        except Refusal as refusal:
            left_out.append((member.task.unit.serial, refusal.sentence))
    return given, left_out


def undo(*, actor: Actor, review_id: UUID, lease: timedelta, at: datetime) -> int:
    """Take all that was decided together back, or nothing of it; returns how many parts."""
    review = _mine(actor, review_id)
    with audit.recorded(actor=actor, at=at) as trail:
        review = LotReview.objects.select_for_update(of=("self",)).get(pk=review.pk)
        given = list(
            Decision.objects.filter(bulk=review, withdrawal__isnull=True).order_by("task__unit")
        )
        if not given:
            raise Conflict(_("Nothing of this lot is left to take back."), code="undo_closed")
        for decision in given:
            decisions.undo(actor=actor, decision_id=decision.uuid, lease=lease, at=at)
        ReviewTask.objects.filter(
            pk__in=[decision.task_id for decision in given], holder=actor.user_id
        ).update(state=TaskState.QUEUED, holder=None, lease_expires_at=None)
        review.undone_at = at
        review.save(update_fields=["undone_at"])
        _note(trail, "lot.undo", review, parts=len(given))
        return len(given)


def keep(*, actor: Actor, review_id: UUID, lease: timedelta) -> int:
    """Renew what of the lot this person still holds; returns how many parts."""
    return _held(actor, _mine(actor, review_id)).update(lease_expires_at=Now() + Value(lease))


def give_back(*, actor: Actor, review_id: UUID, at: datetime) -> int:
    """Put what is undecided back into the queue; returns how many parts."""
    review = _mine(actor, review_id)
    with audit.recorded(actor=actor, at=at) as trail:
        count = _give_back(actor, review)
        _note(trail, "lot.give_back", review, parts=count)
        return count


def _mine(actor: Actor, review_id: UUID) -> LotReview:
    review = LotReview.objects.filter(uuid=review_id, opened_by=actor.user_id).first()
    if review is None:
        raise Unknown(_("There is no such lot of yours."))
    return review


def _rest(review: LotReview) -> QuerySet[LotMember]:
    return review.members.filter(is_sample=False).select_related("task__unit")


def _held(actor: Actor, review: LotReview) -> QuerySet[ReviewTask]:
    """The members whose claim is still the one of this review."""
    same = LotMember.objects.filter(review=review, task=OuterRef("pk"), fence=OuterRef("fence"))
    return ReviewTask.objects.filter(Exists(same), holder=actor.user_id, state=TaskState.LEASED)


def _give_back(actor: Actor, review: LotReview) -> int:
    return _held(actor, review).update(state=TaskState.QUEUED, holder=None, lease_expires_at=None)


def _check_sample(review: LotReview) -> None:
    left = review.members.filter(is_sample=True).count() - len(lots.given(review))
    if left > 0:
        raise Conflict(
            _("Judge the %(n)d parts of the sample first that are still open.") % {"n": left},
            code="sample_open",
        )


def _close(actor: Actor, review: LotReview, at: datetime) -> LotClosed:
    """End the bulk way for this lot, for good; the refusal to raise."""
    with audit.recorded(actor=actor, at=at) as trail:
        closed = LotReview.objects.filter(pk=review.pk, closed_at=None, decided_at=None)
        closed.update(closed_at=at)
        back = _give_back(actor, review)
        _note(trail, "lot.close", review, parts=back)
    return LotClosed(
        _("A part of the sample deviates. Its verdict stands; judge the lot part by part.")
    )


def _note(trail: Trail, action: str, review: LotReview, **detail: int) -> None:
    trail.add(
        action,
        subject_kind="lot",
        subject=review.lot.code,
        site_id=review.site_id,
        detail={"bulk": review.pk, "answer": review.answer, **detail},
    )
