"""The supervisor's page: the queue, who holds what, what nobody takes, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from governance.access import actor_from
from governance.pages import page
from governance.roles import Capability
from review import directing, supervision
from review.directing import RESERVED
from review.forecast import LEAST_DECISIONS, LEAST_MINUTES
from review.models import ReviewTask
from review.queue import COUNTED_UP_TO, OPEN
from traceability.refusals import Refusal


@require_safe
@page(Capability.SUPERVISE)
def supervisor(request: HttpRequest) -> HttpResponse:
    """The queue as it stands; its parts are asked for again and again by the page."""
    return render(request, "review/supervisor.html", _board(request))


@require_safe
@page(Capability.SUPERVISE)
def live(request: HttpRequest) -> HttpResponse:
    """The live parts alone."""
    return render(request, "review/supervisor_live.html", _board(request))


@require_safe
@page(Capability.SUPERVISE)
def task(request: HttpRequest, task_id: UUID) -> HttpResponse:
    """One task, and what the supervisor may do with it."""
    found = supervision.find(actor=actor_from(request), task_id=task_id)
    is_open = found.state in OPEN
    context = {
        "task": found,
        "is_open": is_open,
        "people": supervision.choices(found) if is_open else [],
        "minutes": int(RESERVED.total_seconds() / 60),
        "now": timezone.now(),
    }
    return render(request, "review/supervisor_task.html", context)


@require_POST
@page(Capability.SUPERVISE)
def release(request: HttpRequest, task_id: UUID) -> HttpResponse:
    """Take the task from its holder."""
    return _done(request, _("%(unit)s is back in the queue."), directing.release, task_id)


@require_POST
@page(Capability.SUPERVISE)
def to_the_front(request: HttpRequest, task_id: UUID) -> HttpResponse:
    """Move the task to the front."""
    return _done(request, _("%(unit)s is next in line."), directing.to_the_front, task_id)


@require_POST
@page(Capability.SUPERVISE)
def reassign(request: HttpRequest, task_id: UUID) -> HttpResponse:
    """Give the task to a named inspector."""
    person = request.POST.get("person", "")
    said = _("%(unit)s is kept for %(who)s.")
    return _done(request, said, directing.reassign, task_id, person=person)


def _done(
    request: HttpRequest, said: str, act: Callable[..., ReviewTask], task_id: UUID, **more: str
) -> HttpResponse:
    """Do it, and say so where it was asked for: in the live parts, or on the whole page."""
    asked: dict[str, Any] = {"task_id": task_id, "reason": request.POST.get("reason", ""), **more}
    is_live = bool(getattr(request, "htmx", None))
    try:
        done = act(actor=actor_from(request), at=timezone.now(), **asked)
    except Refusal as refusal:
        if not is_live:
            raise
        return _answer(request, refusal.sentence, is_refusal=True)
    words = said % {"unit": done.unit.serial, "who": done.reserved_for or ""}
    if is_live:
        return _answer(request, words)
    messages.info(request, words)
    return redirect("review:supervisor")


def _answer(request: HttpRequest, words: str, *, is_refusal: bool = False) -> HttpResponse:
    context = {**_board(request), "said": words, "is_refusal": is_refusal}
    return render(request, "review/supervisor_live.html", context)


def _board(request: HttpRequest) -> dict[str, Any]:
    now = timezone.now()
    return {
        "board": supervision.board(actor=actor_from(request), at=now),
        "now": now,
        "counted_up_to": COUNTED_UP_TO,
        "least_decisions": LEAST_DECISIONS,
        "least_minutes": LEAST_MINUTES,
        "lease_s": settings.LOUPE.lease_s,
    }
