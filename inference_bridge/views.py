"""Pages: what could not be read, and the routing policies."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from governance.access import actor_from
from governance.pages import page
from governance.roles import Capability
from inference_bridge import dead_letters
from inference_bridge.models import RoutingPolicy
from inference_bridge.redrive import redrive

PAGE_SIZE: Final = 50

CODES: Final = {
    "not_json": gettext_lazy("Not JSON"),
    "nul": gettext_lazy("NUL character"),
    "not_text": gettext_lazy("Broken characters"),
    "too_large": gettext_lazy("Too large"),
    "too_deep": gettext_lazy("Too many envelopes"),
    "not_an_event": gettext_lazy("Not an event"),
    "not_a_sidecar": gettext_lazy("No sidecar"),
    "celery_message": gettext_lazy("Celery message"),
    "unknown_type": gettext_lazy("Unknown type"),
    "unknown_version": gettext_lazy("Unknown version"),
    "schema": gettext_lazy("Not as agreed"),
    "bucket_not_allowed": gettext_lazy("Bucket not allowed"),
    "unknown_bucket": gettext_lazy("Bucket not allowed"),
    "key_refused": gettext_lazy("Object key refused"),
    "object_missing": gettext_lazy("Sidecar missing"),
    "too_old": gettext_lazy("Too old"),
    "from_the_future": gettext_lazy("Ahead of time"),
    "unknown_site": gettext_lazy("Unknown site"),
    "unknown_line": gettext_lazy("Unknown line"),
    "id_reused": gettext_lazy("Id used twice"),
    "source_taken": gettext_lazy("Source of another site"),
    "inspection_taken": gettext_lazy("Inspection id used twice"),
    "inspection_of_another_unit": gettext_lazy("Inspection of another unit"),
    "inspection_elsewhere": gettext_lazy("Inspection of another station"),
    "database": gettext_lazy("Refused by the database"),
    "fault": gettext_lazy("Fault in Loupe"),
}


@require_safe
@page(Capability.SEE_DEAD_LETTERS)
def dead_letter_list(request: HttpRequest) -> HttpResponse:
    """Newest first, a page at a time by id."""
    letters = dead_letters.visible(actor_from(request), Capability.SEE_DEAD_LETTERS)
    before = request.GET.get("before", "")
    if before.isdecimal() and len(before) < 19:
        letters = letters.filter(pk__lt=int(before))
    rows = list(letters.select_related("site").order_by("-pk")[: PAGE_SIZE + 1])
    return render(
        request,
        "inference_bridge/dead_letters.html",
        {
            "letters": [
                {"row": row, "title": CODES.get(row.code, row.code)} for row in rows[:PAGE_SIZE]
            ],
            "older": rows[PAGE_SIZE - 1].pk if len(rows) > PAGE_SIZE else None,
            "is_first_page": not before,
        },
    )


@require_POST
@page(Capability.REDRIVE_DEAD_LETTERS)
def redrive_letter(request: HttpRequest, letter_id: UUID) -> HttpResponse:
    """Offer the message to the intake again."""
    result = redrive(actor=actor_from(request), letter_id=letter_id, at=timezone.now())
    if result.is_taken:
        messages.success(request, _("The message was taken."))
    else:
        messages.error(request, result.sentence)
    return redirect("inference_bridge:dead_letters")


@require_safe
@page(Capability.SEE_POLICIES)
def policies(request: HttpRequest) -> HttpResponse:
    """Every version of the policies of the actor's sites, the one in force marked."""
    found = RoutingPolicy.objects.filter(
        actor_from(request).within(Capability.SEE_POLICIES, line=None)
    )
    at = timezone.now()
    in_force: set[int] = set()
    shown: list[dict[str, Any]] = []
    for policy in (
        found.select_related("site")
        .prefetch_related("rules__line", "rules__part_number")
        .order_by("site__code", "-in_force_from", "-version")
    ):
        is_in_force = policy.in_force_from <= at and policy.site_id not in in_force
        if is_in_force:
            in_force.add(policy.site_id)
        shown.append(
            {
                "row": policy,
                "is_in_force": is_in_force,
                "is_to_come": policy.in_force_from > at,
                "rules": sorted(policy.rules.all(), key=lambda rule: rule.pk),
            }
        )
    return render(request, "inference_bridge/policies.html", {"policies": shown})
