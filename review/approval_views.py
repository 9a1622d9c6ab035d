"""Pages: what waits for a second person, and the answer to one of it or to a lot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from governance.access import actor_from
from governance.pages import page
from governance.roles import Capability
from labeling import catalogue
from review import approval_pages, approvals, lot_approvals, own_bench
from review.models import Approval
from traceability.refusals import Refusal

# How many parts a message names; the lot's page names all that wait.
NAMED: Final = 20


@never_cache
@require_safe
@page(Capability.APPROVE_DISPOSITIONS)
def approval_list(request: HttpRequest) -> HttpResponse:
    """What waits, the oldest first, and what was answered lately."""
    actor = actor_from(request)
    context = {
        "waiting": lot_approvals.gathered(lot_approvals.with_lot(approvals.waiting(actor))),
        "answered": approval_pages.answered(actor),
        "is_judging": own_bench.tasks_of(actor).exists(),
        "now": timezone.now(),
    }
    return render(request, "review/approvals.html", context)


@never_cache
@require_safe
@page(Capability.APPROVE_DISPOSITIONS)
def approval(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """One of them, with all that it is answered on."""
    actor, now = actor_from(request), timezone.now()
    found = approvals.find(actor=actor, approval_id=approval_id)
    if why := own_bench.why_unseen(actor, found):
        return _unseen(request, found.unit.serial, why)
    is_open = found.state == Approval.State.OPEN
    context = {
        "approval": found,
        "shown": approval_pages.shown(found, at=now),
        "why_not": approvals.why_not(actor, found) if is_open else "",
        "why_not_approve": approvals.why_not_approve(found) if is_open else "",
        "is_open": is_open,
        "longest": approvals.LONGEST_WORDS,
        "now": now,
    }
    return render(request, "review/approval.html", context)


def _unseen(request: HttpRequest, what: str, why: str) -> HttpResponse:
    """Nothing but why nothing is told: what is asked for is what somebody has said of the unit."""
    return render(request, "review/approval_unseen.html", {"what": what, "why": why})


@require_POST
@page(Capability.APPROVE_DISPOSITIONS)
def approve(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """Agree."""
    return _answer(request, approval_id, approvals.approve, _("%(unit)s: approved."))


@require_POST
@page(Capability.APPROVE_DISPOSITIONS)
def refuse(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """Do not agree."""
    said = _("%(unit)s: refused. It stays on hold, and a lead judges it.")
    return _answer(request, approval_id, approvals.refuse, said)


def _answer(
    request: HttpRequest, approval_id: UUID, act: Callable[..., Approval], said: str
) -> HttpResponse:
    """To the list when it is done; back to the page, with the sentence, when it is refused."""
    actor = actor_from(request)
    approvals.find(actor=actor, approval_id=approval_id)
    try:
        done = act(
            actor=actor,
            approval_id=approval_id,
            words=request.POST.get("words", ""),
            at=timezone.now(),
        )
    except Refusal as refusal:
        messages.error(request, refusal.sentence)
        return redirect("review:approval", approval_id=approval_id)
    messages.success(request, said % {"unit": done.unit.serial})
    return redirect("review:approvals")


@never_cache
@require_safe
@page(Capability.APPROVE_DISPOSITIONS)
def lot(request: HttpRequest, lot_verdict: UUID) -> HttpResponse:
    """All that one verdict on a lot asks for, part by part; the list when nothing of it waits."""
    actor, now = actor_from(request), timezone.now()
    waits = lot_approvals.find(actor=actor, review_id=lot_verdict)
    if why := own_bench.why_lot_unseen(actor, waits.review):
        return _unseen(request, _("Lot %(lot)s") % {"lot": waits.review.lot.code}, why)
    if not waits.approvals:
        messages.info(request, _("Nothing of lot %(lot)s waits.") % {"lot": waits.review.lot.code})
        return redirect("review:approvals")
    why_not = lot_approvals.why_not(actor, waits.review)
    parts = approval_pages.parts_of(waits, at=now)
    left_out = [part for part in parts if part.why_not]
    context = {
        "waits": waits,
        "approval": waits.first,
        "defect": catalogue.find(site_id=waits.review.site_id, code=waits.first.defect_class),
        "parts": parts,
        "sample": sum(part.is_sample for part in parts),
        "left_out": [] if why_not else left_out,
        "approvable": len(parts) - (0 if why_not else len(left_out)),
        "why_not": why_not,
        "longest": approvals.LONGEST_WORDS,
        "now": now,
    }
    return render(request, "review/approval_lot.html", context)


@require_POST
@page(Capability.APPROVE_DISPOSITIONS)
def approve_lot(request: HttpRequest, lot_verdict: UUID) -> HttpResponse:
    """Agree to all that waits of it."""
    return _answer_lot(request, lot_verdict, Approval.State.APPROVED)


@require_POST
@page(Capability.APPROVE_DISPOSITIONS)
def refuse_lot(request: HttpRequest, lot_verdict: UUID) -> HttpResponse:
    """Agree to nothing of it."""
    return _answer_lot(request, lot_verdict, Approval.State.REFUSED)


def _answer_lot(request: HttpRequest, lot_verdict: UUID, state: Approval.State) -> HttpResponse:
    """To the list when all is answered; back to the lot, with the parts' names, when not."""
    actor = actor_from(request)
    lot_approvals.find(actor=actor, review_id=lot_verdict)
    try:
        answered = lot_approvals.answer(
            actor=actor,
            review_id=lot_verdict,
            state=state,
            words=request.POST.get("words", ""),
            at=timezone.now(),
        )
    except Refusal as refusal:
        messages.error(request, refusal.sentence)
        return redirect("review:approval_lot", lot_verdict=lot_verdict)
    if answered.anew or not answered.left_out:
        messages.success(request, _said(answered, state))
    if not answered.left_out:
        return redirect("review:approvals")
    messages.error(request, _not_answered(answered))
    return redirect("review:approval_lot", lot_verdict=lot_verdict)


def _said(answered: lot_approvals.Answered, state: Approval.State) -> str:
    # The same press again is told what the first was told.
    count = answered.anew or len(answered.done)
    if state == Approval.State.APPROVED:
        said = ngettext(
            "Lot %(lot)s: %(n)d part approved.", "Lot %(lot)s: %(n)d parts approved.", count
        )
    else:
        said = ngettext(
            "Lot %(lot)s: %(n)d part refused. It stays on hold, and a lead judges it.",
            "Lot %(lot)s: %(n)d parts refused. They stay on hold, and a lead judges them.",
            count,
        )
    return said % {"lot": answered.review.lot.code, "n": count}


def _not_answered(answered: lot_approvals.Answered) -> str:
    count = len(answered.left_out)
    names = "; ".join(f"{serial}: {why}" for serial, why in answered.left_out[:NAMED])
    said = ngettext(
        "%(n)d part is not answered. %(names)s", "%(n)d parts are not answered. %(names)s", count
    )
    return said % {"n": count, "names": names}
